import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { type Route, route } from '../gateway/route.ts'
import { columnSchema } from './dataset-fields.ts'
import type { Planner } from './pipelines/planner.ts'
import type { Runner } from './pipelines/runner.ts'
import { dataProblems } from './problems.ts'
import { boundAs, parametersSchema, versionsSchema } from './queries/parameters.ts'
import { askedFormat } from './results/asked-format.ts'
import { resultFormatNames } from './results/formats.ts'
import { typesOf } from './results/parameters.ts'
import { answerWithResult } from './results/result-answer.ts'
import { secondsSince } from './results/seconds.ts'

const BODY_BYTES_MAX = 256 * 1024

const body = z.strictObject({
  sql: z.string().openapi({ description: 'One SELECT; datasets are its tables' }),
  parameters: parametersSchema.default({}),
  versions: versionsSchema,
  format: z.enum(resultFormatNames).optional(),
})

/** SQL for those who know it. */
export function queryRoutes(deps: {
  planner: Planner
  runner: Runner
  limits: { bytesMax: number; timeoutMs: number }
}): Route[] {
  const { planner, runner, limits } = deps
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/query',
        access: 'datasets:read',
        tag: 'queries',
        summary: 'Run one SELECT',
        description:
          'Over the datasets that the caller may read, by their names: joins, subqueries, common table expressions, windows, in the SQL of DuckDB. Nothing else is run, and no function that reaches beyond them. `$name` stands for a parameter.',
        bodyBytesMax: BODY_BYTES_MAX,
        body: {
          schema: body,
          example: {
            sql: 'SELECT shop, sum(revenue) AS revenue FROM sales WHERE day >= $since::DATE GROUP BY shop ORDER BY revenue DESC',
            parameters: { since: '2026-03-01' },
          },
        },
        answers: {
          200: {
            description: 'The rows, in the form that `Accept` prefers or `format` names',
            schema: z.object({
              columns: z.array(columnSchema),
              rows: z.int(),
              processing_time: z.number().openapi({ description: 'Seconds' }),
              data: z.array(z.record(z.string(), z.unknown())),
            }),
            example: {
              columns: [
                { name: 'shop', type: 'VARCHAR' },
                { name: 'revenue', type: 'DOUBLE' },
              ],
              rows: 1,
              processing_time: 0.012,
              data: [{ shop: 'Bern', revenue: 43.5 }],
            },
          },
        },
        problems: [
          problems.malformedBody,
          problems.invalidRequest,
          dataProblems.unknownDataset,
          dataProblems.refusedQuery,
          dataProblems.tooMuch,
          dataProblems.notAcceptable,
          dataProblems.overloaded,
          dataProblems.queryTimeout,
          problems.unavailable,
        ],
      },
      async ({ body: { sql, versions, format: named, ...body } }, context) => {
        const { request, principal, signal } = context
        const format = askedFormat(named, request.headers.get('accept'))
        const startedAt = performance.now()
        const parameters = boundAs(body.parameters)
        const plan = await planner.plan({ sql }, principal, {
          parameters: typesOf(parameters),
          versions,
        })
        return runner.run(
          plan,
          { parameters, format },
          principal,
          { ...limits, signal },
          (result, path) => {
            const processing_time = secondsSince(startedAt)
            return answerWithResult(result, path, format, { processing_time })
          },
        )
      },
    ),
  ]
}
