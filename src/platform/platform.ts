import type { Registry } from 'prom-client'

import { type Events, events } from '../events.ts'
import type { Bus } from './bus/bus.ts'
import { createMemoryBus } from './bus/memory.ts'
import { openRedisBus } from './bus/redis.ts'
import type { Cache } from './cache/cache.ts'
import { createMemoryCache } from './cache/memory.ts'
import { createRedisCache } from './cache/redis.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Config } from './config.ts'
import type { Database } from './database/database.ts'
import { openSqlite } from './database/sqlite.ts'
import type { Limits } from './limits/limits.ts'
import { createMemoryLimits } from './limits/memory.ts'
import { createRedisLimits } from './limits/redis.ts'
import type { Log } from './log.ts'
import { createMetrics } from './metrics.ts'
import { openRedis } from './redis/redis.ts'

/** What every feature stands on. */
export interface Platform {
  config: Config
  clock: Clock
  log: Log
  metrics: Registry
  database: Database
  cache: Cache
  bus: Bus<Events>
  limits: Limits
  /** Closes what was opened, in reverse. */
  close(): Promise<void>
}

/**
 * Chooses a driver for each part and opens it.
 *
 * @throws {StartError} when a part can't be opened, with what to do about it.
 */
export function openPlatform(config: Config, log: Log, clock: Clock = systemClock): Platform {
  const metrics = createMetrics()
  const database = openSqlite(config.DATA_DIR)
  const shared = openShared({ config, log, clock, metrics })
  return {
    config,
    clock,
    log,
    metrics,
    database,
    ...shared,
    async close() {
      await shared.close()
      await database.close()
    },
  }
}

/** What instances share where there is a Redis, and what is this process's own without one. */
function openShared(deps: {
  config: Config
  log: Log
  clock: Clock
  metrics: Registry
}): Pick<Platform, 'cache' | 'bus' | 'limits' | 'close'> {
  const { config, log, clock, metrics } = deps
  const {
    REDIS_URL: url,
    REDIS_PREFIX: prefix,
    PUBLIC_URL: source,
    CACHE_BYTES_MAX: bytesMax,
    RATE_LIMIT_KEYS_MAX: keysMax,
  } = config
  if (url === undefined) {
    const cache = createMemoryCache(bytesMax, clock)
    const bus = createMemoryBus<Events>({ source, clock, log })
    return {
      cache,
      bus,
      limits: createMemoryLimits({ keysMax }),
      async close() {
        await bus.close()
        await cache.close()
      },
    }
  }
  const redis = openRedis({ url, prefix, log, metrics })
  const cache = createRedisCache({ redis, valueBytesMax: bytesMax, metrics })
  const bus = openRedisBus<Events>({ url, redis, vocabulary: events, source, clock, log, metrics })
  return {
    cache,
    bus,
    limits: createRedisLimits({ redis, keysMax, metrics }),
    async close() {
      await bus.close()
      await cache.close()
      await redis.close()
    },
  }
}
