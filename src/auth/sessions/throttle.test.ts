import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { createTestClock, type TestClock } from '../../../tests/support/clock.ts'
import { refusal } from '../../../tests/support/refusal.ts'
import { Problem } from '../../gateway/problem.ts'
import type { Database } from '../../platform/database/database.ts'
import { drivers } from '../../platform/database/drivers.fixture.ts'
import { createSecrets } from '../keys/secrets.ts'
import { authTables } from '../tables.ts'
import { createThrottle, type Throttle } from './throttle.ts'

const DAY_MS = 86_400_000
const HOME = '192.0.2.1'
const ELSEWHERE = '198.51.100.1'

describe.each(drivers.map((driver) => [driver.name, driver] as const))('on %s', (_, driver) => {
  let place: Awaited<ReturnType<typeof driver.create>>
  let database: Database
  let clock: TestClock
  let throttle: Throttle
  /** How often it was told that somebody came while they had to wait. */
  let told = 0
  const open = (limits: { rowsMax?: number; queueMax?: number } = {}) => {
    const tables = authTables(database.kit)
    return createThrottle({
      database,
      tables,
      secrets: createSecrets({ database, tables }),
      clock,
      failuresMax: 5,
      failuresPerAddressMax: 20,
      holdSecondsMax: 900,
      queueMax: 100,
      rowsMax: 1000,
      ...limits,
    })
  }
  beforeEach(async () => {
    place = await driver.create()
    database = await driver.open(place.where)
    clock = createTestClock()
    told = 0
    throttle = open()
  })
  afterEach(async () => {
    await database.close()
    await place.remove()
  })

  const tell = async () => void (told += 1)

  /** @returns 'right', 'wrong', or the seconds to wait. */
  async function guess(name: string, address: string, isRight = false, by = throttle) {
    try {
      return await by.atLogin(
        { name, address },
        async (guess) => {
          if (isRight) await guess.succeeded()
          else await database.write((tx) => guess.failed(tx))
          return isRight ? 'right' : 'wrong'
        },
        tell,
      )
    } catch (error) {
      if (!(error instanceof Problem) || error.kind.status !== 429) throw error
      return Number(error.options.headers!['retry-after'])
    }
  }

  /** Right guesses at once, of which the first takes until so many are refused. */
  function crowd(name: string, size: number, refusedMax: number, by = throttle) {
    const { promise, resolve } = Promise.withResolvers<void>()
    let refused = 0
    const first = by.atLogin({ name, address: HOME }, () => promise, tell)
    const others = Array.from({ length: size - 1 }, async () => {
      try {
        return await guess(name, HOME, true, by)
      } catch (error) {
        refused += 1
        if (refused === refusedMax) resolve()
        throw error
      }
    })
    return [first, ...others]
  }

  /** Tries as soon as it may, so many times. @returns the time that passed, in seconds. */
  async function guessPatiently(times: number, name: string, address: () => string) {
    const startedAt = clock.now()
    for (let done = 0; done < times;) {
      const outcome = await guess(name, address())
      if (typeof outcome === 'number') clock.advance(outcome * 1000)
      else done += 1
    }
    return (clock.now() - startedAt) / 1000
  }

  test('the fifth failure costs a second, each one after it twice as long, up to the limit', async () => {
    const waits: number[] = []
    for (let failures = 1; failures <= 16; failures += 1) {
      expect(await guess('ada', HOME)).toBe('wrong')
      const wait = await guess('ada', HOME)
      if (typeof wait !== 'number') {
        waits.push(0)
        continue
      }
      waits.push(wait)
      clock.advance(wait * 1000 - 1)
      expect(await guess('ada', HOME, true)).toBe(1)
      clock.advance(1)
    }
    // A guess that is let through is a failure too, until there is something to wait for.
    expect(waits.filter((wait) => wait > 0)).toEqual([
      1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900,
    ])
  })

  test('what comes during a wait does not prolong it', async () => {
    await guessPatiently(5, 'ada', () => HOME)
    for (let attempt = 0; attempt < 50; attempt += 1) expect(await guess('ada', HOME)).toBe(1)
    clock.advance(1000)
    expect(await guess('ada', HOME, true)).toBe('right')
  })

  test('it is told of once for each wait', async () => {
    for (const wait of [1, 2]) {
      await guessPatiently(wait === 1 ? 5 : 1, 'ada', () => HOME)
      for (let attempt = 0; attempt < 10; attempt += 1) await guess('ada', HOME)
      expect(told).toBe(wait)
      clock.advance(wait * 1000)
    }
  })

  test('a name that nobody has waits as others do', async () => {
    const waits = async (name: string) => {
      const seconds = await guessPatiently(9, name, () => HOME)
      return [seconds, await guess(name, HOME)]
    }
    expect(await waits('nobody')).toEqual(await waits('ada'))
  })

  test('who rotates addresses waits for the name', async () => {
    let n = 0
    const rotating = () => `203.0.113.${(n += 1) % 250}`
    const seconds = await guessPatiently(100, 'ada', rotating)
    // 1 + 2 + … + 512 s, and then a quarter of an hour each.
    expect(seconds).toBeGreaterThan(85 * 900)
  })

  test('IPv6: a /64 is one address', async () => {
    for (let n = 0; n < 30; n += 1) await guess(`user ${n}`, `2001:db8::${n.toString(16)}`)
    expect(await guess('another', '2001:db8::ffff')).toBeNumber()
    expect(await guess('another', '2001:db8:0:1::1')).toBe('wrong')
  })

  test('who sprays many names from one address waits for the address, and others elsewhere do not', async () => {
    let n = 0
    for (; n < 20; n += 1) expect(await guess(`user ${n}`, ELSEWHERE)).toBe('wrong')
    expect(await guess(`user ${n}`, ELSEWHERE)).toBe(1)
    expect(await guess(`user ${n}`, ELSEWHERE, true)).toBe(1)
    expect(await guess(`user ${n}`, HOME, true)).toBe('right')
  })

  test('a victim is not locked out by 1,000 failures elsewhere, as often as it logs in', async () => {
    expect(await guess('ada', HOME, true)).toBe('right')
    for (let round = 0; round < 10; round += 1) {
      await guessPatiently(100, 'ada', () => ELSEWHERE)
      expect(await guess('ada', ELSEWHERE, true)).toBeNumber()
      expect(await guess('ada', HOME, true)).toBe('right')
    }
  })

  test('nor by somebody who sprays from its own address', async () => {
    expect(await guess('ada', HOME, true)).toBe('right')
    for (let n = 0; n < 40; n += 1) await guess(`user ${n}`, HOME)
    expect(await guess('user 41', HOME)).toBeNumber()
    expect(await guess('ada', HOME, true)).toBe('right')
  })

  test('a known address gets five guesses too', async () => {
    await guess('ada', HOME, true)
    for (let failures = 0; failures < 5; failures += 1) await guess('ada', HOME)
    expect(await guess('ada', HOME)).toBe(1)
  })

  test('it is known for ninety days', async () => {
    await guess('ada', HOME, true)
    clock.advance(89 * DAY_MS)
    await guessPatiently(8, 'ada', () => ELSEWHERE)
    expect(await guess('ada', HOME)).toBe('wrong')
    clock.advance(DAY_MS)
    await guessPatiently(8, 'ada', () => ELSEWHERE)
    expect(await guess('ada', HOME)).toBeNumber()
  })

  test('of a name twenty addresses are known, the latest', async () => {
    for (let n = 1; n <= 21; n += 1) {
      clock.advance(1000)
      await guess('ada', `192.0.2.${n}`, true)
    }
    await guessPatiently(8, 'ada', () => ELSEWHERE)
    expect(await guess('ada', '192.0.2.1')).toBeNumber()
    expect(await guess('ada', '192.0.2.2')).toBe('wrong')
    expect(await guess('ada', '192.0.2.21')).toBe('wrong')
  })

  test('success begins the count of this place anew, and not that of the address', async () => {
    for (let n = 0; n < 3; n += 1) {
      for (let failures = 0; failures < 4; failures += 1) await guess('ada', HOME)
      expect(await guess('ada', HOME, true)).toBe('right')
    }
    for (let n = 0; n < 8; n += 1) await guess(`user ${n}`, HOME)
    expect(await guess('user 9', HOME)).toBe(1)
  })

  test('a day later nothing is remembered', async () => {
    await guessPatiently(20, 'ada', () => HOME)
    clock.advance(DAY_MS)
    for (let failures = 0; failures < 4; failures += 1) {
      expect(await guess('ada', HOME)).toBe('wrong')
    }
    expect(await guess('ada', HOME, true)).toBe('right')
  })

  test('another process knows, and one that starts later', async () => {
    const other = open()
    for (let failures = 0; failures < 3; failures += 1) await guess('ada', HOME)
    for (let failures = 0; failures < 2; failures += 1) await guess('ada', HOME, false, other)
    expect(await guess('ada', HOME)).toBe(1)
    expect(await guess('ada', HOME, false, open())).toBe(1)
  })

  test('of many guesses at once five are looked at', async () => {
    const guesses = Array.from({ length: 17 }, () => guess('ada', HOME))
    const outcomes = await Promise.all(guesses)
    expect(outcomes.filter((outcome) => outcome === 'wrong')).toHaveLength(5)
  })

  test('many right ones at once are all let in', async () => {
    const guesses = Array.from({ length: 17 }, () => guess('ada', HOME, true))
    expect(new Set(await Promise.all(guesses))).toEqual(new Set(['right']))
  })

  test('more than may wait for their turn are told to come back', async () => {
    const narrow = open({ queueMax: 2 })
    const [, ...waiting] = crowd('ada', 10, 7, narrow)
    const outcomes = await Promise.allSettled(waiting)
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(7)
    for (const { reason } of refused as PromiseRejectedResult[]) {
      expect(reason).toMatchObject({ kind: { status: 503 } })
      expect((reason as Problem).options.headers).toEqual({ 'retry-after': '2' })
    }
  })

  test('of one name no more than sixteen wait, and other names have their turn', async () => {
    const guesses = Promise.allSettled(crowd('ada', 200, 183))
    const others = await Promise.all(
      Array.from({ length: 17 }, () => guess('eve', ELSEWHERE, true)),
    )
    expect(new Set(others)).toEqual(new Set(['right']))
    const outcomes = await guesses
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(17)
  })

  test('a name that is held back does not wait for its turn, so that it takes up no room', async () => {
    const narrow = open({ queueMax: 1 })
    for (let failures = 0; failures < 5; failures += 1) await guess('ada', HOME)
    const outcomes = Array.from({ length: 200 }, () => guess('ada', HOME, true, narrow))
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set([1]))
    expect(told).toBe(1)
  })

  test('a guess that breaks off lets the next one through, and counts for nothing', async () => {
    for (let n = 0; n < 10; n += 1) {
      const broken = throttle.atLogin(
        { name: 'ada', address: HOME },
        async () => {
          throw new Error('no')
        },
        tell,
      )
      expect(await refusal(broken)).toMatchObject({ message: 'no' })
    }
    expect(await guess('ada', HOME, true)).toBe('right')
  })

  test('who has logged in guesses at their own password as slowly, wherever they are', async () => {
    const confirm = (isRight: boolean) =>
      throttle.atAccount(
        'ada',
        async (guess) => {
          if (isRight) await guess.succeeded()
          else await database.write((tx) => guess.failed(tx))
        },
        tell,
      )
    for (let failures = 0; failures < 4; failures += 1) await confirm(false)
    await confirm(true)
    for (let failures = 0; failures < 5; failures += 1) await confirm(false)
    expect(await refusal(confirm(true))).toMatchObject({ kind: { status: 429 } })
    await database.write((tx) =>
      throttle.welcome(tx, { accountId: 'ada', names: ['ada', null], address: HOME }),
    )
    await confirm(true)
  })

  test('who is welcome at an address is held back there by nobody', async () => {
    await guessPatiently(8, 'ada', () => HOME)
    await guessPatiently(8, 'ada', () => ELSEWHERE)
    expect(await guess('ada', HOME, true)).toBeNumber()
    await database.write((tx) =>
      throttle.welcome(tx, { accountId: '1', names: ['ada', 'ada@example.com'], address: HOME }),
    )
    expect(await guess('ada', HOME, true)).toBe('right')
    expect(await guess('ada', ELSEWHERE, true)).toBeNumber()
  })

  test('the database has no name and no address', async () => {
    await guess('a password typed as a name', HOME)
    await guess('ada lovelace', HOME, true)
    const { throttles, knownAddresses } = authTables(database.kit)
    const rows = [
      await database.read.select().from(throttles),
      await database.read.select().from(knownAddresses),
    ]
    expect(rows.map(({ length }) => length)).toEqual([3, 1])
    // Long enough to stand in no digest by chance.
    for (const text of ['password', 'lovelace', HOME])
      expect(JSON.stringify(rows)).not.toContain(text)
  })

  test('what is over leaves the database, and beyond LOGIN_THROTTLES_MAX the oldest', async () => {
    const { throttles, knownAddresses } = authTables(database.kit)
    const count = async () => (await database.read.select().from(throttles)).length
    const small = open({ rowsMax: 10 })
    await guess('ada', HOME, true)
    for (let n = 0; n < 8; n += 1) {
      clock.advance(1000)
      await guess(`user ${n}`, ELSEWHERE)
    }
    expect(await count()).toBe(17)
    await small.removeExpired()
    expect(await count()).toBe(10)
    for (let failures = 1; failures < 5; failures += 1) await guess('user 7', ELSEWHERE)
    expect(await guess('user 7', ELSEWHERE)).toBeNumber()
    clock.advance(DAY_MS + 10_000)
    await throttle.removeExpired()
    expect(await count()).toBe(0)
    expect(await database.read.select().from(knownAddresses)).toHaveLength(1)
    clock.advance(90 * DAY_MS)
    await throttle.removeExpired()
    expect(await database.read.select().from(knownAddresses)).toEqual([])
  })
})
