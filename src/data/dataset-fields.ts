import { z } from 'zod'

import type { Owner } from '../gateway/access.ts'
import { datasetName } from './datasets/dataset-name.ts'
import type { DatasetRecord, VersionRow } from './datasets/datasets.ts'
import { origins } from './datasets/origin.ts'

const instant = z.iso.datetime()
const wholeNumber = z.string().regex(/^[1-9]\d{0,14}$/, 'expected a whole number')

export const columnSchema = z
  .object({
    name: z.string(),
    type: z.string().meta({ description: 'As DuckDB writes it, such as `BIGINT` or `VARCHAR`' }),
  })
  .meta({ id: 'Column' })

const rejectedRowSchema = z
  .object({
    line: z.int().nullable().meta({ description: 'Of the upload, from 1' }),
    column: z.string().nullable(),
    reason: z.string(),
    text: z.string().nullable().meta({ description: 'How it begins' }),
  })
  .meta({ id: 'RejectedRow' })

export const datasetVersionSchema = z
  .object({
    version: z.int(),
    origin: z.enum(origins),
    rows: z.int(),
    bytes: z.int().meta({ description: 'As Parquet' }),
    columns: z.array(columnSchema),
    rejected_rows: z.int().meta({ description: 'Of the upload that made it' }),
    rejected: z.array(rejectedRowSchema).meta({ description: 'The first of them' }),
    created_at: instant,
    created_by: z.string().nullable(),
  })
  .meta({ id: 'DatasetVersion' })

export const datasetSchema = z
  .object({
    name: datasetName,
    description: z.string(),
    owner: z
      .object({ id: z.string(), kind: z.enum(['user', 'service_account']), name: z.string() })
      .nullable(),
    versions_kept: z.int().nullable(),
    newest: datasetVersionSchema,
    created_at: instant,
    updated_at: instant,
  })
  .meta({ id: 'Dataset' })

export const namePath = z.object({ name: z.string().meta({ example: 'sales' }) })

export const versionPath = z.object({
  name: z.string().meta({ example: 'sales' }),
  version: z.string().meta({ example: '3' }),
})

/** Which version is meant; the newest unless it is said. */
export const versionQuery = {
  version: wholeNumber
    .transform(Number)
    .optional()
    .meta({ type: 'integer', minimum: 1, description: 'The newest, unless it is said' }),
}

/** How many of something a query asks for. */
export const amount = (fallback: number, max: number) =>
  z
    .string()
    .refine(
      (text) => /^[1-9]\d{0,8}$/.test(text) && Number(text) <= max,
      `expected a whole number from 1 to ${max}`,
    )
    .default(String(fallback))
    .transform(Number)
    .meta({ type: 'integer', minimum: 1, maximum: max, default: fallback })

export const versionOf = (row: VersionRow): z.input<typeof datasetVersionSchema> => ({
  version: row.version,
  origin: row.origin,
  rows: row.rows,
  bytes: row.bytes,
  columns: row.columns,
  rejected_rows: row.rejectedRows,
  rejected: row.rejected.map(({ line, column, reason, text }) => ({
    line: line ?? null,
    column: column ?? null,
    reason,
    text: text ?? null,
  })),
  created_at: row.createdAt.toISOString(),
  created_by: row.createdBy,
})

export const datasetOf = (
  record: DatasetRecord,
  owner: Owner | undefined,
): z.input<typeof datasetSchema> => ({
  name: record.name,
  description: record.description,
  owner: owner === undefined ? null : { id: owner.id, kind: owner.kind, name: owner.name },
  versions_kept: record.versionsKept,
  newest: versionOf(record.newest),
  created_at: record.createdAt.toISOString(),
  updated_at: record.updatedAt.toISOString(),
})

const CREATED = '2026-01-02T03:04:05.678Z'
const USER = '019b76a1-2c3d-7000-8000-000000000001'

export const datasetVersionExample = {
  version: 1,
  origin: 'upload',
  rows: 1460,
  bytes: 48_213,
  columns: [
    { name: 'day', type: 'DATE' },
    { name: 'shop', type: 'VARCHAR' },
    { name: 'revenue', type: 'DOUBLE' },
  ],
  rejected_rows: 1,
  rejected: [
    { line: 713, column: 'revenue', reason: 'is no DOUBLE', text: '2026-03-01,Bern,about 12' },
  ],
  created_at: CREATED,
  created_by: USER,
}

export const datasetExample = {
  name: 'sales',
  description: 'What the shops report each night',
  owner: { id: USER, kind: 'user', name: 'ada' },
  versions_kept: null,
  newest: datasetVersionExample,
  created_at: CREATED,
  updated_at: CREATED,
}
