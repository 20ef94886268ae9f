import { join } from 'node:path'

import type { Events } from '../events.ts'
import type { Access, Ownership } from '../gateway/access.ts'
import type { FindIdentity } from '../gateway/principal.ts'
import type { Cache } from '../platform/cache/cache.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Database } from '../platform/database/database.ts'
import { createEgress } from '../platform/egress/egress.ts'
import type { Jobs } from '../platform/jobs/jobs.ts'
import type { Limits } from '../platform/limits/limits.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/outbox/outbox.ts'
import { openPartials } from '../platform/storage/partial.ts'
import { PARQUET_BYTES_A_BYTE } from './conversion/conversion.ts'
import { datasetImportRoutes } from './dataset-imports.routes.ts'
import type { Additions } from './datasets/additions.ts'
import type { Datasets } from './datasets/datasets.ts'
import type { ReadableDatasets } from './datasets/readable-datasets.ts'
import type { Sources } from './datasets/sources.ts'
import { endpointRoutes } from './endpoints.routes.ts'
import type { Engine } from './engine/engine.ts'
import { createParser } from './expressions/parser.ts'
import { createImports } from './imports/imports.ts'
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
import type { Queries } from './queries/queries.ts'
import { queryRoutes } from './query.routes.ts'

/** What is asked of datasets: queries, steps over them, and pipelines that stay. */
export function createPipelineParts(deps: {
  config: Config
  clock: Clock
  log: Log
  database: Database
  outbox: Outbox<Events>
  jobs: Jobs
  cache: Cache
  limits: Limits
  access: Access
  ownership: Ownership
  identity: FindIdentity
  scorer: Scorer
  jobEngine: Engine
  datasets: Datasets
  readable: ReadableDatasets
  sources: Sources
  additions: Additions
  queries: Queries
}) {
  const { config, jobs, sources, queries, datasets, additions, readable, jobEngine } = deps
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
  const uploadBytesMax = config.DATASET_UPLOAD_BYTES_MAX
  const imports = createImports({
    egress: createEgress(config.EGRESS_ALLOW),
    engine: jobEngine,
    partials: running.partials,
    limits: {
      uploadBytesMax,
      parquetBytesMax: uploadBytesMax * PARQUET_BYTES_A_BYTE,
      expandedBytesMax: config.DATASET_EXPANDED_BYTES_MAX,
    },
  })
  const materializer = createMaterializer({
    ...running,
    planner,
    runner: jobRunner,
    imports,
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

  const due = { type: 'pipelines.start_due', key: 'pipelines.start_due', payload: {} }
  jobs.handle(due.type, { run: () => savedRuns.startDue() })
  jobs.schedule(due.type, '* * * * *', due)
  const old = { type: 'pipelines.forget_runs', key: 'pipelines.forget_runs', payload: {} }
  jobs.handle(old.type, { run: () => runs.forgetOld() })
  jobs.schedule(old.type, '53 4 * * *', old)
  const answerLimits = {
    bytesMax: config.DATA_RESULT_BYTES_MAX,
    timeoutMs: config.DATA_QUERY_TIMEOUT_MS,
  }

  return {
    routes: [
      ...queryRoutes({ planner, runner, limits: answerLimits }),
      ...processRoutes({ planner, runner, pipelineJobs, limits: answerLimits }),
      ...pipelineRoutes({ ...deps, pipelines, readable: readablePipelines, planner, imports }),
      ...datasetImportRoutes({ pipelineJobs }),
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
    ],
    stop: () => parser.close(),
  }
}
