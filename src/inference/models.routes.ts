import { z } from '@hono/zod-openapi'

import { type Route, route } from '../gateway/route.ts'
import type { Cache } from '../platform/cache/cache.ts'
import type { Clock } from '../platform/clock.ts'
import type { Manifest } from './manifest.ts'
import { inferenceProblems } from './problems.ts'
import type { ReadableModels } from './readable-models.ts'

const card = z
  .looseObject({
    name: z.string(),
    version: z.string(),
    kind: z.enum(['classification', 'regression', 'forecast']),
    title: z.string(),
    description: z.string(),
    inputs: z.array(z.looseObject({ name: z.string(), type: z.string() })),
    outputs: z.array(z.looseObject({ name: z.string(), type: z.string() })),
  })
  .openapi('Model')

const example = {
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
}

const figures = z.object({
  models_loaded: z.int(),
  cache_size: z
    .int()
    .nullable()
    .openapi({ description: 'Cached predictions; null in Redis, which does not count them' }),
  uptime: z.number().openapi({ description: 'Seconds' }),
  memory_usage: z.int().openapi({ description: 'Bytes' }),
})

export function modelRoutes(deps: {
  models: ReadableModels
  /** Whoever may see them. */
  modelsLoaded: number
  cache: Cache
  clock: Clock
}): Route[] {
  const { models, modelsLoaded, cache, clock } = deps
  const startedAt = clock.now()
  return [
    route(
      {
        method: 'get',
        path: '/api/v1/models',
        access: 'models:read',
        tag: 'models',
        summary: 'List the models',
        answers: {
          200: {
            description: 'Every model that serves and that the caller may use',
            schema: z.object({ models: z.array(card) }),
            example: { models: [example] },
          },
        },
      },
      async (_, { principal }) => {
        const readable = await models.list(principal)
        return { body: { models: readable.map(({ manifest }) => cardOf(manifest)) } }
      },
    ),

    route(
      {
        method: 'get',
        path: '/api/v1/models/{name}',
        access: 'models:read',
        tag: 'models',
        summary: 'Describe a model',
        pathParameters: z.object({ name: z.string().openapi({ example: 'regression' }) }),
        answers: {
          200: { description: 'Inputs, outputs, figures and origin', schema: card, example },
        },
        problems: [inferenceProblems.unknownModel],
      },
      async ({ path: { name } }, { principal }) => {
        const { manifest } = await models.get(principal, name)
        return { body: cardOf(manifest) }
      },
    ),

    route(
      {
        method: 'get',
        path: '/api/v1/metrics',
        access: 'models:read',
        tag: 'models',
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
          models_loaded: modelsLoaded,
          cache_size: (await cache.size()) ?? null,
          uptime: (clock.now() - startedAt) / 1000,
          memory_usage: process.memoryUsage.rss(),
        },
      }),
    ),
  ]
}

/** Everything that a manifest says but where the file is. */
function cardOf({ file: _, ...card }: Manifest) {
  return card
}
