import { Gauge, type Registry } from 'prom-client'
import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'

import type { Redis } from '../redis/redis.ts'
import { type Limits, WINDOW_SECONDS } from './limits.ts'
import { createMemoryLimits } from './memory.ts'

/** For how long a Redis that would not count is remembered. */
const DEGRADED_MS = 10_000

/**
 * Counts in Redis: one limit for all instances together. While Redis is away each instance counts
 * for itself, so that N of them let N times as much pass.
 *
 * The limiter's own `insuranceLimiter` is not used: it does not say when it stands in, and asks a
 * Redis that does not answer again with each request.
 */
export function createRedisLimits(deps: {
  redis: Redis
  keysMax: number
  metrics: Registry
}): Limits {
  const { redis } = deps
  const local = createMemoryLimits({ keysMax: deps.keysMax })
  let refusedAt = -Infinity

  new Gauge({
    name: 'rate_limit_degraded',
    help: 'Whether this instance counts requests for itself, without the others.',
    registers: [deps.metrics],
    collect() {
      const isDegraded = !redis.isUp() || performance.now() - refusedAt < DEGRADED_MS
      this.set(isDegraded ? 1 : 0)
    },
  })

  return {
    driver: 'redis',
    create({ name, requestsPerMinute }) {
      const limiter = new RateLimiterRedis({
        storeClient: redis.commands,
        keyPrefix: `${redis.prefix}limit:${name}`,
        points: requestsPerMinute,
        duration: WINDOW_SECONDS,
      })
      const standIn = local.create({ name, requestsPerMinute })

      return {
        async consume(key) {
          let standing: RateLimiterRes
          try {
            standing = await redis.ask(() => limiter.consume(key).catch(asAnswer))
          } catch {
            if (redis.isUp()) refusedAt = performance.now()
            return standIn.consume(key)
          }
          if (standing.consumedPoints > requestsPerMinute) throw standing
          return standing
        },
      }
    },
  }
}

/** That a limit is used up is an answer of Redis, not a failure. */
function asAnswer(refusal: unknown): RateLimiterRes {
  if (refusal instanceof RateLimiterRes) return refusal
  throw refusal
}
