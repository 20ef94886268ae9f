import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { actorOf, identityOf, type Route, route } from '../gateway/route.ts'
import type { Cache } from '../platform/cache/cache.ts'
import type { Clock } from '../platform/clock.ts'
import type { Partials } from '../platform/storage/partial.ts'
import { type ModelCards, versionOf } from './model-cards.ts'
import { cardExample, cardSchema, versionExample, versionSchema } from './model-fields.ts'
import { inferenceProblems } from './problems.ts'
import type { ReadableModels } from './readable-models.ts'
import type { LiveModels } from './registry/live-models.ts'
import { receiveUpload } from './registry/received-upload.ts'
import type { Removals } from './registry/removals.ts'
import type { Uploads } from './registry/uploads.ts'

const figures = z.object({
  models_loaded: z.int(),
  cache_size: z
    .int()
    .nullable()
    .openapi({ description: 'Cached predictions; null in Redis, which does not count them' }),
  uptime: z.number().openapi({ description: 'Seconds' }),
  memory_usage: z.int().openapi({ description: 'Bytes' }),
})

export const namePath = z.object({ name: z.string().openapi({ example: 'regression' }) })

const uploadQuery = z.strictObject({
  name: z
    .string()
    .optional()
    .openapi({ description: 'Of the model, unless its manifest says it', example: 'churn' }),
  team: z.enum(['none', 'read', 'write']).default('none').openapi({
    description: 'What the team may do to a model that is new. Later, `/api/v1/grants` decides',
  }),
})

const multipart = {
  schema: z.object({
    model: z.string().meta({ format: 'binary' }),
    manifest: z.looseObject({}).optional().openapi({
      description:
        'What the file does not say, such as the names of classes and categories; see the README',
    }),
    examples: z
      .object({ features: z.unknown(), predictions: z.array(z.unknown()) })
      .optional()
      .openapi({
        description:
          'Rows as a prediction takes them, and what the library itself says of them: where the server says something else, the model is refused',
      }),
  }),
  example: {
    model: 'the bytes of the file',
    manifest: { name: 'churn', classes: ['stays', 'leaves'] },
    examples: { features: [{ age: 31, plan: 'basic' }], predictions: [0.173] },
  },
}

/** The models: which there are, what each is, and how one comes and goes. */
export function modelRoutes(deps: {
  models: ReadableModels
  cards: ModelCards
  live: LiveModels
  uploads: Uploads
  removals: Removals
  partials: Partials
  limits: { modelBytesMax: number; jsonBytesMax: number }
  uploadTimeoutMs: number
  cache: Cache
  clock: Clock
}): Route[] {
  const { models, cards, live, uploads, removals, partials, limits, cache, clock } = deps
  const startedAt = clock.now()
  const common = { tag: 'models' } as const
  return [
    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/models',
        access: 'models:read',
        summary: 'List the models',
        answers: {
          200: {
            description: 'Every model that the caller may use',
            schema: z.object({ models: z.array(cardSchema) }),
            example: { models: [cardExample] },
          },
        },
        problems: [problems.unavailable],
      },
      async (_, { principal }) => ({
        body: { models: await cards.of(await models.list(principal)) },
      }),
    ),

    route(
      {
        ...common,
        method: 'post',
        path: '/api/v1/models',
        access: 'models:write',
        summary: 'Upload a model, or a version of one',
        description:
          'ONNX, LightGBM as text, XGBoost as JSON or UBJSON; the file alone, or as part `model` with `manifest` and `examples` beside it. It is loaded and run once in a process of its own before it serves. The same content as that of the newest version makes no other.',
        query: uploadQuery,
        body: 'stream',
        bodyBytesMax: limits.modelBytesMax + 2 * limits.jsonBytesMax,
        timeoutMs: deps.uploadTimeoutMs,
        streamed: {
          'multipart/form-data': multipart,
          'application/octet-stream': { schema: z.string(), example: 'the bytes of the file' },
        },
        answers: {
          201: {
            description: 'It has a number, and serves where traffic leads to the latest',
            schema: versionSchema,
            example: versionExample,
          },
          200: {
            description: 'The newest version is just that',
            schema: versionSchema,
            example: versionExample,
          },
        },
        problems: [
          problems.malformedBody,
          problems.invalidRequest,
          inferenceProblems.refusedModel,
          inferenceProblems.quotaExceeded,
          inferenceProblems.conflict,
          inferenceProblems.overloaded,
          problems.unavailable,
        ],
      },
      async ({ query: { name, team }, body }, context) => {
        const by = { identity: identityOf(context), actor: actorOf(context) }
        // Before a file of megabytes is received in vain.
        if (name !== undefined) await uploads.requireRight(name, by.identity)
        const { signal, request } = context
        const contentType = request.headers.get('content-type')
        const upload = await receiveUpload({ body, contentType }, { partials, limits, signal })
        const { version, isNew } = await uploads.add(upload, { name, team }, by, signal)
        const { modelName } = version
        const location = `/api/v1/models/${modelName}/versions/${version.version}`
        return {
          status: isNew ? 201 : 200,
          body: versionOf(version, live.get(modelName)),
          headers: { location },
        }
      },
    ),

    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/models/{name}',
        access: 'models:read',
        summary: 'Describe a model',
        pathParameters: namePath,
        answers: {
          200: {
            description: 'Inputs, outputs, figures, origin, owner, versions and use',
            schema: cardSchema,
            example: cardExample,
          },
        },
        problems: [inferenceProblems.unknownModel, problems.unavailable],
      },
      async ({ path: { name } }, { principal }) => {
        const [card] = await cards.of([await models.get(principal, name)])
        if (card === undefined) throw inferenceProblems.unknownModel()
        return { body: card }
      },
    ),

    route(
      {
        ...common,
        method: 'delete',
        path: '/api/v1/models/{name}',
        access: 'models:write',
        summary: 'Remove a model',
        description:
          'With all its versions and their files. Unload it first: `POST /v2/repository/models/{name}/unload`.',
        pathParameters: namePath,
        answers: { 204: { description: 'It is gone' } },
        problems: [inferenceProblems.unknownModel, inferenceProblems.inUse, problems.unavailable],
      },
      async ({ path: { name } }, context) => {
        await models.requireWrite(context.principal, name)
        await removals.remove(name, actorOf(context))
        return new Response(null, { status: 204 })
      },
    ),

    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/metrics',
        access: 'models:read',
        summary: 'Figures of the model server',
        answers: {
          200: {
            description: 'Counts, seconds and bytes',
            schema: figures,
            example: {
              models_loaded: 3,
              cache_size: 120,
              uptime: 86400.5,
              memory_usage: 150_000_000,
            },
          },
        },
      },
      async () => ({
        body: {
          models_loaded: live.all().filter(({ split }) => split.length > 0).length,
          cache_size: (await cache.size()) ?? null,
          uptime: (clock.now() - startedAt) / 1000,
          memory_usage: process.memoryUsage.rss(),
        },
      }),
    ),
  ]
}
