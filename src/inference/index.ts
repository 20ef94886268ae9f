import { join } from 'node:path'

import type { Registry } from 'prom-client'

import type { Events } from '../events.ts'
import type { Access, Ownership } from '../gateway/access.ts'
import type { Actor, FindIdentity } from '../gateway/principal.ts'
import type { Route } from '../gateway/route.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Cache } from '../platform/cache/cache.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Database } from '../platform/database/database.ts'
import type { Jobs } from '../platform/jobs/jobs.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/outbox/outbox.ts'
import { openPartials } from '../platform/storage/partial.ts'
import type { Storage } from '../platform/storage/storage.ts'
import type { Tracing } from '../platform/tracing/tracing.ts'
import { createAdmission } from './admission/admission.ts'
import { createBatchJobs } from './batch-jobs.ts'
import { createModelCards } from './model-cards.ts'
import { modelVersionRoutes } from './model-versions.routes.ts'
import { modelRoutes } from './models.routes.ts'
import { openInferenceModelRoutes } from './open-inference-models.routes.ts'
import { openInferenceRepositoryRoutes } from './open-inference-repository.routes.ts'
import { openInferenceServerRoutes } from './open-inference-server.routes.ts'
import { openInferenceStatisticsRoutes } from './open-inference-statistics.routes.ts'
import { openInferenceRoutes } from './open-inference.routes.ts'
import { createInfer } from './open-inference/infer.ts'
import { predictionRoutes } from './predictions.routes.ts'
import { createPredictions } from './predictions.ts'
import { inferenceProblems } from './problems.ts'
import { createReadableModels } from './readable-models.ts'
import { createAdoption } from './registry/adoption.ts'
import { createLiveModels } from './registry/live-models.ts'
import { createLoader, fileOf } from './registry/loader.ts'
import { readModelFolder } from './registry/model-folder.ts'
import { createModelUses } from './registry/model-uses.ts'
import { createModels } from './registry/models.ts'
import { createRemovals } from './registry/removals.ts'
import { createUploads } from './registry/uploads.ts'
import { rowPredictionRoutes } from './row-predictions.routes.ts'
import type { TableFiles } from './rows/table-files.ts'
import { createAnswers } from './serving/answers.ts'
import { createInferenceMetrics } from './serving/inference-metrics.ts'
import { openModelThreads } from './serving/model-threads.ts'
import { createShadows } from './serving/shadows.ts'
import { createTableScorer, type TableScorer } from './table-scorer.ts'
import { trafficRoutes } from './traffic.routes.ts'

export interface Inference {
  routes: Route[]
  /** For tables of other features. */
  scorer: TableScorer
  modelNames(): string[]
  /** Rejects when no thread is there to run the models, or one does not load. */
  requireReady(): Promise<void>
  /** Adopts what is new in the folder of models, for this owner, and loads what serves. */
  start(ownerId: string | null): Promise<void>
  stop(): Promise<void>
}

/** How often the database is looked at for changes that no event told of: so that all know within 2 s. */
const POLL_MS = 1_000

/**
 * What the model says: reads the folder of models, and loads what is new there in every worker thread,
 * which checks that its shapes are what the manifest says.
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
  bus: Bus<Events>
  outbox: Outbox<Events>
  jobs: Jobs
  storage: Storage
  tracing: Tracing
  access: Access
  ownership: Ownership
  identity: FindIdentity
  tableFiles: TableFiles
  /** What runs in the threads, where it is not what the server has. */
  workerScript?: URL | undefined
}): Promise<Inference> {
  const { config, cache, clock, log, jobs, bus, storage } = deps
  const models = createModels({ ...deps, quotaBytes: config.MODELS_PER_OWNER_BYTES_MAX })
  const adoption = createAdoption({ ...deps, models })
  const candidates = await adoption.candidates(await readModelFolder(config.MODELS_DIR))
  const candidateFiles = candidates.map((entry) => fileOf(entry, `adopted ${entry.digest}`))
  const threads = await openModelThreads(
    {
      threads: config.WORKERS,
      runTimeoutMs: config.PREDICT_RUN_TIMEOUT_MS,
      script: deps.workerScript,
      log,
    },
    candidateFiles,
  )

  const metrics = createInferenceMetrics(deps.metrics)
  const loader = createLoader({
    ...deps,
    threads,
    metrics,
    batchRowsMax: config.PREDICT_BATCH_ROWS_MAX,
    queueRowsMax: config.PREDICT_QUEUE_ROWS_MAX,
    inPlaceUsMax: config.PREDICT_IN_PLACE_US_MAX,
    rowsMax: config.PREDICT_ROWS_MAX,
    valuesMax: config.PREDICT_VALUES_MAX,
    explainValuesMax: config.PREDICT_EXPLAIN_VALUES_MAX,
  })
  const uses = createModelUses({ models, log })
  const live = createLiveModels({
    models,
    storage,
    loader: uses.counting(loader),
    log,
    askedMax: config.MODEL_VERSIONS_ASKED_MAX,
  })
  const servedModels = () => live.all().flatMap(({ versions }) => [...versions.values()])
  metrics.watch({
    queuedRows: () => servedModels().reduce((sum, model) => sum + model.queuedRows(), 0),
    threads: () => threads.pool.threads,
    stuckThreads: () => threads.pool.stuckThreads,
  })

  const exists = async (name: string) => (await models.find(name)) !== undefined
  const readable = createReadableModels({ live, access: deps.access, exists })
  const answers = createAnswers({
    cache,
    cacheTtlSeconds: config.PREDICTION_CACHE_TTL_SECONDS,
    askShadow: createShadows({ log }),
  })
  const predictions = createPredictions({ models: readable, answers })
  const batchJobs = createBatchJobs({ ...deps, predictions })
  const admission = createAdmission({
    timeoutMs: config.MODEL_ADMISSION_TIMEOUT_MS,
    memoryBytesMax: config.MODEL_ADMISSION_MEMORY_BYTES_MAX,
    queueMax: config.MODEL_ADMISSIONS_MAX,
    log,
  })
  const uploads = createUploads({ ...deps, models, live, admission })
  const removals = createRemovals({ models, live, storage, clock })

  const strays = { type: 'models.remove_strays', key: 'models.remove_strays', payload: {} }
  jobs.handle(strays.type, { run: () => removals.removeStrays() })
  jobs.schedule(strays.type, '13 4 * * *', strays)

  async function setLoaded(name: string, isLoaded: boolean, actor: Actor): Promise<void> {
    await models.setLoaded(name, isLoaded, actor)
    await live.sync(name)
    if (!isLoaded || live.get(name)?.faults.size === 0) return
    throw inferenceProblems.notLoaded({ detail: `"${name}" can't be loaded.` })
  }

  async function requireReady(): Promise<void> {
    if (threads.pool.threads === 0) throw new Error('no thread runs the models')
  }

  const isReady = () =>
    requireReady().then(
      () => true,
      () => false,
    )

  const partials = openPartials(join(config.DATA_DIR, 'uploads'))
  let stopHearing = () => {}
  let poll: Timer | undefined
  /** Until the next look. */
  const syncQuietly = (sync: Promise<void>) =>
    sync.catch((error: unknown) => log.warn({ error }, 'the models could not be looked at'))

  return {
    routes: [
      ...openInferenceServerRoutes({ isReady }),
      ...openInferenceStatisticsRoutes({ models: readable }),
      ...openInferenceRepositoryRoutes({ models: readable, setLoaded }),
      ...openInferenceModelRoutes({ models: readable, isReady }),
      ...openInferenceRoutes({ models: readable, infer: createInfer({ answers }) }),
      ...modelRoutes({
        models: readable,
        cards: createModelCards({ models, ownership: deps.ownership }),
        live,
        uploads,
        removals,
        partials,
        limits: {
          modelBytesMax: config.MODEL_BYTES_MAX,
          jsonBytesMax: config.MODEL_EXAMPLES_BYTES_MAX,
        },
        uploadTimeoutMs: config.STORAGE_UPLOAD_TIMEOUT_MS,
        cache,
        clock,
      }),
      ...modelVersionRoutes({ readable, models, live, removals }),
      ...trafficRoutes({ readable, models, live }),
      ...rowPredictionRoutes({
        models: readable,
        answers,
        files: deps.tableFiles,
        streamBytesMax: config.PREDICT_STREAM_BYTES_MAX,
        partials,
        unreadBytesMax: config.PREDICT_UNREAD_BYTES_MAX,
        unreadTimeoutMs: config.PREDICT_UNREAD_TIMEOUT_MS,
        jsonBytesMax: config.BODY_BYTES_MAX,
        log,
      }),
      ...predictionRoutes({
        predictions,
        batchJobs,
        clock,
        batchesMax: config.PREDICT_BATCHES_MAX,
      }),
    ],
    scorer: createTableScorer({ models: readable, answers, jsonBytesMax: config.BODY_BYTES_MAX }),
    modelNames: () => live.all().map(({ name }) => name),
    requireReady,
    async start(ownerId) {
      for (const entry of candidates) await adoption.adopt(entry, ownerId)
      await live.syncAll()
      for (const { key } of candidateFiles) await threads.unload(key)
      stopHearing = bus.subscribe(async ({ type, data }) => {
        if (type.startsWith('models.') && 'name' in data) await syncQuietly(live.sync(data.name))
      })
      poll = setInterval(() => void syncQuietly(live.syncAll()), POLL_MS)
      poll.unref()
      uses.start()
    },
    async stop() {
      stopHearing()
      clearInterval(poll)
      await live.stop()
      await uses.stop()
      await threads.close()
    },
  }
}
