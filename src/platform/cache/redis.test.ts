import { describe, expect, test } from 'bun:test'

import { openTestRedis, sample, withRedis } from '../../../tests/support/redis.ts'
import { createRedisCache } from './redis.ts'

const value = Uint8Array.of(1)

describe.each(withRedis('the cache of several instances', (url) => url))('on one Redis', (url) => {
  test('what one instance keeps, another finds', async () => {
    const one = await openTestRedis(url)
    const other = await openTestRedis(url, one.prefix)
    const caches = [one, other].map(({ redis, metrics }) =>
      createRedisCache({ redis, metrics, valueBytesMax: 100 }),
    )
    await caches[0]!.set('a', value, 60)
    expect(await caches[1]!.get('a')).toEqual(value)
    await Promise.all([one.close(), other.close()])
  })

  test('servers with another prefix have another cache', async () => {
    const [one, other] = [await openTestRedis(url), await openTestRedis(url)]
    const caches = [one, other].map(({ redis, metrics }) =>
      createRedisCache({ redis, metrics, valueBytesMax: 100 }),
    )
    await caches[0]!.set('a', value, 60)
    expect(await caches[1]!.get('a')).toBeUndefined()
    await Promise.all([one.close(), other.close()])
  })

  test('a Redis that refuses is a miss, is counted, and is logged once', async () => {
    const { redis, metrics, lines, prefix, close } = await openTestRedis(url)
    const cache = createRedisCache({ redis, metrics, valueBytesMax: 100 })
    await redis.commands.rpush(`${prefix}:cache:list`, 'no value of ours')
    expect(await cache.get('list')).toBeUndefined()
    expect(await cache.get('list')).toBeUndefined()
    expect(await cache.load('list', 60, async () => value)).toEqual(value)
    expect(await sample(metrics, 'cache_failures_total{operation="get"}')).toBe(3)
    expect(redis.isUp()).toBe(true)
    expect(lines).toMatchObject([{ 'log.level': 'warn', message: 'Redis refuses' }])
    await close()
  })
})
