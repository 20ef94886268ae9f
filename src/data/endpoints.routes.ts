import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { type Route, route } from '../gateway/route.ts'
import { amount, columnSchema } from './dataset-fields.ts'
import { pipelinePath } from './pipeline-fields.ts'
import { declaredParametersSchema } from './pipelines/declared-parameters.ts'
import type { Endpoints } from './pipelines/endpoints.ts'
import type { ReadablePipelines } from './pipelines/readable-pipelines.ts'
import { dataProblems } from './problems.ts'
import { askedFormat } from './results/asked-format.ts'
import { resultFormatNames } from './results/formats.ts'

const PAGE_ENDPOINTS_MAX = 100

const endpointSchema = z
  .object({
    name: z.string(),
    description: z.string(),
    parameters: declaredParametersSchema,
    cache_seconds: z.int(),
    requests_per_minute: z.int(),
  })
  .openapi('Endpoint')

const askQuery = z
  .object({ format: z.enum(resultFormatNames).optional() })
  .catchall(z.string().max(10_000))
  .openapi({ description: 'The parameters, by their names' })

/** Pipelines that are published: asked by an address, as if they were tables. */
export function endpointRoutes(deps: {
  readable: ReadablePipelines
  endpoints: Endpoints
}): Route[] {
  const { readable, endpoints } = deps
  const common = { tag: 'endpoints', access: 'pipelines:read', method: 'get' } as const
  return [
    route(
      {
        ...common,
        path: '/api/v1/endpoints',
        summary: 'List the endpoints',
        query: z.strictObject({
          after: z.string().max(64).optional().openapi({
            description: 'The `next` of the page before',
          }),
          limit: amount(20, PAGE_ENDPOINTS_MAX),
        }),
        answers: {
          200: {
            description: 'Those that the caller may ask, by name',
            schema: z.object({ endpoints: z.array(endpointSchema), next: z.string().nullable() }),
            example: {
              endpoints: [
                {
                  name: 'takings',
                  description: 'What each shop took',
                  parameters: { since: { type: 'DATE', default: '2026-01-01' } },
                  cache_seconds: 60,
                  requests_per_minute: 600,
                },
              ],
              next: null,
            },
          },
        },
        problems: [problems.invalidRequest, problems.unavailable],
      },
      async ({ query: { after, limit } }, { principal }) => {
        const found = await readable.list(principal, { published: true, after, limit: limit + 1 })
        const shown = found.slice(0, limit)
        return {
          body: {
            endpoints: shown.map(({ name, description, endpoint, newest }) => ({
              name,
              description,
              parameters: newest.parameters,
              ...endpoint,
            })),
            next: found.length > limit ? shown.at(-1)!.name : null,
          },
        }
      },
    ),

    route(
      {
        ...common,
        path: '/api/v1/endpoints/{name}',
        summary: 'Ask an endpoint',
        description:
          'The rows of a published pipeline, in the form that `Accept` prefers or `format` names. Its parameters are those of the query. It reads with the rights of its owner: who may ask it need not see the datasets.',
        pathParameters: pipelinePath,
        query: askQuery,
        answers: {
          200: {
            description: 'The rows',
            schema: z.object({
              columns: z.array(columnSchema),
              rows: z.int(),
              data: z.array(z.record(z.string(), z.unknown())),
            }),
            example: {
              columns: [
                { name: 'shop', type: 'VARCHAR' },
                { name: 'total', type: 'DOUBLE' },
              ],
              rows: 1,
              data: [{ shop: 'Bern', total: 43.5 }],
            },
          },
          304: { description: 'As the `If-None-Match` that was sent says, it is still the same' },
        },
        problems: [
          problems.invalidRequest,
          dataProblems.unknownEndpoint,
          dataProblems.refusedQuery,
          dataProblems.tooMuch,
          dataProblems.notAcceptable,
          dataProblems.overloaded,
          dataProblems.queryTimeout,
          problems.unavailable,
        ],
      },
      async ({ path: { name }, query: { format: named, ...given } }, context) => {
        const { request, principal, signal } = context
        const format = askedFormat(named, request.headers.get('accept'))
        const record = await endpoints.find(principal, name)
        return endpoints.ask(record, { given, format }, principal, {
          knownEtags: request.headers.get('if-none-match'),
          signal,
        })
      },
    ),
  ]
}
