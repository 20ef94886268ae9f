import { join } from 'node:path'

import type { Events } from '../events.ts'
import type { Access, Ownership } from '../gateway/access.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Database } from '../platform/database/database.ts'
import type { Jobs } from '../platform/jobs/jobs.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/outbox/outbox.ts'
import { openPartials } from '../platform/storage/partial.ts'
import type { Storage } from '../platform/storage/storage.ts'
import { PARQUET_BYTES_A_BYTE } from './conversion/conversion.ts'
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
import type { Engine } from './engine/engine.ts'
import { createQueries } from './queries/queries.ts'

/** What is kept: tables as Parquet in storage, that come in, are read and go. */
export function createDatasetParts(deps: {
  config: Config
  clock: Clock
  log: Log
  database: Database
  outbox: Outbox<Events>
  jobs: Jobs
  storage: Storage
  access: Access
  ownership: Ownership
  engine: Engine
}) {
  const { config, clock, jobs, storage, ownership, engine } = deps
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
  const strays = { type: 'datasets.remove_strays', key: 'datasets.remove_strays', payload: {} }
  jobs.handle(strays.type, { run: () => stored.removeStrays() })
  jobs.schedule(strays.type, '43 4 * * *', strays)

  const answerLimits = {
    bytesMax: config.DATA_RESULT_BYTES_MAX,
    timeoutMs: config.DATA_QUERY_TIMEOUT_MS,
  }
  return {
    datasets,
    readable,
    sources,
    additions,
    queries,
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
      ...datasetExportRoutes({
        readable,
        exports,
        storage,
        clock,
        publicUrl: config.PUBLIC_URL,
        timeoutMs: config.DATA_EXPORT_TIMEOUT_MS,
      }),
    ],
  }
}
