import { createTestClock } from '../../../tests/support/clock.ts'
import { openTestRedis, withRedis } from '../../../tests/support/redis.ts'
import type { Cache } from './cache.ts'
import { createMemoryCache } from './memory.ts'
import { createRedisCache } from './redis.ts'

/** An empty cache, and the time that it goes by. */
export interface Stage {
  cache: Cache
  pass(ms: number): Promise<void>
  close(): Promise<void>
}

interface Driver {
  name: string
  /** Whether it bounds by itself what all values take together, and counts them. */
  isBounded: boolean
  open(bytesMax: number): Promise<Stage>
}

const memory: Driver = {
  name: 'memory',
  isBounded: true,
  async open(bytesMax) {
    const clock = createTestClock()
    const cache = createMemoryCache(bytesMax, clock)
    return { cache, pass: async (ms) => clock.advance(ms), close: () => cache.close() }
  },
}

const redis = (url: string): Driver => ({
  name: 'redis',
  isBounded: false,
  async open(bytesMax) {
    const { redis, metrics, pass, close } = await openTestRedis(url)
    const cache = createRedisCache({ redis, valueBytesMax: bytesMax, metrics })
    return { cache, pass, close }
  },
})

/** Every driver that the suite runs against. */
export const drivers = [memory, ...withRedis('cache', redis)]
