import { afterAll, beforeAll, beforeEach, describe, expect, spyOn, test } from 'bun:test'

import { eq } from 'drizzle-orm'
import { generateSync } from 'otplib'

import { PARAMETERS } from '../../src/auth/passwords/password-hashes.ts'
import { authTables } from '../../src/auth/tables.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'

const LOGIN = '/api/v1/auth/login'
const MY_PASSWORD = '/api/v1/me/password'
const ME = '/api/v1/me'

let harness: Harness
let passwordHash: string
let count = 0
/** An account of each test's own, and addresses: an address has failures of its own. */
let name: string
let home: string
let elsewhere: string
let id: string
beforeAll(async () => {
  passwordHash = await Bun.password.hash(PASSWORD, PARAMETERS)
  harness = await openHarness({ RATE_LIMIT_AUTH: '100000', UNVERIFIED_LOGIN: 'refuse' })
})
beforeEach(async () => {
  name = `user${(count += 1)}`
  home = `192.0.2.${count}`
  elsewhere = `198.51.100.${count}`
  id = await harness.addAccount({ username: name, email: `${name}@example.com`, passwordHash })
})
afterAll(() => harness.close())

const logIn = (username: string, password: string, peer = home) =>
  harness.request({
    path: LOGIN,
    body: { username, password },
    peer,
    headers: { 'x-request-id': 'same' },
  })
const guess = (username = name, peer = home) => logIn(username, 'wrong password', peer)
async function guessOften(times: number, username = name, peer = home) {
  for (let n = 0; n < times; n += 1) expect((await guess(username, peer)).status).toBe(401)
}
/** How often a password is looked at meanwhile. */
async function verifications(work: () => Promise<Response>) {
  const spy = spyOn(Bun.password, 'verify')
  const answer = await work()
  const times = spy.mock.calls.length
  spy.mockRestore()
  return { answer, times }
}
async function setColumn(columns: { disabledAt?: Date; pendingSince?: Date }) {
  const { database } = harness.platform
  const { accounts } = authTables(database.kit)
  await database.write(async (tx) => {
    await tx.update(accounts).set(columns).where(eq(accounts.id, id))
  })
}

describe('whoever guesses', () => {
  test('waits after the fifth wrong password, and is told how long', async () => {
    await guessOften(5)
    const { answer, times } = await verifications(() => guess())
    expect(answer.status).toBe(429)
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(await answer.json()).toMatchObject({
      type: '/docs/problems#auth/too-many-failures',
      title: 'Too many failures',
      detail: 'Too many wrong passwords. Try again in 1 s.',
    })
    expect(times).toBe(0)
  })

  test('learns nothing from the right password meanwhile', async () => {
    await guessOften(5)
    const wrong = await guess()
    const right = await logIn(name, PASSWORD)
    expect(right.status).toBe(429)
    expect(await right.text()).toBe(await wrong.text())
    harness.clock.advance(1000)
    expect((await logIn(name, PASSWORD)).status).toBe(200)
  })

  test('is answered alike for unknown, wrong, disabled, unverified and held back', async () => {
    const disabled = await harness.addAccount({ username: `${name} disabled` })
    const { database } = harness.platform
    const { accounts } = authTables(database.kit)
    await database.write(async (tx) => {
      await tx.update(accounts).set({ disabledAt: new Date() }).where(eq(accounts.id, disabled))
    })
    await setColumn({ pendingSince: new Date(harness.clock.now()) })
    const told = async (username: string) => {
      const outcomes: object[] = []
      for (let n = 0; n < 7; n += 1) {
        const { answer, times } = await verifications(() => guess(username))
        const { ratelimit: _, traceparent: __, ...headers } = Object.fromEntries(answer.headers)
        outcomes.push({ status: answer.status, text: await answer.text(), headers, times })
      }
      return outcomes
    }
    const known = await told(name)
    expect(known.map((outcome) => (outcome as { times: number }).times)).toEqual([
      1, 1, 1, 1, 1, 0, 0,
    ])
    expect(await told(`nobody${count}`)).toEqual(known)
    expect(await told(`nobody${count}@example.com`)).toEqual(known)
    expect(await told(`${name} disabled`)).toEqual(known)
  })

  test('does not learn that a name and an address are one person’s', async () => {
    await guessOften(5, name, elsewhere)
    expect((await guess(name, home)).status).toBe(429)
    expect((await guess(`${name}@example.com`, home)).status).toBe(401)
  })

  test('by another spelling of the name waits too', async () => {
    await guessOften(3, name.toUpperCase())
    await guessOften(2, ` ${name} `)
    expect((await guess()).status).toBe(429)
  })

  test.each([
    ['unknown', 401, () => logIn(`nobody${count}`, PASSWORD)],
    ['wrong password', 401, () => guess()],
    ['right password', 200, () => logIn(name, PASSWORD)],
    [
      'disabled',
      403,
      async () => {
        await setColumn({ disabledAt: new Date() })
        return logIn(name, PASSWORD)
      },
    ],
    [
      'unverified',
      403,
      async () => {
        await setColumn({ pendingSince: new Date(harness.clock.now()) })
        return logIn(name, PASSWORD)
      },
    ],
  ] as const)('costs one look at a hash: %s', async (_, status, work) => {
    const { answer, times } = await verifications(work)
    expect({ status: answer.status, times }).toEqual({ status, times: 1 })
  })

  test('the right password for an account that may not be used is no failure', async () => {
    await setColumn({ disabledAt: new Date() })
    for (let n = 0; n < 8; n += 1) expect((await logIn(name, PASSWORD)).status).toBe(403)
  })

  test('leaves one entry in the audit for each wait, whatever comes during it', async () => {
    await guessOften(5)
    for (let n = 0; n < 20; n += 1) await guess()
    const path = `/api/v1/audit?principal=${id}&limit=100`
    const answer = await harness.request({ path, token: harness.adminToken })
    const { entries } = (await answer.json()) as { entries: { details: { reason: string } }[] }
    expect(entries.map(({ details }) => details.reason)).toEqual([
      'held_back',
      ...Array.from({ length: 5 }, () => 'credentials'),
    ])
  })
})

describe('a victim', () => {
  test('logs in where it did before, while others guess elsewhere', async () => {
    expect((await logIn(name, PASSWORD, home)).status).toBe(200)
    await guessOften(5, name, elsewhere)
    expect((await logIn(name, PASSWORD, elsewhere)).status).toBe(429)
    expect((await logIn(name, PASSWORD, '203.0.113.99')).status).toBe(429)
    expect((await logIn(name, PASSWORD, home)).status).toBe(200)
  })

  test('with a second factor is at home where both were shown, and the password alone makes no home', async () => {
    const token = await harness.logIn(name)
    const begun = await harness.request({ method: 'POST', path: `${ME}/totp`, token })
    const { secret } = (await begun.json()) as { secret: string }
    const code = () => generateSync({ secret, epoch: Math.floor(harness.clock.now() / 1000) })
    const confirmation = { path: `${ME}/totp/confirmation`, body: { code: code() }, token }
    expect((await harness.request(confirmation)).status).toBe(200)
    const begin = async (peer: string) => {
      const answer = await logIn(name, PASSWORD, peer)
      expect(answer.status).toBe(401)
      return ((await answer.json()) as { ticket: string }).ticket
    }
    harness.clock.advance(30_000)
    const body = { ticket: await begin(home), code: code() }
    const done = await harness.request({ path: '/api/v1/auth/second-factor', body, peer: home })
    expect(done.status).toBe(200)
    // Twenty places are remembered of each name.
    for (let n = 1; n <= 21; n += 1) await begin(`198.51.101.${n}`)
    await guessOften(5, name, elsewhere)
    expect((await logIn(name, PASSWORD, '198.51.101.21')).status).toBe(429)
    await begin(home)
  })

  test('gets in from anywhere by a link to reset the password', async () => {
    await guessOften(5, name, home)
    await guessOften(5, `${name}@example.com`, home)
    await harness.request({ path: '/api/v1/auth/password/forgot', body: { username: name } })
    const mail = async () => {
      const list = await harness.request({ path: '/api/v1/mail', token: harness.adminToken })
      const { messages } = (await list.json()) as { messages: { id: string; user_id: string }[] }
      return messages.find(({ user_id }) => user_id === id)
    }
    while ((await mail()) === undefined) await Bun.sleep(5)
    const path = `/api/v1/mail/${(await mail())!.id}`
    const shown = await harness.request({ path, token: harness.adminToken })
    const { text } = (await shown.json()) as { text: string }
    const ticket = /ticket=(qt_[\w-]{43})/.exec(text)![1]!
    const body = { ticket, password: 'a good long one' }
    const reset = await harness.request({
      path: '/api/v1/auth/password/reset',
      body,
      peer: '203.0.113.50',
    })
    expect(reset.status).toBe(204)
    for (const typed of [name, `${name}@example.com`]) {
      expect((await logIn(typed, 'a good long one', '203.0.113.50')).status).toBe(200)
      expect((await logIn(typed, 'a good long one', home)).status).toBe(429)
    }
  })
})

describe('who has logged in', () => {
  const wrong = { current_password: 'wrong password' }
  test.each([
    ['to change the password', MY_PASSWORD, 'POST', { password: 'a good long one' }],
    ['to change the address', ME, 'PATCH', { email: 'other@example.com' }],
  ])('guesses no faster at the password %s', async (_, path, method, change) => {
    const token = await harness.logIn(name)
    const request = (body: object, peer?: string) =>
      harness.request({ method, path, body: { ...change, ...body }, token, peer })
    for (let n = 0; n < 5; n += 1) expect((await request(wrong)).status).toBe(403)
    const right = { current_password: PASSWORD }
    const { answer, times } = await verifications(() => request(right, elsewhere))
    expect({ status: answer.status, times }).toEqual({ status: 429, times: 0 })
    expect(answer.headers.get('retry-after')).toBe('1')
    // Its owner still logs in.
    expect((await logIn(name, PASSWORD)).status).toBe(200)
    harness.clock.advance(1000)
    expect((await request(right)).ok).toBe(true)
    const audit = await harness.request({
      path: `/api/v1/audit?principal=${id}&type=auth.reauthentication_failed`,
      token: harness.adminToken,
    })
    const { entries } = (await audit.json()) as { entries: { details: { reason: string } }[] }
    expect(entries.map(({ details }) => details.reason)).toEqual([
      'held_back',
      ...Array.from({ length: 5 }, () => 'credentials'),
    ])
  })
})

test('two instances count together', async () => {
  if (harness.platform.database.driver === 'sqlite') return
  const other = await openHarness({ DATABASE_URL: harness.platform.config.DATABASE_URL! })
  other.clock.advance(harness.clock.now() - other.clock.now())
  await guessOften(3)
  for (let n = 0; n < 2; n += 1) {
    const body = { username: name, password: 'wrong password' }
    await other.request({ path: LOGIN, body, peer: home })
  }
  expect((await guess()).status).toBe(429)
  await other.close()
})
