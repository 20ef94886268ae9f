import type { Registry } from 'prom-client'

import type { Redis } from '../redis/redis.ts'
import { tallyCounter } from '../tally.ts'
import type { Cache } from './cache.ts'
import { withSharedLoads } from './shared-loads.ts'

/**
 * Keeps values in Redis, for every instance and beyond a restart. Redis itself bounds what they
 * take together (`maxmemory`, best with `allkeys-lru`); `valueBytesMax` bounds each of them.
 */
export function createRedisCache(deps: {
  redis: Redis
  valueBytesMax: number
  metrics: Registry
}): Cache {
  const { redis, valueBytesMax } = deps
  const { commands } = redis
  const prefix = `${redis.prefix}cache:`
  const failures = tallyCounter({
    name: 'cache_failures_total',
    help: 'Lookups and writes that Redis did not answer: misses.',
    labelNames: ['operation'],
    registry: deps.metrics,
  })
  const failed = {
    get: failures({ operation: 'get' }),
    set: failures({ operation: 'set' }),
    delete: failures({ operation: 'delete' }),
  }

  async function remove(key: string): Promise<void> {
    try {
      await redis.ask(() => commands.del(prefix + key))
    } catch {
      failed.delete.inc()
    }
  }

  return withSharedLoads({
    driver: 'redis',
    async get(key) {
      try {
        const value = await redis.ask(() => commands.getBuffer(prefix + key))
        // It may be a view of all that the socket brought.
        return value === null ? undefined : new Uint8Array(value)
      } catch {
        failed.get.inc()
        return undefined
      }
    },
    async set(key, value, ttlSeconds) {
      if (value.byteLength > valueBytesMax) return remove(key)
      // A copy: it is sent a little later, together with other commands.
      const sent = Buffer.from(value)
      const ttlMs = Math.ceil(ttlSeconds * 1000)
      try {
        await redis.ask(() => commands.set(prefix + key, sent, 'PX', ttlMs))
      } catch {
        failed.set.inc()
      }
    },
    delete: remove,
    // Redis counts the keys of a whole database, others' too.
    async size() {
      return undefined
    },
    async close() {},
  })
}
