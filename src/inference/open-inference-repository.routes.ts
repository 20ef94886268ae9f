import { z } from '@hono/zod-openapi'

import type { Actor } from '../gateway/principal.ts'
import { problems } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import { readRepositoryRequest, repositoryRequest } from './open-inference/repository-request.ts'
import { aModel, common } from './open-inference/routing.ts'
import { inferenceProblems } from './problems.ts'
import type { ReadableModels } from './readable-models.ts'
import type { LiveModel } from './registry/live-models.ts'

/**
 * Loads or unloads a model, here at once and on the other instances a moment later.
 *
 * @throws {Problem} 503 where it does not load.
 */
type SetLoaded = (name: string, isLoaded: boolean, actor: Actor) => Promise<void>

/** Which models there are, and which are loaded, by the model repository extension of the Open Inference Protocol. */
export function openInferenceRepositoryRoutes(deps: {
  models: ReadableModels
  setLoaded: SetLoaded
}): Route[] {
  const { models, setLoaded } = deps
  return [
    route(
      {
        ...common,
        method: 'post',
        access: 'models:read',
        path: '/v2/repository/index',
        summary: 'The models, and which can be asked',
        body: {
          schema: z.strictObject({ ready: z.boolean().optional() }),
          example: {},
          isOptional: true,
        },
        answers: {
          200: {
            description: 'A list',
            schema: z.array(
              z.object({
                name: z.string(),
                version: z.string(),
                state: z.string(),
                reason: z.string(),
              }),
            ),
            example: [{ name: 'regression', version: '1', state: 'READY', reason: '' }],
          },
        },
      },
      async ({ body: { ready } }, { principal }) => ({
        body: (await models.list(principal))
          .flatMap(indexOf)
          .filter(({ state }) => ready !== true || state === READY),
      }),
    ),
    ...(['load', 'unload'] as const).map((verb) =>
      route(
        {
          ...common,
          method: 'post',
          access: 'models:write',
          path: `/v2/repository/models/{name}/${verb}`,
          pathParameters: aModel,
          summary: verb === 'load' ? 'Load a model' : 'Unload a model',
          description:
            verb === 'load'
              ? 'Those versions that traffic leads to. What was loaded goes on serving meanwhile, and where the load fails.'
              : 'All its versions. Requests that are under way are answered; later ones are refused, on every instance.',
          body: 'stream',
          streamed: { 'application/json': { schema: repositoryRequest, example: {} } },
          answers: { 200: { description: 'It is so', schema: z.object({}), example: {} } },
          problems: [
            problems.invalidRequest,
            inferenceProblems.unknownModel,
            inferenceProblems.conflict,
            inferenceProblems.notLoaded,
            problems.unavailable,
          ],
        },
        async ({ path: { name }, body }, context) => {
          await readRepositoryRequest(body)
          await models.requireWrite(context.principal, name)
          await setLoaded(name, verb === 'load', actorOf(context))
          return { body: {} }
        },
      ),
    ),
  ]
}

const READY = 'READY'

/** As Triton has it: what is not there is unavailable, and why. */
function indexOf({ name, versions, faults }: LiveModel) {
  const ready = Array.from(versions.keys(), (version) => ({ version, state: READY, reason: '' }))
  const failed = Array.from(faults.keys(), (version) => ({
    version,
    state: 'UNAVAILABLE',
    reason: 'it could not be loaded',
  }))
  const all = [...ready, ...failed]
  if (all.length === 0) return [{ name, version: '', state: 'UNAVAILABLE', reason: 'unloaded' }]
  return all
    .toSorted((a, b) => a.version - b.version)
    .map(({ version, ...rest }) => ({ name, version: String(version), ...rest }))
}
