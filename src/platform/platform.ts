import type { Registry } from 'prom-client'

import type { Events } from '../events.ts'
import type { Bus } from './bus/bus.ts'
import { createMemoryBus } from './bus/memory.ts'
import type { Cache } from './cache/cache.ts'
import { createMemoryCache } from './cache/memory.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Config } from './config.ts'
import type { Database } from './database/database.ts'
import { openPostgres } from './database/postgres.ts'
import { openSqlite } from './database/sqlite.ts'
import { traceDatabase } from './database/traced.ts'
import type { Log } from './log.ts'
import { createMetrics } from './metrics.ts'
import { createNoTracing } from './tracing/none.ts'
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
  const cache = createMemoryCache(config.CACHE_BYTES_MAX, clock)
  const bus = createMemoryBus<Events>({ source: config.PUBLIC_URL, clock, log })
  return {
    config,
    clock,
    log,
    metrics,
    tracing,
    database,
    cache,
    bus,
    async close() {
      await bus.close()
      await cache.close()
      await database.close()
      await tracing.close()
    },
  }
}

const openDatabase = (config: Config): Promise<Database> =>
  config.DATABASE_URL === undefined
    ? openSqlite(config.DATA_DIR)
    : openPostgres({
        url: config.DATABASE_URL,
        connectionsMax: config.DATABASE_POOL_MAX,
        statementTimeoutMs: config.REQUEST_TIMEOUT_MS,
      })

async function openTracing(config: Config, log: Log, metrics: Registry): Promise<Tracing> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = config
  if (endpoint === undefined) return createNoTracing()
  // OpenTelemetry's modules take 60 ms to load: only for who uses them.
  const { createOtlpTracing } = await import('./tracing/otlp.ts')
  return createOtlpTracing({
    endpoint,
    headers: config.OTEL_EXPORTER_OTLP_HEADERS ?? {},
    serviceName: config.OTEL_SERVICE_NAME,
    share: config.OTEL_TRACES_SAMPLER_ARG,
    log,
    metrics,
  })
}
