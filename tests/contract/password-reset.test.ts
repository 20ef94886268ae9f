import { afterAll, beforeAll, beforeEach, describe, expect, spyOn, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { authTables } from '../../src/auth/tables.ts'
import { jobTables } from '../../src/platform/jobs/tables.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'
import { type MailCatcher, openMailCatcher } from '../support/smtp.ts'
import { until } from '../support/until.ts'
import { strangeMemberRows, userFieldRows } from '../support/user-field-rows.ts'

const FORGOT = '/api/v1/auth/password/forgot'
const RESET = '/api/v1/auth/password/reset'
const LOGIN = '/api/v1/auth/login'
const NEXT = 'a good long one'
const HOUR_MS = 3_600_000
const NO_TICKET = `qt_${'x'.repeat(43)}`

let catcher: MailCatcher
let harness: Harness
let count = 0
/** An account of each test's own. */
let name: string
let id: string
beforeAll(async () => {
  catcher = await openMailCatcher()
  harness = await openHarness({
    SMTP_URL: `smtp://127.0.0.1:${catcher.port}`,
    MAIL_FROM: 'Quintet <quintet@example.com>',
    PUBLIC_URL: 'https://quintet.example.com',
    RATE_LIMIT_AUTH: '100000',
    JOB_POLL_MS: '10',
  })
})
beforeEach(async () => {
  name = `user${(count += 1)}`
  id = await harness.addAccount({ username: name, email: `${name}@example.com` })
})
afterAll(async () => {
  await harness.close()
  await catcher.close()
})

const forgot = (username: string, headers?: Record<string, string>) =>
  harness.request({ path: FORGOT, body: { username }, headers })
const reset = (ticket: string, password = NEXT) =>
  harness.request({ path: RESET, body: { ticket, password } })
const logIn = (password: string, username = name) =>
  harness.request({ path: LOGIN, body: { username, password } })
const mailsTo = (address: string, subject: string) =>
  catcher.mails.filter(({ to, headers }) => to[0] === address && headers['subject'] === subject)
const resetMails = () => mailsTo(`${name}@example.com`, 'Reset your password')
const ticketOf = (text: string) => /\?ticket=(qt_[\w-]{43})\n/.exec(text)![1]!

/** No job of this server waits or runs. */
async function allSent(): Promise<void> {
  const { jobs } = jobTables(harness.platform.database.kit)
  await until(async () => {
    const rows = await harness.platform.database.read.select().from(jobs)
    return rows.every(({ type, finishedAt }) => type !== 'mail.send' || finishedAt !== null)
  })
}

async function ticketFor(username = name): Promise<string> {
  const before = resetMails().length
  await forgot(username)
  await until(() => resetMails().length > before)
  return ticketOf(resetMails().at(-1)!.text)
}

describe('asking for a link refuses', () => {
  testRequests(
    () => harness,
    [
      { name: 'no body', method: 'POST', path: FORGOT, status: 415 },
      { name: 'nobody', path: FORGOT, body: {}, status: 422 },
      { name: 'a number', path: FORGOT, body: { username: 7 }, status: 422 },
      { name: 'two', path: FORGOT, body: { username: ['a', 'b'] }, status: 422 },
      { name: 'a long one', path: FORGOT, body: { username: 'x'.repeat(321) }, status: 422 },
      { name: 'a huge one', path: FORGOT, body: { username: 'x'.repeat(17_000) }, status: 413 },
      { name: 'by GET', path: FORGOT, status: 405 },
      ...strangeMemberRows(
        { path: FORGOT },
        { email: 'eve@example.com', url: 'https://evil.example', id: 'x', role: 'admin' },
        { username: 'ada' },
      ),
    ],
  )
})

describe('a reset refuses', () => {
  const bad = { path: RESET, status: 400, has: { title: 'Invalid link' } }
  const events = ['auth.ticket_refused']
  testRequests(
    () => harness,
    [
      { name: 'no body', method: 'POST', path: RESET, status: 415 },
      { name: 'no ticket', path: RESET, body: { password: NEXT }, status: 422 },
      { name: 'a number', path: RESET, body: { ticket: 7, password: NEXT }, status: 422 },
      {
        name: 'a long ticket',
        path: RESET,
        body: { ticket: 'x'.repeat(257), password: NEXT },
        status: 422,
      },
      { name: 'an empty ticket', ...bad, body: { ticket: '', password: NEXT }, events },
      { name: 'an unknown ticket', ...bad, body: { ticket: NO_TICKET, password: NEXT }, events },
      { name: 'a token', ...bad, body: { ticket: 'eyJhbGciOi', password: NEXT }, events },
      ...userFieldRows({ path: RESET }, ['password'], { ticket: NO_TICKET }),
      ...strangeMemberRows(
        { path: RESET },
        { user_id: 'x', username: 'admin', role: 'admin' },
        { ticket: NO_TICKET, password: NEXT },
      ),
    ],
  )

  test('an unknown ticket without a hash of the password', async () => {
    const spy = spyOn(Bun.password, 'hash')
    await reset(NO_TICKET)
    expect(spy.mock.calls).toHaveLength(0)
    spy.mockRestore()
  })

  test('what comes beyond RATE_LIMIT_AUTH', async () => {
    const few = await openHarness({ RATE_LIMIT_AUTH: '2' })
    const guess = async () =>
      (await few.request({ path: RESET, body: { ticket: NO_TICKET, password: NEXT } })).status
    expect([await guess(), await guess(), await guess()]).toEqual([400, 400, 429])
    await few.close()
  })

  test('V9.2.2: a token of another kind', async () => {
    const response = await logIn(PASSWORD)
    const { token, refresh_token } = (await response.json()) as Record<string, string>
    for (const ticket of [token!.slice(0, 256), refresh_token!]) {
      expect((await reset(ticket)).status).toBe(400)
    }
  })

  test('V9.2.2: a ticket to verify an address', async () => {
    const { token } = (await (await logIn(PASSWORD)).json()) as { token: string }
    await harness.request({ method: 'POST', path: '/api/v1/me/email/verification', token })
    const mails = () => mailsTo(`${name}@example.com`, 'Verify your e-mail address')
    await until(() => mails().length === 1)
    const ticket = ticketOf(mails()[0]!.text)
    expect((await reset(ticket)).status).toBe(400)
    const body = { ticket, password: PASSWORD }
    const verify = { path: '/api/v1/auth/email/verify', body }
    expect((await harness.request(verify)).status).toBe(204)
  })
})

describe('a link', () => {
  test('sets the password, once', async () => {
    const ticket = await ticketFor()
    expect((await reset(ticket)).status).toBe(204)
    expect((await logIn(PASSWORD)).status).toBe(401)
    expect((await logIn(NEXT)).status).toBe(200)
    expect((await reset(ticket, 'another long one')).status).toBe(400)
    expect((await logIn(NEXT)).status).toBe(200)
  })

  test('works for one of those who try at once', async () => {
    const ticket = await ticketFor()
    const answers = await Promise.all(
      Array.from({ length: 5 }, (_, n) => reset(ticket, `a good long one ${n}`)),
    )
    const statuses = answers.map(({ status }) => String(status)).toSorted()
    expect(statuses).toEqual(['204', '400', '400', '400', '400'])
  })

  test('is found by user name and by address, whatever the case, and goes to the address that is kept', async () => {
    for (const typed of [name.toUpperCase(), `${name.toUpperCase()}@EXAMPLE.com`]) {
      const before = resetMails().length
      await forgot(typed)
      await until(() => resetMails().length > before)
      expect(resetMails().at(-1)!.to).toEqual([`${name}@example.com`])
    }
  })

  test('is good for an hour', async () => {
    const ticket = await ticketFor()
    harness.clock.advance(HOUR_MS - 1)
    const late = await ticketFor()
    expect((await reset(ticket, 'short')).status).toBe(422)
    harness.clock.advance(1)
    expect((await reset(ticket)).status).toBe(400)
    expect((await reset(late)).status).toBe(204)
  })

  test('is left good by a weak password', async () => {
    const ticket = await ticketFor()
    expect((await reset(ticket, 'password1')).status).toBe(422)
    expect((await reset(ticket, `${name}@${name}`)).status).toBe(422)
    expect((await reset(ticket)).status).toBe(204)
  })

  test('ends all sessions, and those of nobody else', async () => {
    const tokens = [await harness.logIn(name), await harness.logIn(name)]
    const ticket = await ticketFor()
    await reset(ticket)
    for (const token of tokens) {
      expect((await harness.request({ path: '/api/v1/me', token })).status).toBe(401)
    }
    const me = await harness.request({ path: '/api/v1/me', token: harness.adminToken })
    expect(me.status).toBe(200)
  })

  test('voids the others', async () => {
    const first = await ticketFor()
    const second = await ticketFor()
    expect((await reset(second)).status).toBe(204)
    expect((await reset(first, 'another long one')).status).toBe(400)
  })

  test('leaves the ones before good until one is used', async () => {
    const first = await ticketFor()
    await ticketFor()
    expect((await reset(first)).status).toBe(204)
  })

  test('is void once the password was changed', async () => {
    const ticket = await ticketFor()
    const token = await harness.logIn(name)
    const body = { current_password: PASSWORD, password: NEXT }
    const changed = await harness.request({ path: '/api/v1/me/password', body, token })
    expect(changed.status).toBe(204)
    expect((await reset(ticket, 'another long one')).status).toBe(400)
  })

  test('is void once an administrator has reset it', async () => {
    const ticket = await ticketFor()
    const path = `/api/v1/users/${id}/password`
    await harness.request({ path, body: { password: NEXT }, token: harness.adminToken })
    expect((await reset(ticket, 'another long one')).status).toBe(400)
  })

  test('is void once an administrator has voided the password, whatever it was sent for', async () => {
    const asked = await ticketFor()
    const path = `/api/v1/users/${id}/password`
    const invitations = () => mailsTo(`${name}@example.com`, 'Your account')
    const invite = async () => {
      const before = invitations().length
      const voided = await harness.request({ path, body: {}, token: harness.adminToken })
      expect(voided.status).toBe(200)
      await until(() => invitations().length > before)
      return ticketOf(invitations().at(-1)!.text)
    }
    const first = await invite()
    const second = await invite()
    expect((await reset(asked)).status).toBe(400)
    expect((await reset(first)).status).toBe(400)
    expect((await reset(second)).status).toBe(204)
    expect((await logIn(NEXT)).status).toBe(200)
  })

  test.each(['elsewhere@example.com', null])('is void once the address is %p', async (email) => {
    const ticket = await ticketFor()
    const path = `/api/v1/users/${id}`
    const patch = { method: 'PATCH', path, body: { email }, token: harness.adminToken }
    expect((await harness.request(patch)).status).toBe(200)
    expect((await reset(ticket)).status).toBe(400)
    const back = { ...patch, body: { email: `${name}@example.com` } }
    expect((await harness.request(back)).status).toBe(200)
    expect((await reset(ticket)).status).toBe(400)
  })

  test('is for the address that it was sent to, whoever changed it and however', async () => {
    const ticket = await ticketFor()
    const { database } = harness.platform
    const { accounts } = authTables(database.kit)
    await database.write(async (tx) => {
      await tx.update(accounts).set({ email: 'x@example.com' }).where(eq(accounts.id, id))
    })
    expect((await reset(ticket)).status).toBe(400)
  })

  test('is void once the account is disabled, which lets nobody in, nor later', async () => {
    const ticket = await ticketFor()
    const path = `/api/v1/users/${id}`
    const disable = (disabled: boolean) =>
      harness.request({ method: 'PATCH', path, body: { disabled }, token: harness.adminToken })
    await disable(true)
    expect((await reset(ticket)).status).toBe(400)
    await forgot(name)
    await allSent()
    expect(resetMails()).toHaveLength(1)
    await disable(false)
    expect((await reset(ticket)).status).toBe(400)
    expect((await reset(await ticketFor())).status).toBe(204)
  })

  test('opens no session by itself', async () => {
    const response = await reset(await ticketFor())
    expect(await response.text()).toBe('')
    expect(response.headers.get('set-cookie')).toBeNull()
  })

  test('shows that the address is read', async () => {
    await reset(await ticketFor())
    const token = await harness.logIn(name, NEXT)
    const me = await harness.request({ path: '/api/v1/me', token })
    expect(await me.json()).toMatchObject({ email_verified: true })
  })

  test.each([
    { host: 'evil.example' },
    { 'x-forwarded-host': 'evil.example' },
    { forwarded: 'host=evil.example;proto=http' },
    { 'x-forwarded-proto': 'ftp', 'x-forwarded-port': '666' },
    { origin: 'https://evil.example', referer: 'https://evil.example/x' },
  ])('leads to PUBLIC_URL, which no Host header changes: %j', async (headers) => {
    await forgot(name, headers)
    await until(() => resetMails().length === 1)
    const { text } = resetMails()[0]!
    expect(text.match(/\S*:\/\/\S*/g)).toEqual([
      expect.stringMatching(/^https:\/\/quintet\.example\.com\/reset-password\?ticket=qt_/),
    ])
    for (const part of ['evil', 'ftp', '666']) expect(text).not.toContain(part)
  })

  test('is used: the owner is told, and the audit tells of each step', async () => {
    await reset(await ticketFor())
    await until(() => mailsTo(`${name}@example.com`, 'Your password was changed').length === 1)
    const path = `/api/v1/audit?principal=${id}`
    const answer = await harness.request({ path, token: harness.adminToken })
    const { entries } = (await answer.json()) as { entries: object[] }
    expect(entries).toMatchObject([
      { type: 'auth.password_changed', actor: { id }, address: '203.0.113.7' },
      { type: 'auth.password_reset_requested', actor: { kind: 'anonymous' }, subject: { id } },
    ])
  })
})

describe('a link to an address that somebody else claimed before', () => {
  const SUBJECT = 'Reset your password'
  const as = (token: string, path: string, body: object, method = 'POST') =>
    harness.request({ method, path, body, token })
  const makeKey = async (token: string) => {
    const answer = await as(token, '/api/v1/api-keys', { name: 'mine', scopes: ['models:read'] })
    expect(answer.status).toBe(201)
    return ((await answer.json()) as { key: string }).key
  }
  const isAccepted = async (token: string) =>
    (await harness.request({ path: '/api/v1/models', token })).status === 200

  /** What lets somebody in beside the password, as tables have it. */
  async function plant(accountId: string): Promise<void> {
    const { kit, write } = harness.platform.database
    const { identities, totp, recoveryCodes, passkeys } = authTables(kit)
    const now = new Date(harness.clock.now())
    const its = { id: accountId, accountId, createdAt: now }
    await write(async (tx) => {
      await tx
        .insert(identities)
        .values({ ...its, provider: 'elsewhere', subject: accountId, usedAt: now })
      await tx
        .insert(totp)
        .values({ ...its, secret: 'sealed', confirmedAt: now, lastStep: 0, failures: 0 })
      await tx.insert(recoveryCodes).values({ accountId, hash: accountId })
      await tx.insert(passkeys).values({
        ...its,
        credentialId: accountId,
        publicKey: '',
        counter: 0,
        transports: [],
        name: 'mine',
        isBackedUp: false,
      })
    })
  }

  async function planted(accountId: string): Promise<number[]> {
    const { kit, read } = harness.platform.database
    const { identities, totp, recoveryCodes, passkeys, apiKeys } = authTables(kit)
    const counts = [identities, totp, recoveryCodes, passkeys].map(async (table) => {
      const rows = await read.select().from(table).where(eq(table.accountId, accountId))
      return rows.length
    })
    const keys = await read.select().from(apiKeys).where(eq(apiKeys.ownerId, accountId))
    return [...(await Promise.all(counts)), keys.length]
  }

  async function claim(accountId: string, columns: object): Promise<void> {
    const { accounts } = authTables(harness.platform.database.kit)
    await harness.platform.database.write(async (tx) => {
      await tx.update(accounts).set(columns).where(eq(accounts.id, accountId))
    })
  }

  test('is not sent: who asks for an address by PATCH /me does not have it', async () => {
    const victim = `victim-of-${name}@example.com`
    const token = await harness.logIn(name)
    const body = { email: victim, current_password: PASSWORD }
    expect((await as(token, '/api/v1/me', body, 'PATCH')).status).toBe(200)
    const key = await makeKey(token)
    await forgot(victim)
    await allSent()
    expect(mailsTo(victim, SUBJECT)).toHaveLength(0)
    expect(await isAccepted(key)).toBe(true)
    // And she makes an account of her own with it.
    const own = { username: `victim${name}`, email: victim, password: NEXT }
    expect((await as(harness.adminToken, '/api/v1/users', own)).status).toBe(201)
    expect((await logIn(NEXT, victim)).status).toBe(200)
  })

  test('is kept out too by an administrator who voids the password', async () => {
    const key = await makeKey(await harness.logIn(name))
    await plant(id)
    const path = `/api/v1/users/${id}/password`
    const voided = await harness.request({ path, body: {}, token: harness.adminToken })
    expect(voided.status).toBe(200)
    expect(await planted(id)).toEqual([0, 0, 0, 0, 0])
    expect(await isAccepted(key)).toBe(false)
    const invitations = () => mailsTo(`${name}@example.com`, 'Your account')
    await until(() => invitations().length > 0)
    expect((await reset(ticketOf(invitations()[0]!.text))).status).toBe(204)
    expect((await logIn(NEXT)).status).toBe(200)
  })

  test('removes all that they left there, in the same write', async () => {
    await claim(id, { emailClaimedAt: new Date(harness.clock.now()) })
    const key = await makeKey(await harness.logIn(name))
    await plant(id)
    expect(await isAccepted(key)).toBe(true)
    expect(await planted(id)).toEqual([1, 1, 1, 1, 1])
    expect((await reset(await ticketFor(`${name}@example.com`))).status).toBe(204)
    expect(await planted(id)).toEqual([0, 0, 0, 0, 0])
    expect(await isAccepted(key)).toBe(false)
    expect((await logIn(NEXT)).status).toBe(200)
    await harness.published()
    const told = harness.events.filter(
      ({ type, data }) => type !== 'auth.login' && 'user_id' in data && data.user_id === id,
    )
    expect(told.slice(-4)).toMatchObject([
      { type: 'auth.api_key_deleted', data: { actor_id: id } },
      { type: 'auth.identity_removed', data: { actor_id: id } },
      { type: 'auth.second_factors_removed', data: { actor_id: id } },
      { type: 'auth.password_changed', data: { actor_id: id } },
    ])
    // From now on it is hers.
    await plant(id)
    expect((await reset(await ticketFor())).status).toBe(204)
    expect(await planted(id)).toEqual([1, 1, 1, 1, 0])
  })

  test.each([
    ['was verified before', { emailVerifiedAt: new Date(), emailClaimedAt: null }],
    ['an administrator gave', { emailVerifiedAt: null, emailClaimedAt: null }],
  ])('that %s removes nothing: a mailbox is not enough', async (_, columns) => {
    await claim(id, columns)
    const key = await makeKey(await harness.logIn(name))
    await plant(id)
    const done = await reset(await ticketFor())
    expect(done.status).toBe(204)
    expect(done.headers.get('set-cookie')).toBeNull()
    expect(await planted(id)).toEqual([1, 1, 1, 1, 1])
    expect(await isAccepted(key)).toBe(true)
    const asked = await logIn(NEXT)
    expect(asked.status).toBe(401)
    const document = (await asked.json()) as object
    expect(document).toMatchObject({
      title: 'Second factor required',
      methods: ['totp', 'recovery_code', 'passkey'],
    })
    for (const name of ['token', 'refresh_token']) expect(document).not.toHaveProperty(name)
  })

  test('is claimed by who signs up, and by who changes it where no mail is sent', async () => {
    const { accounts } = authTables(harness.platform.database.kit)
    const claims = async (one: Harness) => {
      const rows = await one.platform.database.read.select().from(accounts)
      return rows.flatMap(({ email, emailClaimedAt }) => (emailClaimedAt === null ? [] : [email]))
    }
    const one = await openHarness({ SIGNUP: 'open' })
    const body = { username: 'eve', email: 'eve@example.com', password: NEXT }
    await one.request({ path: '/api/v1/auth/signup', body })
    expect(await claims(one)).toEqual(['eve@example.com'])
    const token = await one.logIn('eve', NEXT)
    const change = { email: 'ada@example.com', current_password: NEXT }
    await one.request({ method: 'PATCH', path: '/api/v1/me', body: change, token })
    expect(await claims(one)).toEqual(['ada@example.com'])
    const me = (await (await one.request({ path: '/api/v1/me', token })).json()) as { id: string }
    await one.request({
      method: 'PATCH',
      path: `/api/v1/users/${me.id}`,
      body: { email: 'given@example.com' },
      token: one.adminToken,
    })
    expect(await claims(one)).toEqual([])
    await one.close()
  })
})

describe('who is here is not told', () => {
  let quiet: Harness
  beforeAll(async () => {
    quiet = await openHarness({ SMTP_URL: 'smtp://127.0.0.1:1', MAIL_FROM: 'a@example.com' })
    // What the jobs do comes after the answer.
    await quiet.platform.jobs.stop(0)
    await quiet.platform.outbox.stop()
    await quiet.addAccount({ username: 'ada', email: 'ada@example.com' })
    await quiet.addAccount({ username: 'eve' })
  })
  afterAll(() => quiet.close())

  /** How many rows there are of all that a request could leave. */
  async function written(): Promise<number[]> {
    const { database } = quiet.platform
    const { audit, tickets, throttles } = authTables(database.kit)
    const { jobs } = jobTables(database.kit)
    const rows = [audit, jobs, tickets, throttles].map((table) =>
      database.read.select().from(table),
    )
    return (await Promise.all(rows)).map(({ length }) => length)
  }

  test('by asking for an address: same answer, same writes, the same hashes', async () => {
    const outcomes: unknown[] = []
    const verify = spyOn(Bun.password, 'verify')
    const writes = spyOn(quiet.platform.database, 'write')
    for (const [username, email] of [
      ['asks-1', 'free-1@example.com'],
      ['asks-2', 'ada@example.com'],
    ] as const) {
      await quiet.addAccount({ username })
      const token = await quiet.logIn(username)
      writes.mockClear()
      verify.mockClear()
      const before = await written()
      const response = await quiet.request({
        method: 'PATCH',
        path: '/api/v1/me',
        body: { email, current_password: PASSWORD },
        token,
      })
      const after = await written()
      outcomes.push({
        status: response.status,
        members: Object.keys((await response.json()) as object),
        rows: after.map((rows, index) => rows - before[index]!),
        writes: writes.mock.calls.length,
        hashes: verify.mock.calls.length,
      })
    }
    expect(outcomes[0]).toMatchObject({ status: 200, rows: [1, 1, 0, 0], hashes: 1 })
    expect(outcomes[1]).toEqual(outcomes[0])
    for (const spy of [verify, writes]) spy.mockRestore()
  })

  test('by a reset: same answer, same writes, no hash', async () => {
    const outcomes: unknown[] = []
    const hash = spyOn(Bun.password, 'hash')
    const verify = spyOn(Bun.password, 'verify')
    const writes = spyOn(quiet.platform.database, 'write')
    for (const username of ['ada', 'ada@example.com', 'eve', 'nobody', 'nobody@example.com']) {
      writes.mockClear()
      const before = await written()
      const headers = {
        'x-request-id': 'same',
        traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`,
      }
      const response = await quiet.request({ path: FORGOT, body: { username }, headers })
      const after = await written()
      const { ratelimit: _, traceparent: __, ...answered } = Object.fromEntries(response.headers)
      outcomes.push({
        status: response.status,
        text: await response.text(),
        answered,
        rows: after.map((rows, index) => rows - before[index]!),
        writes: writes.mock.calls.length,
      })
    }
    expect(outcomes[0]).toMatchObject({ status: 202, rows: [1, 1, 0, 0], writes: 1 })
    for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0])
    expect([...hash.mock.calls, ...verify.mock.calls]).toHaveLength(0)
    for (const spy of [hash, verify, writes]) spy.mockRestore()
  })
})

test('a flood of forgotten passwords is told of 30 times a minute', async () => {
  const { audit } = authTables(harness.platform.database.kit)
  const told = async () => {
    const { read } = harness.platform.database
    const type = 'auth.password_reset_requested'
    return (await read.select().from(audit).where(eq(audit.type, type))).length
  }
  harness.clock.advance(60_000)
  const before = await told()
  for (let n = 0; n < 40; n += 1) expect((await forgot(`nobody ${n}`)).status).toBe(202)
  expect((await told()) - before).toBe(30)
  // Whoever has an account gets the link all the same, and made-up names keep that out of no audit.
  expect((await forgot(name)).status).toBe(202)
  expect((await told()) - before).toBe(31)
  await until(() => resetMails().length === 1)
  harness.clock.advance(60_000)
  await forgot('nobody')
  expect((await told()) - before).toBe(32)
})

test('a flood of made-up links, or of rubbish for passkeys, is told of 30 times a minute', async () => {
  const { audit } = authTables(harness.platform.database.kit)
  const rubbish = {
    id: 'AAAA',
    rawId: 'AAAA',
    type: 'public-key',
    response: { clientDataJSON: 'e30', authenticatorData: 'AAAA', signature: 'AAAA' },
  }
  const floods: [
    type: 'auth.ticket_refused' | 'auth.login_failed',
    flood: () => Promise<Response>,
  ][] = [
    ['auth.ticket_refused', () => reset(NO_TICKET)],
    [
      'auth.login_failed',
      () => harness.request({ path: '/api/v1/auth/passkeys/login', body: { response: rubbish } }),
    ],
  ]
  harness.clock.advance(60_000)
  for (const [type, flood] of floods) {
    const told = async () =>
      (await harness.platform.database.read.select().from(audit).where(eq(audit.type, type))).length
    const before = await told()
    for (let n = 0; n < 35; n += 1) expect([400, 401]).toContain((await flood()).status)
    expect((await told()) - before).toBe(30)
  }
})
