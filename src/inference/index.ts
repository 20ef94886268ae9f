import type { Registry } from 'prom-client'

import type { Access } from '../gateway/access.ts'
import type { FindIdentity } from '../gateway/principal.ts'
import type { Route } from '../gateway/route.ts'
import type { Cache } from '../platform/cache/cache.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Database } from '../platform/database/database.ts'
import type { Jobs } from '../platform/jobs/jobs.ts'
import type { Log } from '../platform/log.ts'
import { Pool, PoolError } from '../platform/pool/pool.ts'
import { StartError } from '../platform/start-error.ts'
import type { Storage } from '../platform/storage/storage.ts'
import type { Tracing } from '../platform/tracing/tracing.ts'
import { createAnswers } from './answers.ts'
import { createBatchJobs } from './batch-jobs.ts'
import type { InferencePool } from './batcher.ts'
import { createInferenceMetrics } from './inference-metrics.ts'
import type { Batch, ModelFile } from './inference.worker.ts'
import { inputWidth, outputWidth } from './manifest.ts'
import { modelRoutes } from './models.routes.ts'
import { openInferenceRoutes } from './open-inference.routes.ts'
import { createInfer } from './open-inference/infer.ts'
import { predictionRoutes } from './predictions.routes.ts'
import { createPredictions } from './predictions.ts'
import { createReadableModels } from './readable-models.ts'
import { type ModelEntry, readModels } from './registry.ts'
import { rowPredictionRoutes } from './row-predictions.routes.ts'
import { createServedModel, type ServedModel } from './served-model.ts'

export interface Inference {
  routes: Route[]
  modelNames: string[]
  /** Rejects when no thread is there to run the models. */
  requireReady(): Promise<void>
  stop(): Promise<void>
}

/**
 * What the model says: reads the models, loads each in every worker thread and checks that its
 * shapes are what the manifest says.
 *
 * @throws {StartError} naming the file of the model that can't serve.
 */
export async function openInference(deps: {
  config: Config
  cache: Cache
  clock: Clock
  log: Log
  metrics: Registry
  database: Database
  jobs: Jobs
  storage: Storage
  tracing: Tracing
  access: Access
  identity: FindIdentity
}): Promise<Inference> {
  const { config, cache, clock, log, tracing } = deps
  const entries = (await readModels(config.MODELS_DIR)).map((entry) => ({
    ...entry,
    file: fileOf(entry),
  }))
  const pool = await openPool(
    config,
    entries.map(({ file }) => file),
    log,
  )
  const metrics = createInferenceMetrics(deps.metrics)

  const models = new Map<string, ServedModel>()
  for (const entry of entries) {
    const { name, version } = entry.manifest
    const model = await createServedModel(entry, entry.file, {
      pool,
      tracing,
      metrics: metrics.forModel(name, version),
      batchRowsMax: config.PREDICT_BATCH_ROWS_MAX,
      queueRowsMax: config.PREDICT_QUEUE_ROWS_MAX,
      inPlaceUsMax: config.PREDICT_IN_PLACE_US_MAX,
    })
    models.set(name, model)
  }
  metrics.watch({
    queuedRows: () => models.values().reduce((sum, model) => sum + model.queuedRows(), 0),
    threads: () => pool.threads,
    stuckThreads: () => pool.stuckThreads,
  })
  const readable = createReadableModels({ models, access: deps.access })
  const answers = createAnswers({ cache, cacheTtlSeconds: config.PREDICTION_CACHE_TTL_SECONDS })
  const rowsMax = config.PREDICT_ROWS_MAX
  const predictions = createPredictions({ models: readable, answers, rowsMax })

  const batchJobs = createBatchJobs({ ...deps, predictions })

  async function requireReady(): Promise<void> {
    if (pool.threads === 0) throw new Error('no thread runs the models')
  }

  return {
    routes: [
      ...openInferenceRoutes({
        models: readable,
        infer: createInfer({ answers, rowsMax }),
        requireReady,
      }),
      ...modelRoutes({ models: readable, modelsLoaded: models.size, cache, clock }),
      ...rowPredictionRoutes({
        models: readable,
        answers,
        streamBytesMax: config.PREDICT_STREAM_BYTES_MAX,
        jsonBytesMax: config.BODY_BYTES_MAX,
      }),
      ...predictionRoutes({
        predictions,
        batchJobs,
        clock,
        batchesMax: config.PREDICT_BATCHES_MAX,
      }),
    ],
    modelNames: [...models.keys()],
    requireReady,
    stop: () => pool.close(),
  }
}

const fileOf = ({ manifest, path }: ModelEntry): ModelFile => ({
  key: `${manifest.name}/${manifest.version}`,
  path,
  inputWidth: inputWidth(manifest),
  outputWidth: outputWidth(manifest),
})

async function openPool(config: Config, start: ModelFile[], log: Log): Promise<InferencePool> {
  try {
    const { pool } = await Pool.open<ModelFile[], undefined, Batch, Float64Array>({
      name: 'inference',
      script: new URL('inference.worker.ts', import.meta.url),
      start: () => start,
      threads: config.WORKERS,
      // Each model asks for one thread at a time.
      queueMax: start.length + 1,
      runTimeoutMs: config.PREDICT_RUN_TIMEOUT_MS,
      log,
    })
    return pool
  } catch (cause) {
    if (!(cause instanceof PoolError)) throw cause
    throw new StartError(`A model can't be served: ${cause.message}`, { cause })
  }
}
