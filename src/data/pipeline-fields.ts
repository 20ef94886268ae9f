import { z } from 'zod'

import type { Owner } from '../gateway/access.ts'
import { importSourceSchema, shownSource } from './imports/import-source.ts'
import { declaredParametersSchema } from './pipelines/declared-parameters.ts'
import { endpointSettings } from './pipelines/endpoint-settings.ts'
import { outputSchema } from './pipelines/output.ts'
import type { PipelineRun } from './pipelines/pipeline-runs.ts'
import type { PipelineRecord, PipelineVersionRow } from './pipelines/pipelines.ts'
import { triggers } from './pipelines/trigger.ts'

const instant = z.iso.datetime()

export const pipelineName = z
  .string()
  .regex(
    /^[a-z][a-z0-9_-]{0,63}$/,
    'expected up to 64 lower-case letters, digits, - and _, a letter first',
  )

export const pipelinePath = z.object({ name: z.string().meta({ example: 'takings' }) })

/** What is saved: steps over a dataset or one SELECT, with what it is told and where its rows go. */
export const savedSchema = {
  parameters: declaredParametersSchema.default({}),
  output: outputSchema.nullable().default(null),
  description: z.string().max(2000).optional(),
}

const shownDefinition = z.object({
  source: z.string().optional(),
  operations: z.array(z.record(z.string(), z.unknown())).optional(),
  sql: z.string().optional(),
  from: importSourceSchema.optional(),
})

export const pipelineVersionSchema = shownDefinition
  .extend({
    version: z.int(),
    parameters: declaredParametersSchema,
    output: outputSchema.nullable(),
    created_at: instant,
    created_by: z.string().nullable(),
  })
  .meta({ id: 'PipelineVersion' })

export const pipelineSchema = z
  .object({
    name: pipelineName,
    description: z.string(),
    owner: z
      .object({ id: z.string(), kind: z.enum(['user', 'service_account']), name: z.string() })
      .nullable(),
    schedule: z.string().nullable(),
    due_at: instant.nullable(),
    endpoint: endpointSettings.nullable(),
    newest: pipelineVersionSchema,
    created_at: instant,
    updated_at: instant,
  })
  .meta({ id: 'Pipeline' })

export const runSchema = z
  .object({
    id: z.string(),
    version: z.int(),
    trigger: z.enum(triggers),
    state: z.enum(['ready', 'active', 'done', 'failed', 'cancelled']),
    progress: z.number(),
    parameters: z.record(z.string(), z.unknown()),
    rows: z.int().nullable(),
    dataset: z.string().nullable(),
    dataset_version: z.int().nullable(),
    error: z.string().nullable(),
    started_by: z.string(),
    created_at: instant,
    started_at: instant.nullable(),
    finished_at: instant.nullable(),
  })
  .meta({ id: 'PipelineRun' })

export const pipelineVersionOf = (
  row: PipelineVersionRow,
): z.input<typeof pipelineVersionSchema> => ({
  version: row.version,
  ...('from' in row.definition ? { from: shownSource(row.definition.from) } : row.definition),
  parameters: row.parameters,
  output: row.output,
  created_at: row.createdAt.toISOString(),
  created_by: row.createdBy,
})

export const pipelineOf = (
  record: PipelineRecord,
  owner: Owner | undefined,
): z.input<typeof pipelineSchema> => ({
  name: record.name,
  description: record.description,
  owner: owner === undefined ? null : { id: owner.id, kind: owner.kind, name: owner.name },
  schedule: record.schedule,
  due_at: record.dueAt?.toISOString() ?? null,
  endpoint: record.endpoint,
  newest: pipelineVersionOf(record.newest),
  created_at: record.createdAt.toISOString(),
  updated_at: record.updatedAt.toISOString(),
})

export const runOf = (run: PipelineRun): z.input<typeof runSchema> => ({
  id: run.id,
  version: run.version,
  trigger: run.trigger,
  state: run.state,
  progress: run.progress,
  parameters: run.parameters,
  rows: run.rows,
  dataset: run.dataset,
  dataset_version: run.datasetVersion,
  error: run.error,
  started_by: run.startedBy,
  created_at: run.createdAt.toISOString(),
  started_at: run.startedAt?.toISOString() ?? null,
  finished_at: run.finishedAt?.toISOString() ?? null,
})

const CREATED = '2026-01-02T03:04:05.678Z'
const USER = '019b76a1-2c3d-7000-8000-000000000001'

export const pipelineVersionExample = {
  version: 1,
  source: 'sales',
  operations: [
    { type: 'filter', condition: 'day >= $since' },
    { type: 'aggregate', group_by: ['shop'], metrics: ['total = sum(revenue)'] },
  ],
  parameters: { since: { type: 'DATE', default: '2026-01-01' } },
  output: { dataset: 'takings', mode: 'replace' },
  created_at: CREATED,
  created_by: USER,
}

export const pipelineExample = {
  name: 'takings',
  description: 'What each shop took',
  owner: { id: USER, kind: 'user', name: 'ada' },
  schedule: '0 4 * * *',
  due_at: '2026-01-03T04:00:00.000Z',
  endpoint: { cache_seconds: 60, requests_per_minute: 600 },
  newest: pipelineVersionExample,
  created_at: CREATED,
  updated_at: CREATED,
}

export const runExample = {
  id: '019b76a1-2c3d-7000-8000-000000000002',
  version: 1,
  trigger: 'schedule',
  state: 'done',
  progress: 1,
  parameters: { since: '2026-01-01' },
  rows: 2,
  dataset: 'takings',
  dataset_version: 7,
  error: null,
  started_by: USER,
  created_at: CREATED,
  started_at: CREATED,
  finished_at: CREATED,
}
