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
import type { Storage } from '../platform/storage/storage.ts'
import { createDatasetParts } from './dataset-parts.ts'
import type { Engines } from './engine/engines.ts'
import { createPipelineParts } from './pipeline-parts.ts'
import type { Scorer } from './pipelines/scorer.ts'

export { createEngines } from './engine/engines.ts'
export { createTableFiles } from './table-files.ts'

export interface Data {
  routes: Route[]
  stop(): Promise<void>
}

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
  const { answers, jobs } = deps.engines
  const datasets = createDatasetParts({ ...deps, engine: answers })
  const pipelines = createPipelineParts({ ...deps, ...datasets, jobEngine: jobs })
  return {
    routes: [...datasets.routes, ...pipelines.routes],
    async stop() {
      await Promise.all([answers.close(), jobs.close()])
      await pipelines.stop()
    },
  }
}
