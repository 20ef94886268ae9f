import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { decodeProtectedHeader } from 'jose'

import { createTestClock, type TestClock } from '../../../tests/support/clock.ts'
import { refusal } from '../../../tests/support/refusal.ts'
import type { Database } from '../../platform/database/database.ts'
import { drivers } from '../../platform/database/drivers.fixture.ts'
import { createTokens } from '../sessions/tokens.ts'
import { authTables } from '../tables.ts'
import {
  KEY_SET_MAX_AGE_SECONDS,
  PUBLISHED_BEFORE_USE_MS,
  TOKEN_LIFE_SECONDS_MAX,
} from './key-life.ts'
import { createKeyStore } from './key-store.ts'
import { createKeys } from './keys.ts'

const DAY_MS = 86_400_000
const ROTATION_MS = 90 * DAY_MS
const TOKEN_LIFE_MS = TOKEN_LIFE_SECONDS_MAX * 1000

describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (_, driver) => {
  let place: Awaited<ReturnType<typeof driver.create>>
  let databases: Database[]
  let clock: TestClock
  beforeEach(async () => {
    place = await driver.create()
    databases = []
    clock = createTestClock()
  })
  afterEach(async () => {
    for (const database of databases) await database.close()
    await place.remove()
  })

  /** SQLite waits for another connection's write without letting go of the thread, so here there is one. */
  async function open(): Promise<Database> {
    if (driver.name === 'sqlite' && databases.length > 0) return databases[0]!
    const database = await driver.open(place.where)
    databases.push(database)
    return database
  }

  /** What a process has of the keys. */
  async function openInstance(instanceClock = clock) {
    const database = await open()
    const tables = authTables(database.kit)
    const store = createKeyStore({
      database,
      tables,
      audit: { record: async () => {} },
      clock: instanceClock,
      rotationSeconds: ROTATION_MS / 1000,
    })
    let reads = 0
    const all = () => {
      reads += 1
      return store.all()
    }
    const keys = createKeys({ store: { ...store, all }, clock: instanceClock })
    const tokens = createTokens({ keys, issuer: 'here', secret: undefined, clock: instanceClock })
    return {
      database,
      tables,
      store,
      keys,
      tokens,
      reads: () => reads,
      signing: async () => (await keys.signing()).id,
      published: async () => (await keys.publicSet()).keys.map(({ kid }) => kid!),
      stored: async () => (await store.all()).map(({ id }) => id).toSorted(),
      isAccepted: async (id: string) => (await keys.verifying(id)) !== undefined,
      sign: (lifeMs = TOKEN_LIFE_MS) => {
        const issuedAt = Math.floor(instanceClock.now() / 1000)
        const expiresAt = issuedAt + lifeMs / 1000
        const scopes = new Set<never>()
        const who = {
          userId: 'u',
          username: 'ada',
          role: 'viewer',
          scopes,
          sessionId: 's',
        } as const
        return tokens.sign({ ...who, issuedAt, expiresAt })
      },
    }
  }
  const moveTo = (time: number) => clock.advance(time - clock.now())

  test('the first key signs at once, and is the only one', async () => {
    const { signing, published, stored } = await openInstance()
    const id = await signing()
    expect(await published()).toEqual([id])
    expect(await stored()).toEqual([id])
  })

  test('of instances that start at the same moment one makes the first key', async () => {
    const instances = [await openInstance(), await openInstance(), await openInstance()]
    const ids = await Promise.all(instances.map(({ signing }) => signing()))
    expect(new Set(ids).size).toBe(1)
    expect(await instances[0]!.stored()).toEqual([ids[0]!])
  })

  test('the next key is published for longer than the set may be cached, and signs then', async () => {
    const { signing, published, store } = await openInstance()
    const old = await signing()
    const next = (await store.rotate()).id
    clock.advance(1000)
    const publishedAt = clock.now()
    expect(await published()).toEqual([old, next])
    expect(await signing()).toBe(old)
    clock.advance(PUBLISHED_BEFORE_USE_MS - 1001)
    expect(await signing()).toBe(old)
    clock.advance(1)
    expect(await signing()).toBe(next)
    expect(clock.now() - publishedAt).toBeGreaterThan(2 * KEY_SET_MAX_AGE_SECONDS * 1000)
  })

  test('an old key is served until its last token has died, and not after; then its row goes', async () => {
    const { signing, sign, tokens, published, stored, store, isAccepted } = await openInstance()
    moveTo(Math.ceil(clock.now() / 1000) * 1000)
    const old = await signing()
    const next = await store.rotate()
    moveTo(next.activeFrom!.getTime() - 1000)
    const last = await sign()
    expect(decodeProtectedHeader(last).kid).toBe(old)
    moveTo(next.activeFrom!.getTime() - 1000 + TOKEN_LIFE_MS - 1)
    expect((await tokens.verify(last)).keyId).toBe(old)
    await store.maintain()
    expect(await published()).toEqual([old, next.id])

    clock.advance(1)
    expect(await refusal(tokens.verify(last))).toMatchObject({ kind: { title: 'Token expired' } })
    clock.advance(1000)
    expect(await published()).toEqual([next.id])
    expect(await isAccepted(old)).toBe(false)
    expect(await stored()).toEqual([old, next.id].toSorted())
    await store.maintain()
    expect(await stored()).toEqual([next.id])
    expect(await signing()).toBe(next.id)
  })

  test('the schedule makes the next key in time, and one each time', async () => {
    const { signing, published, stored, store } = await openInstance()
    const first = await signing()
    const start = clock.now()
    moveTo(start + ROTATION_MS - PUBLISHED_BEFORE_USE_MS - 1)
    await store.maintain()
    expect(await stored()).toEqual([first])
    clock.advance(1)
    for (let n = 0; n < 3; n++) await store.maintain()
    expect(await stored()).toHaveLength(2)
    moveTo(start + ROTATION_MS)
    const second = await signing()
    expect(second).not.toBe(first)
    for (let round = 0; round < 3; round++) {
      clock.advance(ROTATION_MS)
      await store.maintain()
      clock.advance(PUBLISHED_BEFORE_USE_MS + TOKEN_LIFE_MS)
      await store.maintain()
    }
    expect(await published()).toHaveLength(1)
    expect(await stored()).toEqual([await signing()])
  })

  test('concurrent rotations, by command and by schedule, make one key', async () => {
    const instances = [await openInstance(), await openInstance(), await openInstance()]
    const one = instances[0]!
    const old = await one.signing()
    clock.advance(ROTATION_MS)
    const made = await Promise.all(
      instances.flatMap(({ store }) => [store.rotate(), store.rotate(), store.maintain()]),
    )
    const ids = new Set(made.flatMap((key) => (key === undefined ? [] : [key.id])))
    expect(ids.size).toBe(1)
    expect(await one.stored()).toEqual([old, ...ids].toSorted())
  })

  test('two instances sign by the same key at every moment, whichever rotated', async () => {
    const one = await openInstance()
    const other = await openInstance()
    const seen = new Set<string>()
    await one.signing()
    for (const rotating of [one, other, one]) {
      await rotating.store.rotate()
      for (let step = 0; step <= 4; step++) {
        const [a, b] = [await one.signing(), await other.signing()]
        expect(a).toBe(b)
        seen.add(a)
        clock.advance(PUBLISHED_BEFORE_USE_MS / 4 + 250)
      }
    }
    expect(seen.size).toBe(4)
  })

  test('a token by a key that another instance has just made is honoured at once', async () => {
    const one = await openInstance()
    const other = await openInstance()
    await Promise.all([one.signing(), other.signing()])
    await one.store.replaceAll()
    clock.advance(1000)
    // Its memory is fresh, of a moment before.
    expect(await other.published()).toHaveLength(1)
    const newest = await one.store.replaceAll()
    expect(await other.isAccepted(newest.id)).toBe(true)
  })

  test('a compromised key is refused by every instance within a second', async () => {
    const one = await openInstance()
    const other = await openInstance()
    const waiting = (await one.store.rotate()).id
    const token = await one.sign()
    const old = await one.signing()
    expect((await other.tokens.verify(token)).keyId).toBe(old)
    const { id } = await one.store.replaceAll()
    expect(await one.stored()).toEqual([id])
    clock.advance(1000)
    for (const instance of [one, other]) {
      expect(await refusal(instance.tokens.verify(token))).toMatchObject({
        kind: { title: 'Invalid token' },
      })
      expect(await instance.isAccepted(waiting)).toBe(false)
      expect(await instance.published()).toEqual([id])
      expect(await instance.signing()).toBe(id)
    }
  })

  test('RFC 8725 §3.10: a flood of made-up kids is one read a second', async () => {
    const { keys, signing, reads } = await openInstance()
    await signing()
    for (let second = 0; second < 5; second++) {
      const before = reads()
      const one = Array.from({ length: 50 }, (_, n) => keys.verifying(`made-up-${second}-${n}`))
      expect(new Set(await Promise.all(one))).toEqual(new Set([undefined]))
      for (let n = 0; n < 50; n++) expect(await keys.verifying(`later-${n}`)).toBeUndefined()
      expect(reads() - before).toBe(1)
      clock.advance(1000)
    }
  })

  test('no token costs a read of its own', async () => {
    const { sign, tokens, reads } = await openInstance()
    await sign()
    const before = reads()
    for (let n = 0; n < 20; n++) await tokens.verify(await sign())
    expect(reads()).toBe(before)
    clock.advance(1000)
    for (let n = 0; n < 20; n++) await tokens.verify(await sign())
    expect(reads()).toBe(before + 1)
  })

  test('a clock that is set back does not keep a removed key alive', async () => {
    const { signing, isAccepted, store } = await openInstance()
    const old = await signing()
    await store.replaceAll()
    clock.advance(-DAY_MS)
    expect(await isAccepted(old)).toBe(false)
  })

  test('a key that a clock ahead of this one made signs all the same', async () => {
    const ahead = await openInstance(createTestClock(clock.now() + 60_000))
    const id = await ahead.signing()
    expect(await (await openInstance()).signing()).toBe(id)
  })

  test('a key of the version before goes on, and is rotated when it is old', async () => {
    const { database, tables, sign, signing, tokens, published, store } = await openInstance()
    const token = await sign()
    const old = await signing()
    await database.write(async (tx) => {
      await tx.update(tables.signingKeys).set({ activeFrom: null })
    })
    clock.advance(1000)
    expect((await tokens.verify(token)).keyId).toBe(old)
    expect(await published()).toEqual([old])
    clock.advance(ROTATION_MS)
    await store.maintain()
    expect(await published()).toEqual([old, expect.any(String)])
  })
})
