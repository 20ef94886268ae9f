import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { identityOf, type Route, route } from '../gateway/route.ts'
import { columnSchema } from './dataset-fields.ts'
import { datasetName } from './datasets/dataset-name.ts'
import { stepsSchema } from './pipelines/definition.ts'
import { explain } from './pipelines/explain.ts'
import { outputSchema } from './pipelines/output.ts'
import type { PipelineJobs } from './pipelines/pipeline-jobs.ts'
import type { Planner } from './pipelines/planner.ts'
import type { Runner } from './pipelines/runner.ts'
import { dataProblems } from './problems.ts'
import { boundAs, parametersSchema, versionsSchema } from './queries/parameters.ts'
import { askedFormat } from './results/asked-format.ts'
import { resultFormatNames } from './results/formats.ts'
import { typesOf } from './results/parameters.ts'
import { answerWithResult } from './results/result-answer.ts'
import { secondsSince } from './results/seconds.ts'

const BODY_BYTES_MAX = 1024 * 1024
const SAMPLE_ROWS = 10

const query = z.strictObject({
  dry_run: z
    .enum(['', 'true', 'false'])
    .optional()
    .transform((word) => word !== undefined && word !== 'false')
    .openapi({ type: 'boolean', description: 'Say what would be done, and do none of it' }),
})

const body = z.strictObject({
  file_path: datasetName.openapi({ description: 'The name of a dataset', example: 'sales' }),
  operations: stepsSchema,
  parameters: parametersSchema.default({}),
  versions: versionsSchema,
  output: outputSchema.optional().openapi({
    description: 'The dataset that all rows become, by a job, which is answered for at once',
  }),
  format: z.enum(resultFormatNames).optional().openapi({
    description: 'All rows in this form, as by `Accept`, and not how they begin',
  }),
})

const summary = z
  .object({
    rows: z.int(),
    columns: z.int(),
    schema: z.array(columnSchema),
    sample: z
      .array(z.record(z.string(), z.unknown()))
      .openapi({ description: 'The first 10 rows' }),
    processing_time: z.number().openapi({ description: 'Seconds' }),
  })
  .openapi('ProcessedRows')

const explained = z
  .object({
    statements: z.array(z.string()).openapi({
      description: 'One; where models score rows, one before each of them and one behind the last',
    }),
    schema: z.array(columnSchema),
    lineage: z
      .record(z.string(), z.array(z.object({ dataset: z.string(), column: z.string() })))
      .openapi({ description: 'Of each column that comes out, those that it is made of' }),
  })
  .openapi('ExplainedPipeline')

/** Steps over a dataset, run at once. */
export function processRoutes(deps: {
  planner: Planner
  runner: Runner
  pipelineJobs: PipelineJobs
  limits: { bytesMax: number; timeoutMs: number }
}): Route[] {
  const { planner, runner, pipelineJobs, limits } = deps
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/process/parquet',
        access: 'datasets:read',
        tag: 'pipelines',
        summary: 'Run steps over a dataset',
        description:
          'The steps filter, mutate, aggregate, join, select, rename, sort, limit, distinct, deduplicate, union, pivot, unpivot, fill, cast, sample, window and predict become one statement. Expressions are those of DuckDB; habits of R are understood. `$name` stands for a parameter.',
        query,
        bodyBytesMax: BODY_BYTES_MAX,
        body: {
          schema: body,
          example: {
            file_path: 'sales',
            operations: [
              { type: 'filter', condition: "revenue > 5 & shop == 'Bern'" },
              { type: 'aggregate', group_by: ['day'], metrics: ['total = sum(revenue)'] },
            ],
          },
        },
        answers: {
          200: {
            description:
              'How many rows came out and how they begin, or all of them in the form that was asked for; or what would be done',
            schema: z.union([summary, explained]),
            example: {
              rows: 2,
              columns: 2,
              schema: [
                { name: 'day', type: 'DATE' },
                { name: 'total', type: 'DOUBLE' },
              ],
              sample: [{ day: '2026-03-01', total: 12.5 }],
              processing_time: 0.012,
            },
          },
          202: {
            description: 'With `output`: the job waits for its turn; `Location` says how it stands',
            schema: z.object({ id: z.string(), state: z.literal('ready') }),
            example: { id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11', state: 'ready' },
          },
        },
        problems: [
          problems.malformedBody,
          dataProblems.nameTaken,
          problems.invalidRequest,
          problems.forbidden,
          dataProblems.unknownDataset,
          dataProblems.refusedQuery,
          dataProblems.tooMuch,
          dataProblems.notAcceptable,
          dataProblems.overloaded,
          dataProblems.queryTimeout,
          problems.unavailable,
        ],
      },
      async ({ query: { dry_run: isDry }, body: asked }, context) => {
        const { request, principal, signal } = context
        const { file_path: source, operations, versions, format: named } = asked
        const format = askedFormat(named, request.headers.get('accept'))
        const startedAt = performance.now()
        const parameters = boundAs(asked.parameters)
        const plan = await planner.plan({ source, operations }, principal, {
          parameters: typesOf(parameters),
          versions,
        })
        const options = { ...limits, signal }
        if (isDry) {
          const columns = await runner.columns(plan, parameters, options)
          return { body: explain(plan, columns) }
        }
        if (asked.output !== undefined) {
          const work = { definition: { source, operations }, parameters, versions }
          const owner = identityOf(context)
          const id = await pipelineJobs.start({ ...work, output: asked.output }, owner)
          const headers = { location: `/api/v1/jobs/${id}` }
          return { status: 202, body: { id, state: 'ready' }, headers }
        }
        const isWhole = named !== undefined || format !== 'json'
        return runner.run(
          plan,
          { parameters, format, ...(isWhole ? {} : { firstRows: SAMPLE_ROWS }) },
          principal,
          options,
          async (result, path) => {
            if (isWhole) {
              const processing_time = secondsSince(startedAt)
              return answerWithResult(result, path, format, { processing_time })
            }
            const { rows, columns: schema } = result
            const sample = (await Bun.file(path).json()) as unknown
            const processing_time = secondsSince(startedAt)
            return { body: { rows, columns: schema.length, schema, sample, processing_time } }
          },
        )
      },
    ),
  ]
}
