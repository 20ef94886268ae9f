import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { refusal } from '../../../tests/support/refusal.ts'
import type { Cache } from './cache.ts'
import { drivers, type Stage } from './drivers.fixture.ts'

const BYTES_MAX = 10_000
const HOUR_SECONDS = 3600
const bytes = (...values: number[]) => Uint8Array.from(values)

/** What must hold of every driver. */
describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (_, driver) => {
  let stage: Stage
  let cache: Cache
  beforeEach(async () => {
    stage = await driver.open(BYTES_MAX)
    cache = stage.cache
  })
  afterEach(() => stage.close())

  describe('an entry', () => {
    test('is what was set last, until it is deleted', async () => {
      expect(await cache.get('a')).toBeUndefined()
      await cache.set('a', bytes(1, 2), HOUR_SECONDS)
      expect(await cache.get('a')).toEqual(bytes(1, 2))
      await cache.set('a', bytes(3), HOUR_SECONDS)
      expect(await cache.get('a')).toEqual(bytes(3))
      await cache.delete('a')
      expect(await cache.get('a')).toBeUndefined()
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
      expect(await cache.get('a')).toBeUndefined()
    })

    test('is counted, or nobody claims to know', async () => {
      const sizes = [await cache.size()]
      for (const key of ['a', 'b', 'a']) await cache.set(key, bytes(1), HOUR_SECONDS)
      sizes.push(await cache.size())
      await cache.delete('a')
      sizes.push(await cache.size())
      expect(sizes).toEqual(driver.isBounded ? [0, 2, 1] : [undefined, undefined, undefined])
    })
  })

  describe('time to live', () => {
    test('ends by the clock', async () => {
      await cache.set('a', bytes(1), 10)
      await stage.pass(9000)
      expect(await cache.get('a')).toEqual(bytes(1))
      await stage.pass(1001)
      expect(await cache.get('a')).toBeUndefined()
    })

    test('is each entry’s own, and what is over is not counted', async () => {
      await cache.set('short', bytes(1), 10)
      await cache.set('long', bytes(2), 20)
      await stage.pass(10_001)
      expect(await cache.get('short')).toBeUndefined()
      expect(await cache.size()).toBe(driver.isBounded ? 1 : undefined)
      expect(await cache.get('long')).toEqual(bytes(2))
    })

    test('begins anew with each set, and with no get', async () => {
      await cache.set('a', bytes(1), 10)
      await cache.set('b', bytes(1), 10)
      await stage.pass(6000)
      await cache.set('a', bytes(2), 10)
      await cache.get('b')
      await stage.pass(6000)
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

  const kilobyte = new Uint8Array(1000)

  test('a value larger than the bound is not kept, nor is the one before it', async () => {
    await cache.set('a', kilobyte, HOUR_SECONDS)
    await cache.set('b', kilobyte, HOUR_SECONDS)
    await cache.set('a', new Uint8Array(BYTES_MAX + 1), HOUR_SECONDS)
    expect(await cache.get('a')).toBeUndefined()
    expect(await cache.get('b')).toEqual(kilobyte)
  })

  describe('a load', () => {
    /** Makes when it is told to, and counts how often. */
    function maker() {
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
      let times = 0
      const make = () => {
        times += 1
        return promise
      }
      return { make, resolve, reject, times: () => times }
    }

    test('makes what is not there, once', async () => {
      const { make, resolve, times } = maker()
      resolve(bytes(7))
      expect(await cache.load('a', HOUR_SECONDS, make)).toEqual(bytes(7))
      expect(await cache.get('a')).toEqual(bytes(7))
      expect(await cache.load('a', HOUR_SECONDS, make)).toEqual(bytes(7))
      expect(times()).toBe(1)
    })

    test('does not make what is there', async () => {
      await cache.set('a', bytes(1), HOUR_SECONDS)
      const { make, times } = maker()
      expect(await cache.load('a', HOUR_SECONDS, make)).toEqual(bytes(1))
      expect(times()).toBe(0)
    })

    test('is shared by all who ask meanwhile, and each has a copy of its own', async () => {
      const { make, resolve, times } = maker()
      const loads = Array.from({ length: 20 }, () => cache.load('a', HOUR_SECONDS, make))
      const other = cache.load('b', HOUR_SECONDS, async () => bytes(2))
      expect(await other).toEqual(bytes(2))
      resolve(bytes(1))
      const values = await Promise.all(loads)
      values[0]![0] = 9
      expect(values.slice(1)).toEqual(values.slice(1).map(() => bytes(1)))
      expect(await cache.get('a')).toEqual(bytes(1))
      expect(times()).toBe(1)
    })

    test('that fails, fails for all who wait, and the next one makes anew', async () => {
      const { make, reject, times } = maker()
      const loads = [1, 2, 3].map(() => refusal(cache.load('a', HOUR_SECONDS, make)))
      while (times() === 0) await Bun.sleep(1)
      const reason = new Error('no value')
      reject(reason)
      expect(await Promise.all(loads)).toEqual([reason, reason, reason])
      expect(times()).toBe(1)
      expect(await cache.load('a', HOUR_SECONDS, async () => bytes(2))).toEqual(bytes(2))
    })

    test.each<[string, () => Promise<void>, Uint8Array | undefined]>([
      ['set', () => cache.set('a', bytes(5), HOUR_SECONDS), bytes(5)],
      ['delete', () => cache.delete('a'), undefined],
    ])('does not undo a %s that came after it began', async (_, change, expected) => {
      const { make, resolve, times } = maker()
      const load = cache.load('a', HOUR_SECONDS, make)
      while (times() === 0) await Bun.sleep(1)
      await change()
      resolve(bytes(1))
      expect(await load).toEqual(bytes(1))
      await Bun.sleep(5)
      expect(await cache.get('a')).toEqual(expected)
    })

    test('keeps nothing longer than its time to live', async () => {
      await cache.load('a', 10, async () => bytes(1))
      expect(await cache.get('a')).toEqual(bytes(1))
      await stage.pass(10_001)
      expect(await cache.get('a')).toBeUndefined()
    })
  })

  if (!driver.isBounded) return
  describe('the bound in bytes', () => {
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
  })
})
