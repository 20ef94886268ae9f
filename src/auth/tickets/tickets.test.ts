import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { createTestClock, type TestClock } from '../../../tests/support/clock.ts'
import { bitsOf, randomBitsOf } from '../../../tests/support/random-bits.ts'
import type { Database } from '../../platform/database/database.ts'
import { drivers } from '../../platform/database/drivers.fixture.ts'
import { authTables } from '../tables.ts'
import { createTickets, type Tickets } from './tickets.ts'

describe.each(drivers.map((driver) => [driver.name, driver] as const))('on %s', (_, driver) => {
  let place: Awaited<ReturnType<typeof driver.create>>
  let database: Database
  let clock: TestClock
  let tickets: Tickets
  beforeEach(async () => {
    place = await driver.create()
    database = await driver.open(place.where)
    clock = createTestClock()
    tickets = createTickets({ database, tables: authTables(database.kit), clock })
  })
  afterEach(async () => {
    await database.close()
    await place.remove()
  })

  const purpose = 'reset_password'
  const issue = (ticket: { accountId?: string; data?: object } = {}) =>
    database.write((tx) =>
      tickets.issue(tx, { purpose, accountId: null, ttlSeconds: 60, ...ticket }),
    )
  const redeem = (secret: string) => database.write((tx) => tickets.redeem(tx, purpose, secret))

  test('a ticket is good once, for what it was issued for', async () => {
    const secret = await issue({ accountId: 'ada', data: { to: 'ada@example.com' } })
    const good = { accountId: 'ada', data: { to: 'ada@example.com' }, purpose }
    expect(await tickets.read(purpose, secret)).toMatchObject(good)
    expect(await redeem(secret)).toMatchObject(good)
    expect(await redeem(secret)).toBeUndefined()
    expect(await tickets.read(purpose, secret)).toBeUndefined()
  })

  test('of those who take it at once, one gets it', async () => {
    const secret = await issue()
    const taken = await Promise.all(Array.from({ length: 10 }, () => redeem(secret)))
    expect(taken.filter((ticket) => ticket !== undefined)).toHaveLength(1)
  })

  test('it is good for so many attempts, of those at once too, and is then none to try', async () => {
    const secret = await issue()
    const attempt = () => database.write((tx) => tickets.attempt(tx, purpose, secret, 3))
    const tried = await Promise.all(Array.from({ length: 10 }, attempt))
    expect(tried.filter((ticket) => ticket !== undefined)).toHaveLength(3)
    expect(await attempt()).toBeUndefined()
    clock.advance(60_000)
    expect(await database.write((tx) => tickets.attempt(tx, purpose, secret, 9))).toBeUndefined()
  })

  test('for another purpose it is none', async () => {
    const secret = await issue()
    const other = 'another' as typeof purpose
    expect(await tickets.read(other, secret)).toBeUndefined()
    expect(await database.write((tx) => tickets.redeem(tx, other, secret))).toBeUndefined()
    expect(await database.write((tx) => tickets.attempt(tx, other, secret, 1))).toBeUndefined()
    expect(await redeem(secret)).toBeDefined()
  })

  test('its time ends, and then it leaves the database', async () => {
    const secret = await issue()
    clock.advance(59_999)
    expect(await tickets.read(purpose, secret)).toBeDefined()
    clock.advance(1)
    expect(await tickets.read(purpose, secret)).toBeUndefined()
    expect(await redeem(secret)).toBeUndefined()
    await tickets.removeExpired()
    const { tickets: table } = authTables(database.kit)
    expect(await database.read.select().from(table)).toEqual([])
  })

  test('what is taken in a write that fails is good again', async () => {
    const secret = await issue()
    const failing = database.write(async (tx) => {
      await tickets.redeem(tx, purpose, secret)
      throw new Error('no')
    })
    await failing.catch(() => {})
    expect(await redeem(secret)).toBeDefined()
  })

  test('an account’s tickets of a purpose are voided, and no others', async () => {
    const adas = await issue({ accountId: 'ada' })
    const eves = await issue({ accountId: 'eve' })
    await database.write((tx) => tickets.revoke(tx, purpose, 'ada'))
    expect(await redeem(adas)).toBeUndefined()
    expect(await redeem(eves)).toBeDefined()
  })

  test('it has 256 random bits', async () => {
    expect(await randomBitsOf(async () => bitsOf((await issue()).slice('qt_'.length)))).toBe(256)
  })

  test('the database has no secret', async () => {
    const secret = await issue()
    const { tickets: table } = authTables(database.kit)
    const stored = JSON.stringify(await database.read.select().from(table))
    expect(stored).not.toContain(secret.slice(3))
  })

  test.each(['', 'qt_', 'x'.repeat(46), `qt_${'é'.repeat(43)}`, "qt_' or 1=1 --", '\u0000'])(
    '%j is no ticket',
    async (secret) => {
      expect(await tickets.read(purpose, secret)).toBeUndefined()
      expect(await redeem(secret)).toBeUndefined()
    },
  )
})
