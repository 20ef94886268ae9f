import { z } from '@hono/zod-openapi'

import type { Ownership } from '../gateway/access.ts'
import { invalid, problems } from '../gateway/problems.ts'
import { actorOf, identityOf, type Route, route } from '../gateway/route.ts'
import type { Partials } from '../platform/storage/partial.ts'
import { uploadFormats } from './conversion/upload-format.ts'
import {
  amount,
  datasetExample,
  datasetOf,
  datasetSchema,
  datasetVersionExample,
  datasetVersionSchema,
  namePath,
  versionOf,
} from './dataset-fields.ts'
import { additionModes, type Additions } from './datasets/additions.ts'
import { columnType } from './datasets/column-type.ts'
import { datasetName } from './datasets/dataset-name.ts'
import { DATASET, type DatasetRecord, type Datasets } from './datasets/datasets.ts'
import type { HandedUploads } from './datasets/handed-uploads.ts'
import type { ReadableDatasets } from './datasets/readable-datasets.ts'
import { receiveUpload } from './datasets/received-upload.ts'
import type { StoredFiles } from './datasets/stored-files.ts'
import type { Uploads } from './datasets/uploads.ts'
import { dataProblems } from './problems.ts'

const PAGE_DATASETS_MAX = 100
const VERSIONS_KEPT_MAX = 10_000
const REJECTED_DEFAULT = 100

const listQuery = z.strictObject({
  after: z.string().max(64).optional().openapi({ description: 'The `next` of the page before' }),
  limit: amount(20, PAGE_DATASETS_MAX),
})

const flag = z.enum(['true', 'false']).transform((word) => word === 'true')

/** Beyond what is known of the file by itself. */
const uploadQuery = (rejectedMax: number) =>
  z.strictObject({
    name: datasetName.openapi({ example: 'sales' }),
    mode: z.enum(additionModes).default('create').openapi({
      description:
        '`create` refuses a name that is taken; `append` puts the rows behind those that are there, `replace` in their place, each as a further version',
    }),
    team: z.enum(['none', 'read', 'write']).default('none').openapi({
      description: 'What the team may do to a dataset that is new. Later, `/api/v1/grants` decides',
    }),
    format: z.enum(uploadFormats).optional().openapi({
      description: 'Where neither Content-Type nor the name of the file says it',
    }),
    rejected_max: z
      .string()
      .refine(
        (text) => /^\d{1,9}$/.test(text) && Number(text) <= rejectedMax,
        `expected a whole number up to ${rejectedMax}`,
      )
      .default(String(Math.min(REJECTED_DEFAULT, rejectedMax)))
      .transform(Number)
      .openapi({
        type: 'integer',
        minimum: 0,
        maximum: rejectedMax,
        description: 'Rows that may be left out since they do not fit; one more, and none is taken',
      }),
    upload: z
      .string()
      .regex(/^[0-9a-f-]{36}$/, 'expected an id')
      .optional()
      .openapi({ description: 'Of POST /api/v1/datasets/uploads, in place of a body' }),
    types: z.string().max(10_000).optional().openapi({
      description: 'Types of columns that are not to be guessed, as JSON',
      example: '{"zip":"VARCHAR"}',
    }),
    delimiter: z.string().min(1).max(4).optional(),
    quote: z.string().max(1).optional(),
    header: flag.optional().openapi({ type: 'boolean' }),
    encoding: z.enum(['utf-8', 'latin-1', 'utf-16']).optional(),
    null_text: z.string().max(20).optional().openapi({ description: 'What stands for nothing' }),
    decimal_comma: flag.optional().openapi({ type: 'boolean' }),
    date_format: z.string().max(40).optional().openapi({ example: '%d.%m.%Y' }),
    timestamp_format: z.string().max(40).optional().openapi({ example: '%d.%m.%Y %H:%M' }),
  })

const columnTypes = z.record(z.string(), columnType)

const changeSchema = z.strictObject({
  description: z.string().max(2000).optional(),
  versions_kept: z.int().min(1).max(VERSIONS_KEPT_MAX).nullable().optional(),
})

/** The datasets: which there are, how one comes, changes and goes. */
export function datasetRoutes(deps: {
  datasets: Datasets
  readable: ReadableDatasets
  additions: Additions
  uploads: Uploads
  handed: HandedUploads
  stored: StoredFiles
  ownership: Ownership
  partials: Partials
  limits: { uploadBytesMax: number; rejectedMax: number; uploadTimeoutMs: number }
}): Route[] {
  const { datasets, readable, additions, uploads, handed, stored, ownership, partials, limits } =
    deps
  const common = { tag: 'datasets' } as const

  async function described(records: DatasetRecord[]) {
    const owners = await ownership.ownersOf(
      DATASET,
      records.map(({ name }) => name),
    )
    return records.map((record) => datasetOf(record, owners.get(record.name)))
  }

  return [
    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/datasets',
        access: 'datasets:read',
        summary: 'List the datasets',
        query: listQuery,
        answers: {
          200: {
            description: 'Those that the caller may read, by name',
            schema: z.object({ datasets: z.array(datasetSchema), next: z.string().nullable() }),
            example: { datasets: [datasetExample], next: null },
          },
        },
        problems: [problems.invalidRequest, problems.unavailable],
      },
      async ({ query: { after, limit } }, { principal }) => {
        const found = await readable.list(principal, { after, limit: limit + 1 })
        const shown = found.slice(0, limit)
        const next = found.length > limit ? shown.at(-1)!.name : null
        return { body: { datasets: await described(shown), next } }
      },
    ),

    route(
      {
        ...common,
        method: 'post',
        path: '/api/v1/datasets',
        access: 'datasets:write',
        summary: 'Upload a dataset, or a version of one',
        description:
          'CSV, TSV, NDJSON, JSON, Parquet or Arrow, as it is or by gzip or zstd; the file alone, or as part `file`. It is kept as Parquet, with the types that its values have. Rows that do not fit are left out and told.',
        query: uploadQuery(limits.rejectedMax),
        body: 'stream',
        bodyBytesMax: limits.uploadBytesMax,
        timeoutMs: limits.uploadTimeoutMs,
        streamed: {
          'text/csv': { schema: z.string(), example: 'day,shop,revenue\n2026-03-01,Bern,12.5\n' },
          'application/x-ndjson': { schema: z.string(), example: '{"day":"2026-03-01"}\n' },
          'application/octet-stream': { schema: z.string(), example: 'the bytes of the file' },
          'multipart/form-data': {
            schema: z.object({ file: z.string().meta({ format: 'binary' }) }),
            example: { file: 'the bytes of the file' },
          },
        },
        answers: {
          201: {
            description: 'The version that it has become',
            schema: datasetVersionSchema,
            example: datasetVersionExample,
          },
        },
        problems: [
          problems.malformedBody,
          problems.invalidRequest,
          dataProblems.refusedUpload,
          dataProblems.tooMuch,
          dataProblems.nameTaken,
          dataProblems.conflict,
          dataProblems.quotaExceeded,
          dataProblems.overloaded,
          dataProblems.queryTimeout,
          problems.unavailable,
        ],
      },
      async ({ query, body }, context) => {
        const by = { identity: identityOf(context), actor: actorOf(context) }
        // Before a file of gigabytes is received in vain.
        await additions.requireRight(query, by.identity)
        const { signal, request } = context
        const options = uploadOptionsOf(query)
        const contentType = request.headers.get('content-type')
        const { upload: handedId } = query
        const upload = await (handedId === undefined
          ? receiveUpload(
              { body, contentType },
              { partials, bytesMax: limits.uploadBytesMax, signal },
            )
          : handed.receive(handedId, by.identity, signal))
        const version = await uploads.add(upload, options, by, signal)
        if (handedId !== undefined) await handed.forget(handedId, by.identity)
        const location = `/api/v1/datasets/${query.name}/versions/${version.version}`
        return { status: 201, body: versionOf(version), headers: { location } }
      },
    ),

    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/datasets/{name}',
        access: 'datasets:read',
        summary: 'Describe a dataset',
        pathParameters: namePath,
        answers: {
          200: {
            description: 'Whose it is, and its newest version',
            schema: datasetSchema,
            example: datasetExample,
          },
        },
        problems: [dataProblems.unknownDataset, problems.unavailable],
      },
      async ({ path: { name } }, { principal }) => {
        const [body] = await described([await readable.get(principal, name)])
        return { body }
      },
    ),

    route(
      {
        ...common,
        method: 'patch',
        path: '/api/v1/datasets/{name}',
        access: 'datasets:write',
        summary: 'Describe a dataset otherwise, or keep fewer versions',
        pathParameters: namePath,
        body: {
          schema: changeSchema,
          example: { description: 'What the shops report each night', versions_kept: 30 },
        },
        answers: {
          200: { description: 'As it is now', schema: datasetSchema, example: datasetExample },
        },
        problems: [
          problems.invalidRequest,
          dataProblems.unknownDataset,
          dataProblems.conflict,
          problems.unavailable,
        ],
      },
      async ({ path: { name }, body }, context) => {
        await readable.requireWrite(context.principal, name)
        const { description, versions_kept: versionsKept } = body
        const set = {
          ...(description === undefined ? {} : { description }),
          ...(versionsKept === undefined ? {} : { versionsKept }),
        }
        await stored.dispose(await datasets.change(name, set, actorOf(context)))
        const [changed] = await described([await readable.get(context.principal, name)])
        return { body: changed }
      },
    ),

    route(
      {
        ...common,
        method: 'delete',
        path: '/api/v1/datasets/{name}',
        access: 'datasets:write',
        summary: 'Remove a dataset',
        description: 'With all its versions and their files.',
        pathParameters: namePath,
        answers: { 204: { description: 'It is gone' } },
        problems: [dataProblems.unknownDataset, dataProblems.conflict, problems.unavailable],
      },
      async ({ path: { name } }, context) => {
        await readable.requireWrite(context.principal, name)
        await stored.dispose(await datasets.remove(name, actorOf(context)))
        return new Response(null, { status: 204 })
      },
    ),
  ]
}

function uploadOptionsOf(query: z.output<ReturnType<typeof uploadQuery>>) {
  const { name, mode, team, format, delimiter, quote, header, encoding } = query
  const csv = {
    delimiter: delimiter === '\\t' ? '\t' : delimiter,
    quote,
    header,
    encoding,
    nullText: query.null_text === undefined ? undefined : [query.null_text],
    decimalComma: query.decimal_comma,
    dateFormat: query.date_format,
    timestampFormat: query.timestamp_format,
  }
  return {
    name,
    mode,
    team,
    format,
    rejectedMax: query.rejected_max,
    csv: Object.fromEntries(Object.entries(csv).filter(([, value]) => value !== undefined)),
    types: query.types === undefined ? {} : parsedTypes(query.types),
  }
}

/** @throws {Problem} 422. */
function parsedTypes(text: string): Record<string, string> {
  const path = ['query', 'types']
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalid([{ path, detail: 'is no JSON object, such as {"zip":"VARCHAR"}' }])
  }
  const parsed = columnTypes.safeParse(value)
  if (parsed.success) return parsed.data
  throw invalid(
    parsed.error.issues.map((issue) => ({ path: [...path, ...issue.path], detail: issue.message })),
  )
}
