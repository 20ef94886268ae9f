import { z } from 'zod'

import { formats } from './manifest.ts'

const instant = z.iso.datetime()
const usage = z.object({
  predicted_rows: z.int().meta({ description: 'Written down every half minute' }),
  last_used_at: instant.nullable(),
})

export const trafficSchema = z
  .object({
    split: z.array(
      z.object({ version: z.union([z.int(), z.literal('latest')]), weight: z.number() }),
    ),
    shadow: z.int().nullable(),
  })
  .meta({ id: 'Traffic' })

export const versionSchema = z
  .object({
    version: z.int(),
    is_loaded: z.boolean().meta({ description: 'Whether this instance has it in memory' }),
    fault: z.string().nullable().meta({ description: 'Why it is not, where traffic leads to it' }),
    format: z.enum(formats),
    bytes: z.int(),
    sha256: z.string().meta({ description: 'Of the file, base64url' }),
    examples: z
      .int()
      .meta({ description: 'Rows of the library’s own predictions that were replayed' }),
    created_at: instant,
    created_by: z.string().nullable(),
    usage,
  })
  .meta({ id: 'ModelVersion' })

const manifestFields = {
  name: z.string(),
  version: z.string(),
  kind: z.enum(['classification', 'regression', 'forecast']),
  title: z.string(),
  description: z.string(),
  inputs: z.array(z.looseObject({ name: z.string(), type: z.string() })),
  outputs: z.array(z.looseObject({ name: z.string(), type: z.string() })),
  frequency: z
    .string()
    .optional()
    .meta({ description: 'Of a forecast: from one value to the next, such as `month`' }),
  intervals: z
    .array(z.number())
    .optional()
    .meta({ description: 'Of a forecast: the levels of its intervals, such as 0.95' }),
}

export const cardSchema = z
  .looseObject({
    ...manifestFields,
    owner: z
      .object({ id: z.string(), kind: z.enum(['user', 'service_account']), name: z.string() })
      .nullable(),
    is_loaded: z.boolean(),
    traffic: trafficSchema,
    versions: z.array(versionSchema),
    usage,
  })
  .meta({ id: 'Model' })

const ADDED = '2026-01-02T03:04:05.678Z'

export const versionExample = {
  version: 1,
  is_loaded: true,
  fault: null,
  format: 'lightgbm' as const,
  bytes: 48_213,
  sha256: '9RV0cWZ0eCmZGhGkCBoJ6NMn6hUuQPCTKvU5nmLYvKA',
  examples: 200,
  created_at: ADDED,
  created_by: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
  usage: { predicted_rows: 1_204, last_used_at: ADDED },
}

export const cardExample = {
  name: 'regression',
  version: '1',
  kind: 'regression',
  title: 'Diamond prices',
  description: 'Price of a cut diamond.',
  inputs: [
    { name: 'carat', type: 'number' },
    { name: 'cut', type: 'category', categories: ['Fair', 'Good', 'Ideal'] },
  ],
  outputs: [{ name: 'price', type: 'number' }],
  metrics: { r2: 0.98 },
  owner: { id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11', kind: 'user', name: 'admin' },
  is_loaded: true,
  traffic: { split: [{ version: 'latest', weight: 1 }], shadow: null },
  versions: [versionExample],
  usage: { predicted_rows: 1_204, last_used_at: ADDED },
}
