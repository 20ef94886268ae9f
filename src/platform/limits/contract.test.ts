import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { RateLimiterRes } from 'rate-limiter-flexible'

import { openTestRedis, sample, withRedis } from '../../../tests/support/redis.ts'
import { refusal } from '../../../tests/support/refusal.ts'
import type { Limits } from './limits.ts'
import { createMemoryLimits } from './memory.ts'
import { createRedisLimits } from './redis.ts'

interface Stage {
  limits: Limits
  close(): Promise<void>
}

const KEYS_MAX = 1000

/** Every driver that the suite runs against. */
const drivers: { name: string; open: () => Promise<Stage> }[] = [
  {
    name: 'memory',
    open: async () => ({
      limits: createMemoryLimits({ keysMax: KEYS_MAX }),
      close: async () => {},
    }),
  },
  ...withRedis('rate limits', (url) => ({
    name: 'redis',
    async open() {
      const { redis, metrics, close } = await openTestRedis(url)
      return { limits: createRedisLimits({ redis, metrics, keysMax: KEYS_MAX }), close }
    },
  })),
]

describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (_, driver) => {
  let stage: Stage
  let limits: Limits
  beforeEach(async () => {
    stage = await driver.open()
    limits = stage.limits
  })
  afterEach(() => stage.close())

  test('counts down to the last that may pass, and refuses the next', async () => {
    const limit = limits.create({ name: 'a', requestsPerMinute: 3 })
    const left = []
    for (let time = 0; time < 3; time += 1) left.push((await limit.consume('k')).remainingPoints)
    expect(left).toEqual([2, 1, 0])
    const refused = await refusal(limit.consume('k'))
    expect(refused).toBeInstanceOf(RateLimiterRes)
    expect(refused).toMatchObject({ remainingPoints: 0 })
    expect((refused as RateLimiterRes).msBeforeNext).toBeWithin(50_000, 60_001)
  })

  test('of many at once, exactly so many pass', async () => {
    const limit = limits.create({ name: 'a', requestsPerMinute: 30 })
    const settled = await Promise.allSettled(Array.from({ length: 100 }, () => limit.consume('k')))
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(30)
  })

  test('counts each key, and each name, apart', async () => {
    const [one, other] = ['a', 'b'].map((name) => limits.create({ name, requestsPerMinute: 1 }))
    for (const key of ['k', 'K', '2001:db8:1:2::/64', 'é', '']) {
      expect(await one!.consume(key)).toMatchObject({ remainingPoints: 0 })
      expect(await other!.consume(key)).toMatchObject({ remainingPoints: 0 })
      expect(await refusal(one!.consume(key))).toBeInstanceOf(RateLimiterRes)
    }
  })
})

describe.each(withRedis('the limit of several instances', (url) => url))('on one Redis', (url) => {
  test('a limit is one for all instances', async () => {
    const one = await openTestRedis(url)
    const other = await openTestRedis(url, one.prefix)
    const consumers = [one, other].map(({ redis, metrics }) =>
      createRedisLimits({ redis, metrics, keysMax: KEYS_MAX }).create({
        name: 'a',
        requestsPerMinute: 10,
      }),
    )
    const settled = await Promise.allSettled(
      Array.from({ length: 30 }, (_, index) => consumers[index % 2]!.consume('k')),
    )
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(10)
    expect(await sample(one.metrics, 'rate_limit_degraded')).toBe(0)
    await Promise.all([one.close(), other.close()])
  })

  test('what Redis refuses to count is counted here', async () => {
    const { redis, metrics, prefix, close } = await openTestRedis(url)
    const limit = createRedisLimits({ redis, metrics, keysMax: KEYS_MAX }).create({
      name: 'a',
      requestsPerMinute: 1,
    })
    await redis.commands.rpush(`${prefix}:limit:a:k`, 'no number')
    expect(await limit.consume('k')).toMatchObject({ remainingPoints: 0 })
    expect(await refusal(limit.consume('k'))).toBeInstanceOf(RateLimiterRes)
    expect(await sample(metrics, 'rate_limit_degraded')).toBe(1)
    expect(redis.isUp()).toBe(true)
    await close()
  })
})
