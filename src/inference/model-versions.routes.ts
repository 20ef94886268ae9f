import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import { versionOf } from './model-cards.ts'
import { versionExample, versionSchema } from './model-fields.ts'
import { inferenceProblems } from './problems.ts'
import type { ReadableModels } from './readable-models.ts'
import type { LiveModels } from './registry/live-models.ts'
import type { Models } from './registry/models.ts'
import type { Removals } from './registry/removals.ts'

const pathParameters = z.object({
  name: z.string().openapi({ example: 'regression' }),
  version: z.string().openapi({ example: '1' }),
})
const path = '/api/v1/models/{name}/versions/{version}'

/** Versions of a model: numbered, and never changed. */
export function modelVersionRoutes(deps: {
  readable: ReadableModels
  models: Models
  live: LiveModels
  removals: Removals
}): Route[] {
  const { readable, models, live, removals } = deps
  const absent = ({ name, version }: { name: string; version: string }) =>
    inferenceProblems.unknownModel({ detail: `There is no version ${version} of "${name}".` })

  return [
    route(
      {
        method: 'get',
        path,
        access: 'models:read',
        tag: 'models',
        summary: 'Describe a version of a model',
        pathParameters,
        answers: {
          200: {
            description: 'What it is, and how often it was asked',
            schema: versionSchema.extend({ manifest: z.looseObject({}) }),
            example: { ...versionExample, manifest: { name: 'regression', version: '1' } },
          },
        },
        problems: [inferenceProblems.unknownModel, problems.unavailable],
      },
      async ({ path: asked }, { principal }) => {
        await readable.get(principal, asked.name)
        const record = await models.find(asked.name)
        const row = record?.versions.find(({ version }) => String(version) === asked.version)
        if (row === undefined) throw absent(asked)
        return { body: { ...versionOf(row, live.get(asked.name)), manifest: row.manifest } }
      },
    ),

    route(
      {
        method: 'delete',
        path,
        access: 'models:write',
        tag: 'models',
        summary: 'Remove a version of a model',
        description: 'With its file. Not while traffic leads to it. Its number is not given again.',
        pathParameters,
        answers: { 204: { description: 'It is gone' } },
        problems: [inferenceProblems.unknownModel, inferenceProblems.inUse, problems.unavailable],
      },
      async ({ path: asked }, context) => {
        await readable.requireWrite(context.principal, asked.name)
        const isGone = await removals.removeVersion(asked, actorOf(context))
        if (!isGone) throw absent(asked)
        return new Response(null, { status: 204 })
      },
    ),
  ]
}
