import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'
import { generateSync } from 'otplib'

import { authTables } from '../../src/auth/tables.ts'
import { createAuthenticator } from '../support/authenticator.ts'
import { type Harness, openHarness } from '../support/harness.ts'

/*
 * A session that another instance has ended is believed here for a second. What is made in it that
 * lets somebody in would stay for ever.
 */
let harness: Harness
let people = 0
let id: string
let token: string
beforeAll(async () => {
  harness = await openHarness({ RATE_LIMIT_AUTH: '100000' })
})
beforeEach(async () => {
  const username = `person ${++people}`
  id = await harness.addAccount({ username })
  token = await harness.logIn(username)
})
afterAll(() => harness.close())

const post = (path: string, body?: object) => harness.request({ method: 'POST', path, body, token })
const json = async (answer: Promise<Response>) => (await answer).json()
const tables = () => authTables(harness.platform.database.kit)

/** As another instance does it, of which this one has not heard yet. */
const elsewhere = {
  'ended its session': () =>
    harness.platform.database.write(async (tx) => {
      await tx.delete(tables().sessions).where(eq(tables().sessions.accountId, id))
    }),
  'disabled its account': () =>
    harness.platform.database.write(async (tx) => {
      const { accounts } = tables()
      await tx.update(accounts).set({ disabledAt: new Date() }).where(eq(accounts.id, id))
    }),
}

/** All that is needed before; and then the last step, which makes it. */
const ways = {
  async 'a passkey'() {
    const options = await json(post('/api/v1/me/passkeys/options'))
    const response = createAuthenticator().register(options as never)
    return () => post('/api/v1/me/passkeys', { name: 'mine', response })
  },
  async TOTP() {
    const { secret } = (await json(post('/api/v1/me/totp'))) as { secret: string }
    const code = generateSync({ secret, epoch: Math.floor(harness.clock.now() / 1000) })
    return () => post('/api/v1/me/totp/confirmation', { code })
  },
  async 'an API key'() {
    return () => post('/api/v1/api-keys', { name: 'mine', scopes: ['predict'] })
  },
  async 'recovery codes'() {
    const made = await (await ways.TOTP())()
    expect(made.status).toBeLessThan(300)
    return () => post('/api/v1/me/recovery-codes')
  },
}

const isBelieved = async () => (await harness.request({ path: '/api/v1/me', token })).status === 200

describe.each(Object.entries(ways))('%s', (_, prepare) => {
  test.each(Object.entries(elsewhere))(
    'is not made where another instance has %s',
    async (_, end) => {
      const make = await prepare()
      expect(await isBelieved()).toBe(true)
      await end()
      expect(await isBelieved()).toBe(true)
      const before = await waysIn()
      const made = await make()
      expect([401, 403]).toContain(made.status)
      expect(await waysIn()).toEqual(before)
    },
  )

  test('is made otherwise', async () => {
    const make = await prepare()
    const before = await waysIn()
    expect((await make()).status).toBeLessThan(300)
    expect(await waysIn()).not.toEqual(before)
  })
})

/** All by which the account may be entered. */
async function waysIn(): Promise<unknown[]> {
  const { passkeys, totp, apiKeys, recoveryCodes } = tables()
  const { read } = harness.platform.database
  return [
    await read.select().from(passkeys).where(eq(passkeys.accountId, id)),
    await read.select().from(apiKeys).where(eq(apiKeys.ownerId, id)),
    await read.select().from(recoveryCodes).where(eq(recoveryCodes.accountId, id)),
    (await read.select().from(totp).where(eq(totp.accountId, id))).map((row) => row.confirmedAt),
  ]
}
