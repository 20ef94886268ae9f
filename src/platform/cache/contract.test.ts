import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { createTestClock, type TestClock } from '../../../tests/support/clock.ts'
import type { Clock } from '../clock.ts'
import type { Cache } from './cache.ts'
import { createMemoryCache } from './memory.ts'

/** Every driver that the suite runs against. */
const drivers: { name: string; open: (bytesMax: number, clock: Clock) => Cache }[] = [
  { name: 'memory', open: createMemoryCache },
]

const BYTES_MAX = 10_000
const HOUR_SECONDS = 3600
const bytes = (...values: number[]) => Uint8Array.from(values)

describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (_, { open }) => {
  let clock: TestClock
  let cache: Cache
  beforeEach(() => {
    clock = createTestClock()
    cache = open(BYTES_MAX, clock)
  })
  afterEach(() => cache.close())

  describe('an entry', () => {
    test('is what was set last, until it is deleted', async () => {
      expect(await cache.get('a')).toBeUndefined()
      await cache.set('a', bytes(1, 2), HOUR_SECONDS)
      expect(await cache.get('a')).toEqual(bytes(1, 2))
      await cache.set('a', bytes(3), HOUR_SECONDS)
      expect(await cache.get('a')).toEqual(bytes(3))
      expect(await cache.size()).toBe(1)
      await cache.delete('a')
      expect(await cache.get('a')).toBeUndefined()
      expect(await cache.size()).toBe(0)
    })

    test('is its own key’s alone', async () => {
      const keys = ['a', 'A', 'a ', 'a\n', 'a:b', 'é', '', '__proto__']
      for (const [index, key] of keys.entries()) await cache.set(key, bytes(index), HOUR_SECONDS)
      const values = await Promise.all(keys.map((key) => cache.get(key)))
      expect(values).toEqual(keys.map((_, index) => bytes(index)))
    })

    test('may be empty', async () => {
      await cache.set('a', bytes(), HOUR_SECONDS)
      expect(await cache.get('a')).toEqual(bytes())
    })

    test('that is not there can be deleted', async () => {
      await cache.delete('a')
      expect(await cache.size()).toBe(0)
    })
  })

  describe('time to live', () => {
    test('ends by the clock', async () => {
      await cache.set('a', bytes(1), 10)
      clock.advance(9999)
      expect(await cache.get('a')).toEqual(bytes(1))
      clock.advance(2)
      expect(await cache.get('a')).toBeUndefined()
    })

    test('is each entry’s own, and is not counted after it', async () => {
      await cache.set('short', bytes(1), 10)
      await cache.set('long', bytes(2), 20)
      clock.advance(10_001)
      expect(await cache.size()).toBe(1)
      expect(await cache.get('long')).toEqual(bytes(2))
    })

    test('begins anew with each set, and with no get', async () => {
      await cache.set('a', bytes(1), 10)
      await cache.set('b', bytes(1), 10)
      clock.advance(6000)
      await cache.set('a', bytes(2), 10)
      await cache.get('b')
      clock.advance(6000)
      expect(await cache.get('a')).toEqual(bytes(2))
      expect(await cache.get('b')).toBeUndefined()
    })
  })

  describe('a value', () => {
    test('is kept as it was when it was set', async () => {
      const value = bytes(1, 2)
      await cache.set('a', value, HOUR_SECONDS)
      value[0] = 9
      expect(await cache.get('a')).toEqual(bytes(1, 2))
    })

    test('belongs to who got it, with the buffer behind it', async () => {
      const floats = Float64Array.from([1.5, -2])
      const inside = new Uint8Array(new ArrayBuffer(100), 3, 16)
      inside.set(new Uint8Array(floats.buffer))
      await cache.set('a', inside, HOUR_SECONDS)
      const [first, second] = [await cache.get('a'), await cache.get('a')]
      first?.fill(0)
      // Predictions are read like this.
      expect(new Float64Array(second!.buffer)).toEqual(floats)
    })
  })

  describe('the bound in bytes', () => {
    const kilobyte = new Uint8Array(1000)

    test('holds: what was not used for longest goes first', async () => {
      for (let key = 0; key < 8; key += 1) await cache.set(String(key), kilobyte, HOUR_SECONDS)
      // The bound counts keys and what an entry costs besides, so fewer than ten fit.
      const held = await cache.size()
      expect(held).toBeWithin(6, 10)
      await cache.get('0')
      await cache.get('1')
      for (let key = 10; key < 15; key += 1) await cache.set(String(key), kilobyte, HOUR_SECONDS)
      expect(await cache.size()).toBeWithin(6, 10)
      expect(await cache.get('2')).toBeUndefined()
      expect(await cache.get('14')).toEqual(kilobyte)
    })

    test('keeps an entry that is in use', async () => {
      for (let key = 0; key < 100; key += 1) {
        await cache.set(String(key), kilobyte, HOUR_SECONDS)
        expect(await cache.get('0')).toEqual(kilobyte)
      }
    })

    test('is for many small entries what it is for few large ones', async () => {
      for (let key = 0; key < 10_000; key += 1) await cache.set(`${key}`, bytes(1), HOUR_SECONDS)
      expect(await cache.size()).toBeLessThan(BYTES_MAX / 100)
    })

    test('is no place for a value larger than all of it, nor for the one before that', async () => {
      await cache.set('a', kilobyte, HOUR_SECONDS)
      await cache.set('b', kilobyte, HOUR_SECONDS)
      await cache.set('a', new Uint8Array(BYTES_MAX + 1), HOUR_SECONDS)
      expect(await cache.get('a')).toBeUndefined()
      expect(await cache.get('b')).toEqual(kilobyte)
      expect(await cache.size()).toBe(1)
    })
  })
})
