import { join } from 'node:path'

import type { Events } from '../events.ts'
import type { Access, Ownership } from '../gateway/access.ts'
import type { FindIdentity } from '../gateway/principal.ts'
import type { Route } from '../gateway/route.ts'
import type { Cache } from '../platform/cache/cache.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Database } from '../platform/database/database.ts'
import type { Jobs } from '../platform/jobs/jobs.ts'
import type { Limits } from '../platform/limits/limits.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/outbox/outbox.ts'
import { openPartials } from '../platform/storage/partial.ts'
import type { Storage } from '../platform/storage/storage.ts'
import { datasetEventRoutes } from './dataset-events.routes.ts'
import { datasetExportRoutes } from './dataset-exports.routes.ts'
import { datasetRowRoutes } from './dataset-rows.routes.ts'
import { datasetUploadRoutes } from './dataset-uploads.routes.ts'
import { datasetVersionRoutes } from './dataset-versions.routes.ts'
import { datasetRoutes } from './datasets.routes.ts'
import { createAdditions } from './datasets/additions.ts'
import { createCompaction } from './datasets/compaction.ts'
import { createDatasets } from './datasets/datasets.ts'
import { createDatasetEvents } from './datasets/events.ts'
import { createExports } from './datasets/exports.ts'
import { createHandedUploads } from './datasets/handed-uploads.ts'
import { createReadableDatasets } from './datasets/readable-datasets.ts'
import { createSources } from './datasets/sources.ts'
import { createStatistics } from './datasets/statistics.ts'
import { createStoredFiles } from './datasets/stored-files.ts'
import { createUploads } from './datasets/uploads.ts'
import { endpointRoutes } from './endpoints.routes.ts'
import type { Engines } from './engine/engines.ts'
import { createParser } from './expressions/parser.ts'
import { pipelineRunRoutes } from './pipeline-runs.routes.ts'
import { pipelineRoutes } from './pipelines.routes.ts'
import { createEndpoints } from './pipelines/endpoints.ts'
import { createMaterializer } from './pipelines/materializer.ts'
import { createPipelineJobs } from './pipelines/pipeline-jobs.ts'
import { createPipelineRuns } from './pipelines/pipeline-runs.ts'
import { createPipelines } from './pipelines/pipelines.ts'
import { createPlanner } from './pipelines/planner.ts'
import { createReadablePipelines } from './pipelines/readable-pipelines.ts'
import { createRunner } from './pipelines/runner.ts'
import { createSavedRuns } from './pipelines/saved-runs.ts'
import type { Scorer } from './pipelines/scorer.ts'
import { processRoutes } from './process.routes.ts'
import { createQueries } from './queries/queries.ts'
import { queryRoutes } from './query.routes.ts'

export { createEngines } from './engine/engines.ts'
export { createTableFiles } from './table-files.ts'

export interface Data {
  routes: Route[]
  stop(): Promise<void>
}

/** A compressed table is smaller than its text; of what is not text, about as large. */
const PARQUET_BYTES_A_BYTE = 2

/** What the data says: datasets as Parquet in storage, and DuckDB beside the server to read them with. */
export function createData(deps: {
  config: Config
  clock: Clock
  log: Log
  database: Database
  outbox: Outbox<Events>
  jobs: Jobs
  storage: Storage
  cache: Cache
  limits: Limits
  access: Access
  ownership: Ownership
  identity: FindIdentity
  engines: Engines
  scorer: Scorer
}): Data {
  const { config, clock, jobs, storage, ownership } = deps
  const { answers: engine, jobs: jobEngine } = deps.engines
  const queries = createQueries({ engine })
  const datasets = createDatasets({ ...deps, quotaBytes: config.DATASETS_PER_OWNER_BYTES_MAX })
  const readable = createReadableDatasets({ datasets, access: deps.access })
  const stored = createStoredFiles({
    ...deps,
    datasets,
    exportTtlMs: config.DATASET_EXPORT_SECONDS * 1000,
  })
  const sources = createSources({ storage })
  const exportLimits = {
    bytesMax: config.DATASET_EXPANDED_BYTES_MAX,
    timeoutMs: config.DATA_EXPORT_TIMEOUT_MS,
  }
  const exports = createExports({ queries, sources, storage, limits: exportLimits })
  const additions = createAdditions({ ...deps, datasets, stored })
  const uploads = createUploads({
    additions,
    engine,
    limits: {
      parquetBytesMax: config.DATASET_UPLOAD_BYTES_MAX * PARQUET_BYTES_A_BYTE,
      expandedBytesMax: config.DATASET_EXPANDED_BYTES_MAX,
      timeoutMs: config.DATA_EXPORT_TIMEOUT_MS,
    },
  })
  const partials = openPartials(join(config.DATA_DIR, 'dataset-uploads'))
  const uploadBytesMax = config.DATASET_UPLOAD_BYTES_MAX
  const handed = createHandedUploads({
    ...deps,
    partials,
    bytesMax: Math.min(uploadBytesMax, config.STORAGE_UPLOAD_BYTES_MAX),
  })
  const events = createDatasetEvents({
    additions,
    engine,
    partials,
    limits: {
      waitMs: config.DATASET_EVENTS_WAIT_MS,
      pendingBytesMax: config.DATASET_EVENTS_PENDING_BYTES_MAX,
      expandedBytesMax: config.DATASET_EXPANDED_BYTES_MAX,
      timeoutMs: config.DATA_EXPORT_TIMEOUT_MS,
    },
  })
  const compaction = createCompaction({
    ...deps,
    datasets,
    stored,
    sources,
    queries,
    limits: exportLimits,
  })
  const compact = { type: 'datasets.compact', key: 'datasets.compact', payload: {} }
  jobs.handle(compact.type, { run: () => compaction.run() })
  jobs.schedule(compact.type, '* * * * *', compact)
  const statistics = createStatistics({
    engine,
    sources,
    timeoutMs: config.DATA_QUERY_TIMEOUT_MS,
  })

  const parser = createParser()
  const planner = createPlanner({ ...deps, parser, readable })
  const running = {
    ...deps,
    sources,
    partials: openPartials(join(config.DATA_DIR, 'pipelines')),
    stageBytesMax: config.DATASET_EXPANDED_BYTES_MAX,
  }
  const runner = createRunner({ ...running, queries })
  const jobQueries = createQueries({ engine: jobEngine })
  const jobRunner = createRunner({ ...running, queries: jobQueries })
  const materializer = createMaterializer({
    ...running,
    planner,
    runner: jobRunner,
    queries: jobQueries,
    datasets,
    additions,
    bytesMax: config.DATASET_EXPANDED_BYTES_MAX,
  })
  const pipelines = createPipelines(deps)
  const readablePipelines = createReadablePipelines({ pipelines, access: deps.access })
  const runs = createPipelineRuns(deps)
  const pipelineJobs = createPipelineJobs({
    ...deps,
    materializer,
    runs,
    lane: jobs.openLane({ concurrency: config.DATA_JOBS_MAX }),
    timeoutMs: config.DATA_JOB_TIMEOUT_MS,
  })
  const savedRuns = createSavedRuns({ ...deps, pipelines, runs, pipelineJobs, materializer })

  const answerLimits = {
    bytesMax: config.DATA_RESULT_BYTES_MAX,
    timeoutMs: config.DATA_QUERY_TIMEOUT_MS,
  }

  const strays = { type: 'datasets.remove_strays', key: 'datasets.remove_strays', payload: {} }
  jobs.handle(strays.type, { run: () => stored.removeStrays() })
  jobs.schedule(strays.type, '43 4 * * *', strays)
  const due = { type: 'pipelines.start_due', key: 'pipelines.start_due', payload: {} }
  jobs.handle(due.type, { run: () => savedRuns.startDue() })
  jobs.schedule(due.type, '* * * * *', due)
  const old = { type: 'pipelines.forget_runs', key: 'pipelines.forget_runs', payload: {} }
  jobs.handle(old.type, { run: () => runs.forgetOld() })
  jobs.schedule(old.type, '53 4 * * *', old)

  return {
    routes: [
      ...datasetRoutes({
        datasets,
        readable,
        additions,
        uploads,
        handed,
        stored,
        ownership,
        partials,
        limits: {
          uploadBytesMax,
          rejectedMax: config.DATASET_REJECTED_ROWS_MAX,
          uploadTimeoutMs: config.STORAGE_UPLOAD_TIMEOUT_MS + config.DATA_EXPORT_TIMEOUT_MS,
        },
      }),
      ...datasetUploadRoutes({ handed }),
      ...datasetEventRoutes({
        events,
        limits: {
          bodyBytesMax: config.DATASET_EVENTS_BYTES_MAX,
          timeoutMs: config.DATA_EXPORT_TIMEOUT_MS,
        },
      }),
      ...datasetVersionRoutes({ datasets, readable, stored }),
      ...datasetRowRoutes({
        readable,
        sources,
        queries,
        statistics,
        limits: answerLimits,
      }),
      ...queryRoutes({ planner, runner, limits: answerLimits }),
      ...processRoutes({ planner, runner, pipelineJobs, limits: answerLimits }),
      ...pipelineRoutes({ ...deps, pipelines, readable: readablePipelines, planner }),
      ...pipelineRunRoutes({ readable: readablePipelines, runs, savedRuns }),
      ...endpointRoutes({
        readable: readablePipelines,
        endpoints: createEndpoints({
          ...deps,
          readable: readablePipelines,
          planner,
          runner,
          answerLimits,
        }),
      }),
      ...datasetExportRoutes({
        readable,
        exports,
        storage,
        clock,
        publicUrl: config.PUBLIC_URL,
        timeoutMs: config.DATA_EXPORT_TIMEOUT_MS,
      }),
    ],
    async stop() {
      await Promise.all([engine.close(), jobEngine.close()])
      await parser.close()
    },
  }
}
