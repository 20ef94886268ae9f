import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { generateSync } from 'otplib'

import { createTestClock, type TestClock } from '../../../tests/support/clock.ts'
import { refusal } from '../../../tests/support/refusal.ts'
import type { Database } from '../../platform/database/database.ts'
import { drivers } from '../../platform/database/drivers.fixture.ts'
import { createSeal, type Seal } from '../keys/seal.ts'
import { createSecrets } from '../keys/secrets.ts'
import { authTables } from '../tables.ts'
import { createRecoveryCodes } from './recovery-codes.ts'
import { createTotp, type Totp } from './totp.ts'

describe.each(drivers.map((driver) => [driver.name, driver] as const))('on %s', (_, driver) => {
  let place: Awaited<ReturnType<typeof driver.create>>
  let database: Database
  let clock: TestClock
  let seal: Seal
  let totp: Totp
  beforeEach(async () => {
    place = await driver.create()
    database = await driver.open(place.where)
    clock = createTestClock()
    const tables = authTables(database.kit)
    const secrets = createSecrets({ database, tables })
    await secrets.ensure()
    seal = createSeal(secrets, 'totp')
    totp = createTotp({ database, tables, seal, clock })
  })
  afterEach(async () => {
    await database.close()
    await place.remove()
  })

  const codeOf = (secret: string) => generateSync({ secret, epoch: Math.floor(clock.now() / 1000) })
  const use = (code: string, accountId = 'ada') =>
    database.write((tx) => totp.use(tx, accountId, code))
  const isEnabled = () => totp.isEnabled(database.read, 'ada')
  /** The step of the first code is over. */
  async function enable(accountId = 'ada'): Promise<string> {
    const secret = await database.write((tx) => totp.begin(tx, accountId))
    expect(await database.write((tx) => totp.confirm(tx, accountId, codeOf(secret)))).toBe(true)
    clock.advance(30_000)
    return secret
  }

  test('a secret counts once its first code has come', async () => {
    const secret = await database.write((tx) => totp.begin(tx, 'ada'))
    expect(await isEnabled()).toBe(false)
    expect(await use(codeOf(secret))).toBe(false)
    expect(await database.write((tx) => totp.confirm(tx, 'ada', '000000'))).toBe(false)
    expect(await database.write((tx) => totp.confirm(tx, 'eve', codeOf(secret)))).toBeUndefined()
    expect(await database.write((tx) => totp.confirm(tx, 'ada', codeOf(secret)))).toBe(true)
    expect(await isEnabled()).toBe(true)
    clock.advance(30_000)
    expect(await database.write((tx) => totp.confirm(tx, 'ada', codeOf(secret)))).toBeUndefined()
  })

  test('RFC 6238 §5.2: of those who bring the same code at once, one has it taken', async () => {
    const code = codeOf(await enable())
    const taken = await Promise.all(Array.from({ length: 10 }, () => use(code)))
    expect(taken.filter(Boolean)).toHaveLength(1)
  })

  test('wrong codes that come at once all count', async () => {
    await enable()
    await Promise.all(Array.from({ length: 5 }, () => use('000000')))
    expect(await database.write((tx) => totp.waitMs(tx, 'ada'))).toBe(30_000)
    expect(await database.write((tx) => totp.waitMs(tx, 'eve'))).toBe(0)
  })

  test('of a recovery code that comes ten times at once, one is taken', async () => {
    const recoveryCodes = createRecoveryCodes(authTables(database.kit))
    const [code] = await database.write((tx) => recoveryCodes.replace(tx, 'ada'))
    const taken = await Promise.all(
      Array.from({ length: 10 }, () => database.write((tx) => recoveryCodes.use(tx, 'ada', code!))),
    )
    expect(taken.filter(Boolean)).toHaveLength(1)
    expect(await recoveryCodes.left(database.read, 'ada')).toBe(9)
  })

  test('the database has no secret, and one that is moved to another account opens nothing', async () => {
    const secret = await enable()
    const { totp: table } = authTables(database.kit)
    const stored = await database.read.select().from(table)
    expect(JSON.stringify(stored)).not.toContain(secret)
    await database.write(async (tx) => {
      await tx.update(table).set({ accountId: 'eve' })
    })
    expect(await refusal(use(codeOf(secret), 'eve'))).toBeInstanceOf(Error)
  })
})

test('what is sealed is opened by its purpose and for its owner, whole', async () => {
  const key = (byte: number) => ({
    ensure: async () => {},
    keyFor: async () => Buffer.alloc(32, byte),
  })
  const seal = createSeal(key(1), 'test')
  const sealed = await seal.close('secret', 'ada')
  expect(await seal.open(sealed, 'ada')).toBe('secret')
  expect(await seal.close('secret', 'ada')).not.toBe(sealed)
  const bytes = Buffer.from(sealed, 'base64url')
  const broken = Array.from(bytes, (_, at) => {
    const copy = Buffer.from(bytes)
    copy[at]! ^= 1
    return copy.toString('base64url')
  })
  const shorter = [bytes.subarray(0, -1), bytes.subarray(0, 20), Buffer.alloc(0)]
  for (const text of [...broken, ...shorter.map((each) => each.toString('base64url'))]) {
    expect(await refusal(seal.open(text, 'ada'))).toBeInstanceOf(Error)
  }
  expect(await refusal(seal.open(sealed, 'eve'))).toBeInstanceOf(Error)
  expect(await refusal(createSeal(key(2), 'test').open(sealed, 'ada'))).toBeInstanceOf(Error)
})
