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
import type { Log } from './log.ts'
import { createMetrics } from './metrics.ts'

/** What every feature stands on. */
export interface Platform {
  config: Config
  clock: Clock
  log: Log
  metrics: Registry
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
  const database = await openDatabase(config)
  const cache = createMemoryCache(config.CACHE_BYTES_MAX, clock)
  const bus = createMemoryBus<Events>({ source: config.PUBLIC_URL, clock, log })
  return {
    config,
    clock,
    log,
    metrics: createMetrics(),
    database,
    cache,
    bus,
    async close() {
      await bus.close()
      await cache.close()
      await database.close()
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
