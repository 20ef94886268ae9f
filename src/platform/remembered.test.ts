import { beforeEach, describe, expect, test } from 'bun:test'

import { createTestClock, type TestClock } from '../../tests/support/clock.ts'
import { refusal } from '../../tests/support/refusal.ts'
import { DatabaseSilent } from './database/database.ts'
import { createRemembered, type Remembered } from './remembered.ts'

interface Value {
  version: number
}

let clock: TestClock
let version: number
let reads: string[]
let knownToReads: (Value | undefined)[]
/** What happens to a read instead of an answer. */
let trouble: (() => Promise<Value>) | undefined
/** That a key stands for nothing any more. */
class Refused extends Error {}
let remembered: Remembered<Value>
beforeEach(() => {
  clock = createTestClock()
  version = 1
  reads = []
  knownToReads = []
  trouble = undefined
  remembered = createRemembered({
    read: (key, known) => {
      reads.push(key)
      knownToReads.push(known)
      return trouble?.() ?? Promise.resolve({ version })
    },
    isRefusal: (error) => error instanceof Refused,
    clock,
    max: 2,
  })
})
const away = () => Promise.reject(new DatabaseSilent())
const seen = async () => (await remembered.get('a')).version

test('what is remembered is there at once', async () => {
  expect(remembered.get('a')).toBeInstanceOf(Promise)
  await seen()
  expect(remembered.get('a')).toEqual({ version: 1 })
  clock.advance(999)
  expect(remembered.get('a')).toEqual({ version: 1 })
  expect(reads).toEqual(['a'])
})

test('it is read again after a second, by one while the others go on', async () => {
  await seen()
  version = 2
  clock.advance(1000)
  expect(await Promise.all([seen(), seen(), seen()])).toEqual([2, 1, 1])
  expect(await seen()).toBe(2)
  expect(reads).toEqual(['a', 'a'])
})

test('what nobody has asked for in two seconds is news to all who ask, by one read', async () => {
  await seen()
  version = 2
  clock.advance(2000)
  expect(await Promise.all([seen(), seen(), seen()])).toEqual([2, 2, 2])
  expect(reads).toEqual(['a', 'a'])
})

test('who reads again knows what it was', async () => {
  await seen()
  clock.advance(1000)
  await seen()
  expect(knownToReads).toEqual([undefined, { version: 1 }])
})

test('a clock that was set back does not keep it', async () => {
  await seen()
  version = 2
  clock.advance(-3_600_000)
  expect(await seen()).toBe(2)
})

test('what is forgotten is read again at once', async () => {
  await seen()
  version = 2
  remembered.forget('a')
  expect(await seen()).toBe(2)
})

test('what was asked for before it was forgotten is not remembered', async () => {
  const late = Promise.withResolvers<Value>()
  trouble = () => late.promise
  const early = remembered.get('a')
  remembered.forget('a')
  trouble = undefined
  version = 2
  expect(await seen()).toBe(2)
  late.resolve({ version: 1 })
  expect(await early).toEqual({ version: 1 })
  expect(remembered.get('a')).toEqual({ version: 2 })
})

test('all are forgotten of which something is so, and what is being read for the first time', async () => {
  await remembered.get('a')
  version = 2
  const early = remembered.get('b')
  remembered.forgetAll((value) => value.version === 1)
  await early
  expect(reads).toEqual(['a', 'b'])
  await remembered.get('a')
  expect(remembered.get('a')).toEqual({ version: 2 })
  await remembered.get('b')
  expect(reads).toEqual(['a', 'b', 'a', 'b'])
  remembered.forgetAll((value) => value.version === 1)
  expect(remembered.get('b')).toEqual({ version: 2 })
})

test('as many keys are remembered as may be, and the one not asked for the longest makes room', async () => {
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await remembered.get(key)
  expect(reads).toEqual(['a', 'b', 'c', 'b'])
})

describe('while the database is away', () => {
  test('what is not known is not', async () => {
    trouble = away
    expect(await refusal(seen())).toBeInstanceOf(DatabaseSilent)
    trouble = undefined
    expect(await seen()).toBe(1)
  })

  test('what is known is believed for a minute, and asked for once a second', async () => {
    await seen()
    trouble = away
    for (let second = 1; second < 60; second++) {
      clock.advance(1000)
      expect(await Promise.all([seen(), seen()])).toEqual([1, 1])
      expect(reads).toHaveLength(1 + second)
      expect(remembered.get('a')).toEqual({ version: 1 })
    }
    clock.advance(1000)
    expect(await refusal(seen())).toBeInstanceOf(DatabaseSilent)
    trouble = undefined
    version = 2
    expect(await seen()).toBe(2)
  })

  test('what is known is not believed once it was forgotten', async () => {
    await seen()
    trouble = away
    remembered.forget('a')
    expect(await refusal(seen())).toBeInstanceOf(DatabaseSilent)
  })

  test('who asks waits a second for it, and nobody after them', async () => {
    await seen()
    trouble = () => new Promise(() => {})
    clock.advance(2000)
    const askedAt = performance.now()
    const first = Promise.all([seen(), seen()])
    clock.advance(1000)
    expect(await seen()).toBe(1)
    expect(performance.now() - askedAt).toBeLessThan(500)
    expect(await first).toEqual([1, 1])
    expect(performance.now() - askedAt).toBeGreaterThan(900)
    expect(reads).toEqual(['a', 'a'])
  })
})

test('what nobody waits for any more may fail, and nothing is forgotten', async () => {
  await seen()
  const late = Promise.withResolvers<Value>()
  trouble = () => late.promise
  clock.advance(1000)
  expect(await seen()).toBe(1)
  late.reject(new Error('a statement took too long'))
  await Bun.sleep(1)
  trouble = away
  clock.advance(1000)
  expect(await seen()).toBe(1)
})

test('a refusal counts, though nobody waits for it any more', async () => {
  await seen()
  const late = Promise.withResolvers<Value>()
  trouble = () => late.promise
  clock.advance(1000)
  expect(await seen()).toBe(1)
  late.reject(new Refused())
  await Bun.sleep(1)
  trouble = away
  expect(await refusal(seen())).toBeInstanceOf(DatabaseSilent)
})

test('another failure is nothing to believe in', async () => {
  await seen()
  trouble = () => Promise.reject(new Error('a bug'))
  clock.advance(1000)
  expect(String(await refusal(seen()))).toContain('a bug')
  trouble = undefined
  version = 2
  expect(await seen()).toBe(2)
})
