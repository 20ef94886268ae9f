import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { type Route, route } from '../gateway/route.ts'
import { columnSchema } from './dataset-fields.ts'
import { dataProblems } from './problems.ts'
import { parametersSchema } from './queries/parameters.ts'
import type { SqlQueries } from './queries/sql-queries.ts'
import { askedFormat } from './results/asked-format.ts'
import { resultFormatNames } from './results/formats.ts'
import { answerWithResult } from './results/result-answer.ts'

const BODY_BYTES_MAX = 256 * 1024

const body = z.strictObject({
  sql: z.string().openapi({ description: 'One SELECT; datasets are its tables' }),
  parameters: parametersSchema.default({}),
  versions: z.record(z.string(), z.int().min(1)).default({}).openapi({
    description: 'Of datasets that are not to be read as they are now',
  }),
  format: z.enum(resultFormatNames).optional(),
})

/** SQL for those who know it. */
export function queryRoutes(deps: {
  sqlQueries: SqlQueries
  limits: { bytesMax: number; timeoutMs: number }
}): Route[] {
  const { sqlQueries, limits } = deps
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
      async ({ body: { format: named, ...query } }, { request, principal, signal }) => {
        const format = askedFormat(named, request.headers.get('accept'))
        const startedAt = performance.now()
        return sqlQueries.run(
          { ...query, format },
          principal,
          { ...limits, signal },
          (result, path) => {
            const seconds = Math.round(performance.now() - startedAt) / 1000
            return answerWithResult(result, path, format, { processing_time: seconds })
          },
        )
      },
    ),
  ]
}
