import type { Registry } from 'prom-client'

import type { Events } from '../events.ts'
import type { Bus } from './bus/bus.ts'
import type { Cache } from './cache/cache.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Config } from './config.ts'
import type { Database } from './database/database.ts'
import { traceDatabase } from './database/traced.ts'
import { openDatabase, openMail, openShared, openStorage, openTracing } from './drivers.ts'
import { createJobs } from './jobs/database-jobs.ts'
import type { Jobs } from './jobs/jobs.ts'
import type { Limits } from './limits/limits.ts'
import type { Log } from './log.ts'
import type { Mail } from './mail/mail.ts'
import { createMetrics } from './metrics.ts'
import { createOutbox, type Outbox } from './outbox/outbox.ts'
import type { Storage } from './storage/storage.ts'
import type { Tracing } from './tracing/tracing.ts'

/** What every feature stands on. */
export interface Platform {
  config: Config
  clock: Clock
  log: Log
  metrics: Registry
  tracing: Tracing
  database: Database
  cache: Cache
  bus: Bus<Events>
  limits: Limits
  jobs: Jobs
  outbox: Outbox<Events>
  storage: Storage
  /** None where nothing takes it over. */
  mail: Mail | undefined
  /** Closes what was opened, in reverse. */
  close(): Promise<void>
}

/**
 * Chooses a driver for each part and opens it.
 *
 * @throws {StartError} when a part can't be opened, with what to do about it.
 */
export async function openPlatform(
  config: Config,
  log: Log,
  clock: Clock = systemClock,
): Promise<Platform> {
  const metrics = createMetrics()
  const tracing = await openTracing(config, log, metrics)
  const database = traceDatabase(await openDatabase(config), tracing)
  const shared = openShared({ config, log, clock, metrics })
  const jobs = createJobs({
    database,
    clock,
    log,
    metrics,
    tracing,
    concurrency: config.JOBS_CONCURRENCY,
    leaseMs: config.JOB_LEASE_MS,
    pollMs: config.JOB_POLL_MS,
    timeoutMs: config.JOB_TIMEOUT_SECONDS * 1000,
    resultTtlMs: config.JOB_RESULT_TTL_SECONDS * 1000,
    unfinishedMax: config.JOBS_UNFINISHED_MAX,
  })
  const outbox = createOutbox<Events>({
    database,
    bus: shared.bus,
    source: config.PUBLIC_URL,
    clock,
    log,
    metrics,
    pollMs: config.JOB_POLL_MS,
  })
  const storage = await openStorage(config, clock)
  const mail = await openMail(config)
  return {
    config,
    clock,
    log,
    metrics,
    tracing,
    database,
    ...shared,
    jobs,
    outbox,
    storage,
    mail,
    async close() {
      await storage.close()
      await shared.close()
      await database.close()
      await tracing.close()
    },
  }
}
