import { z } from '@hono/zod-openapi'

import { type Route, route } from '../gateway/route.ts'
import { modelAndVersion, reading } from './open-inference/routing.ts'
import { inferenceProblems } from './problems.ts'
import type { ReadableModels } from './readable-models.ts'
import type { LiveModel } from './registry/live-models.ts'
import type { Duration, ModelStats } from './serving/model-stats.ts'
import type { ServedModel } from './serving/served-model.ts'

const duration = z.object({ count: z.int(), ns: z.int() })
const statistics = z.object({
  model_stats: z.array(
    z.object({
      name: z.string(),
      version: z.string(),
      last_inference: z.int(),
      inference_count: z.int(),
      execution_count: z.int(),
      inference_stats: z.record(z.string(), duration),
      batch_stats: z.array(z.object({ batch_size: z.int(), compute_infer: duration })),
    }),
  ),
})

/** Counts and times, by the statistics extension of the Open Inference Protocol. */
export function openInferenceStatisticsRoutes(deps: { models: ReadableModels }): Route[] {
  const { models } = deps
  return [
    route(
      {
        ...reading,
        path: '/v2/models/stats',
        summary: 'Counts and times of all models',
        answers: {
          200: {
            description: 'Since the start of this instance',
            schema: statistics,
            example: { model_stats: [] },
          },
        },
      },
      async (_, { principal }) => ({
        body: { model_stats: (await models.list(principal)).flatMap(loadedOf).map(statsOf) },
      }),
    ),
    ...modelAndVersion.map(({ path, pathParameters, of }) =>
      route(
        {
          ...reading,
          path: `${path}/stats`,
          pathParameters,
          summary: `Counts and times of ${of}`,
          answers: {
            200: {
              description: 'Since the start of this instance',
              schema: statistics,
              example: { model_stats: [] },
            },
          },
          problems: [inferenceProblems.unknownModel, inferenceProblems.notLoaded],
        },
        async ({ path: asked }, { principal }) => ({
          body: { model_stats: [statsOf(await models.look(principal, asked.name, asked.version))] },
        }),
      ),
    ),
  ]
}

const loadedOf = ({ versions }: LiveModel) => [...versions.values()]

function statsOf({ manifest, metrics }: ServedModel) {
  const stats: ModelStats = metrics.stats
  const batches = [...stats.batches].toSorted(([a], [b]) => a - b)
  return {
    name: manifest.name,
    version: manifest.version,
    last_inference: stats.lastInference,
    inference_count: stats.inferenceCount,
    execution_count: stats.executionCount,
    inference_stats: {
      success: stats.success,
      fail: stats.fail,
      queue: stats.queue,
      compute_input: NONE,
      compute_infer: stats.compute,
      compute_output: NONE,
      cache_hit: stats.cacheHit,
      cache_miss: stats.cacheMiss,
    },
    batch_stats: batches.map(([batch_size, compute_infer]) => ({
      batch_size,
      compute_input: NONE,
      compute_infer,
      compute_output: NONE,
    })),
  }
}

/** Not measured apart: encoding is part of the request. */
const NONE: Duration = { count: 0, ns: 0 }
