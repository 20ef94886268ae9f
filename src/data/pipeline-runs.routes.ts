import { z } from '@hono/zod-openapi'

import { nextPage, pageOf, pageQuery } from '../gateway/page.ts'
import { problems } from '../gateway/problems.ts'
import { identityOf, type Route, route } from '../gateway/route.ts'
import { pipelinePath, runExample, runOf, runSchema } from './pipeline-fields.ts'
import { givenParametersSchema } from './pipelines/declared-parameters.ts'
import type { PipelineRuns } from './pipelines/pipeline-runs.ts'
import type { ReadablePipelines } from './pipelines/readable-pipelines.ts'
import type { SavedRuns } from './pipelines/saved-runs.ts'
import { dataProblems } from './problems.ts'

const startBody = z.strictObject({
  parameters: givenParametersSchema.default({}),
  version: z.int().min(1).optional().openapi({ description: 'The newest, unless it is said' }),
})

const runPath = pipelinePath.extend({ id: z.string() })

/** What becomes of saved pipelines. */
export function pipelineRunRoutes(deps: {
  readable: ReadablePipelines
  runs: PipelineRuns
  savedRuns: SavedRuns
}): Route[] {
  const { readable, runs, savedRuns } = deps
  const common = { tag: 'pipelines' } as const
  return [
    route(
      {
        ...common,
        method: 'post',
        path: '/api/v1/pipelines/{name}/runs',
        access: 'pipelines:read',
        summary: 'Run a pipeline',
        description:
          'Into its output, with the rights of the caller. The run is a job: its id is that of the run, and `DELETE /api/v1/jobs/{id}` cancels it.',
        pathParameters: pipelinePath,
        body: {
          schema: startBody,
          example: { parameters: { since: '2026-03-01' } },
          isOptional: true,
        },
        answers: {
          202: {
            description: 'It waits for its turn; `Location` says how it stands',
            schema: z.object({ id: z.string(), state: z.literal('ready') }),
            example: { id: runExample.id, state: 'ready' },
          },
        },
        problems: [
          problems.invalidRequest,
          dataProblems.unknownPipeline,
          dataProblems.noOutput,
          dataProblems.nameTaken,
          problems.unavailable,
        ],
      },
      async ({ path: { name }, body }, context) => {
        const version = await readable.version(context.principal, name, body.version)
        const id = await savedRuns.start(version, body.parameters, identityOf(context))
        const headers = { location: `/api/v1/pipelines/${name}/runs/${id}` }
        return { status: 202, body: { id, state: 'ready' }, headers }
      },
    ),

    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/pipelines/{name}/runs',
        access: 'pipelines:read',
        summary: 'List the runs of a pipeline',
        pathParameters: pipelinePath,
        query: z.strictObject(pageQuery),
        answers: {
          200: {
            description: 'The newest first; of 90 days',
            schema: z.object({ runs: z.array(runSchema), next: nextPage }),
            example: { runs: [runExample], next: null },
          },
        },
        problems: [problems.invalidRequest, dataProblems.unknownPipeline, problems.unavailable],
      },
      async ({ path: { name }, query: { before, limit } }, { principal }) => {
        await readable.get(principal, name)
        const { shown, next } = pageOf(await runs.list(name, { before, limit: limit + 1 }), limit)
        return { body: { runs: shown.map(runOf), next } }
      },
    ),

    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/pipelines/{name}/runs/{id}',
        access: 'pipelines:read',
        summary: 'Say how a run stands',
        pathParameters: runPath,
        answers: {
          200: { description: 'As it is now', schema: runSchema, example: runExample },
        },
        problems: [dataProblems.unknownPipeline, problems.notFound, problems.unavailable],
      },
      async ({ path: { name, id } }, { principal }) => {
        await readable.get(principal, name)
        const run = await runs.get(name, id)
        if (run === undefined) throw problems.notFound({ detail: 'There is no such run.' })
        return { body: runOf(run) }
      },
    ),
  ]
}
