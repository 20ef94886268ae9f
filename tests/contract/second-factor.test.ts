import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'
import { generateSync } from 'otplib'

import { authTables } from '../../src/auth/tables.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { base32BitsOf, randomBitsOf } from '../support/random-bits.ts'
import { testRequests } from '../support/request-table.ts'

const LOGIN = '/api/v1/auth/login'
const SECOND = '/api/v1/auth/second-factor'
const TOTP = '/api/v1/me/totp'
const CONFIRMATION = '/api/v1/me/totp/confirmation'
const RECOVERY = '/api/v1/me/recovery-codes'
const STATE = '/api/v1/me/second-factors'
const STEP_MS = 30_000
const MINUTE_MS = 60_000
const BAD_TICKET = { title: 'Invalid second-factor ticket', status: 401 }
const BAD_FACTOR = { title: 'Invalid second factor', status: 401 }

interface Person {
  id: string
  username: string
  token: string
  refreshToken: string
  secret: string
  recoveryCodes: string[]
}

let harness: Harness
beforeAll(async () => {
  harness = await openHarness({ RATE_LIMIT_AUTH: '100000' })
})
afterAll(() => harness.close())

const tables = () => authTables(harness.platform.database.kit)
const post = (path: string, body?: unknown, token?: string) =>
  harness.request({ method: 'POST', path, body, token })
const json = async <T = Record<string, unknown>>(response: Promise<Response> | Response) =>
  (await (await response).json()) as T
const codeOf = (secret: string, stepsAway = 0) =>
  generateSync({ secret, epoch: Math.floor((harness.clock.now() + stepsAway * STEP_MS) / 1000) })
/** So that the next code is another one. */
const nextStep = () => harness.clock.advance(STEP_MS)

let people = 0
/** Somebody who has no second factor. */
async function newPerson(): Promise<Person> {
  const username = `person ${++people}`
  const id = await harness.addAccount({ username })
  const { token, refresh_token: refreshToken } = await json<Record<string, string>>(
    post(LOGIN, { username, password: PASSWORD }),
  )
  return {
    id,
    username,
    token: token!,
    refreshToken: refreshToken!,
    secret: '',
    recoveryCodes: [],
  }
}
/** Somebody who has an app. The step of its first code is over. */
async function newOwner(): Promise<Person> {
  const person = await newPerson()
  const { secret } = await json<{ secret: string }>(post(TOTP, undefined, person.token))
  const confirmed = await post(CONFIRMATION, { code: codeOf(secret) }, person.token)
  expect(confirmed.status).toBe(200)
  const { recovery_codes: recoveryCodes } = await json<{ recovery_codes: string[] }>(confirmed)
  nextStep()
  return { ...person, secret, recoveryCodes }
}
async function ticketOf({ username }: Person, password = PASSWORD): Promise<string> {
  const response = await post(LOGIN, { username, password })
  expect(response.status).toBe(401)
  const { ticket } = await json<{ ticket: string }>(response)
  expect(ticket).toStartWith('qt_')
  return ticket
}
async function expectRefused(
  response: Response | Promise<Response>,
  has: object,
  hidden: string[] = [],
): Promise<void> {
  const text = await (await response).text()
  expect(JSON.parse(text)).toMatchObject(has)
  for (const part of hidden) expect(text).not.toContain(part)
}
async function logIn(person: Person, code = codeOf(person.secret)): Promise<string> {
  const response = await post(SECOND, { ticket: await ticketOf(person), code })
  expect(response.status).toBe(200)
  return (await json<{ token: string }>(response)).token
}
/** The server's own jobs run when the clock moves, and tell of themselves. */
async function eventsOf(work: () => Promise<unknown>) {
  await harness.published()
  const before = harness.events.length
  await work()
  await harness.published()
  return harness.events.slice(before).filter(({ type }) => type.startsWith('auth.'))
}
const typesOf = async (work: () => Promise<unknown>) =>
  (await eventsOf(work)).map(({ type }) => type as string)

describe('refuses', () => {
  const ada: Record<string, string> = {}
  let adaId = ''
  beforeAll(async () => {
    const person = await newPerson()
    ada['ada'] = person.token
    adaId = person.id
  })
  testRequests(
    () => harness,
    [
      { name: 'a code without a body', method: 'POST', path: SECOND, status: 415 },
      { name: 'a code without a ticket', path: SECOND, body: { code: '123456' }, status: 422 },
      { name: 'a ticket without a code', path: SECOND, body: { ticket: 'x' }, status: 422 },
      {
        name: 'a code that is a number, which has no zeros before it',
        path: SECOND,
        body: { ticket: 'x', code: 12_345 },
        status: 422,
        has: { errors: [{ pointer: '#/code' }] },
      },
      {
        name: 'a code that is too long',
        path: SECOND,
        body: { ticket: 'x', code: '1'.repeat(65) },
        status: 422,
      },
      {
        name: 'a ticket that is too long',
        path: SECOND,
        body: { ticket: 'x'.repeat(257), code: '123456' },
        status: 422,
      },
      ...['role', 'user_id', 'account_id', 'method'].map((member) => ({
        name: `a code with ${member}`,
        path: SECOND,
        body: { ticket: 'x', code: '123456', [member]: 'admin' },
        status: 422,
        has: { errors: [{ pointer: `#/${member}` }] },
      })),
      {
        name: 'a ticket that is none',
        path: SECOND,
        body: { ticket: 'qt_x', code: '123456' },
        status: 401,
        has: BAD_TICKET,
      },
      { name: 'a code by GET', path: SECOND, status: 405, answerHeaders: { allow: 'POST' } },
      ...[TOTP, CONFIRMATION, RECOVERY].map((path) => ({
        name: `${path} without a token`,
        path,
        body: { code: '123456' },
        status: 401,
      })),
      { name: 'my state without a token', path: STATE, status: 401 },
      { name: 'to remove TOTP without a token', method: 'DELETE', path: TOTP, status: 401 },
      { name: 'to remove TOTP that is not', as: 'ada', method: 'DELETE', path: TOTP, status: 404 },
      {
        name: 'to confirm what was not begun',
        as: 'ada',
        path: CONFIRMATION,
        body: { code: '123456' },
        status: 409,
        has: { title: 'TOTP not begun' },
      },
      {
        name: 'to confirm by no code',
        as: 'ada',
        path: CONFIRMATION,
        body: {},
        status: 422,
      },
      {
        name: 'to confirm a secret of one’s own choice',
        as: 'ada',
        path: CONFIRMATION,
        body: { code: '123456', secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ' },
        status: 422,
        has: { errors: [{ pointer: '#/secret' }] },
      },
      {
        name: 'recovery codes for nothing to recover',
        as: 'ada',
        method: 'POST',
        path: RECOVERY,
        status: 409,
        has: { title: 'No second factor' },
      },
      {
        name: 'to take another’s second factors away',
        as: 'ada',
        method: 'DELETE',
        path: `/api/v1/users/${Bun.randomUUIDv7()}/second-factors`,
        status: 403,
      },
      {
        name: 'to take nobody’s second factors away',
        as: 'admin',
        method: 'DELETE',
        path: `/api/v1/users/${Bun.randomUUIDv7()}/second-factors`,
        status: 404,
      },
    ],
    () => ada,
  )

  test('to take a user’s second factors away without a token', async () => {
    const path = `/api/v1/users/${adaId}/second-factors`
    expect((await harness.request({ method: 'DELETE', path })).status).toBe(401)
  })
})

describe('setting TOTP up', () => {
  test('answers a secret and its address, and asks for nothing before the first code', async () => {
    const person = await newPerson()
    const begun = await json<{ secret: string; uri: string; expires_in: number }>(
      post(TOTP, undefined, person.token),
    )
    expect(begun).toEqual({
      secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
      uri: `otpauth://totp/Quintet%20localhost:person%20${people}?secret=${begun.secret}&issuer=Quintet%20localhost`,
      expires_in: 600,
    })
    expect((await post(LOGIN, { username: person.username, password: PASSWORD })).status).toBe(200)
    expect(await json(harness.request({ path: STATE, token: person.token }))).toEqual({
      totp: false,
      passkeys: 0,
      recovery_codes: 0,
    })
  })

  test('is not done by a wrong code, nor by what is none', async () => {
    const { token } = await newPerson()
    const { secret } = await json<{ secret: string }>(post(TOTP, undefined, token))
    for (const code of ['000000', codeOf(secret, 9), 'abcdef', '', '1234567', '１２３４５６']) {
      const refused = post(CONFIRMATION, { code }, token)
      await expectRefused(refused, { status: 422, title: 'Invalid TOTP code' }, [secret])
    }
    expect((await post(CONFIRMATION, { code: [codeOf(secret)] }, token)).status).toBe(200)
  })

  test('is over after ten minutes, and begins again with another secret', async () => {
    const person = await newPerson()
    const first = await json<{ secret: string }>(post(TOTP, undefined, person.token))
    harness.clock.advance(10 * MINUTE_MS - 1)
    const token = await harness.logIn(person.username)
    harness.clock.advance(1)
    const late = post(CONFIRMATION, { code: codeOf(first.secret) }, token)
    await expectRefused(late, { status: 409 })
    const second = await json<{ secret: string }>(post(TOTP, undefined, token))
    expect(second.secret).not.toBe(first.secret)
    expect((await post(CONFIRMATION, { code: codeOf(first.secret) }, token)).status).toBe(422)
    expect((await post(CONFIRMATION, { code: codeOf(second.secret) }, token)).status).toBe(200)
  })

  test('answers ten recovery codes, ends the sessions that were opened by less, and is told of', async () => {
    const person = await newPerson()
    const other = await harness.logIn(person.username)
    const { secret } = await json<{ secret: string }>(post(TOTP, undefined, person.token))
    let answer: { recovery_codes: string[] } | undefined
    const events = await eventsOf(async () => {
      answer = await json(post(CONFIRMATION, { code: codeOf(secret) }, person.token))
    })
    expect(events.map(({ type, data }) => [type, data])).toEqual([
      ['auth.totp_enabled', { user_id: person.id, actor_id: person.id, time: expect.any(String) }],
    ])
    expect(new Set(answer!.recovery_codes).size).toBe(10)
    for (const code of answer!.recovery_codes)
      expect(code).toMatch(/^([0-9a-hjkmnp-tv-z]{5}-){4}[0-9a-hjkmnp-tv-z]{5}$/)
    const me = async (token: string) => (await harness.request({ path: STATE, token })).status
    expect(await me(person.token)).toBe(200)
    expect(await me(other)).toBe(401)
    expect(await json(harness.request({ path: STATE, token: person.token }))).toEqual({
      totp: true,
      passkeys: 0,
      recovery_codes: 10,
    })
  })

  test('again is refused while one is there', async () => {
    const { token } = await newOwner()
    await expectRefused(post(TOTP, undefined, token), {
      title: 'TOTP enabled already',
      status: 409,
    })
  })
})

describe('a login by password', () => {
  test('where TOTP is on answers a ticket, and no token', async () => {
    const person = await newOwner()
    const response = await post(LOGIN, { username: person.username, password: PASSWORD })
    expect(response.status).toBe(401)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const document = await json(response)
    expect(document).toMatchObject({
      type: '/docs/problems#auth/second-factor-required',
      title: 'Second factor required',
      ticket: expect.stringMatching(/^qt_[\w-]{43}$/),
      methods: ['totp', 'recovery_code'],
      expires_in: 300,
    })
    expect(document).not.toHaveProperty('token')
  })

  test('where TOTP is on tells nothing to who has a wrong one', async () => {
    const [owner, plain] = [await newOwner(), await newPerson()]
    const attempt = async ({ username }: Person) => {
      const response = await post(LOGIN, { username, password: 'wrong password' })
      return { ...(await json(response)), instance: '' }
    }
    expect(await attempt(owner)).toEqual(await attempt(plain))
  })

  test('is told of twice: that it is not enough, and by what it was', async () => {
    const person = await newOwner()
    const events = await eventsOf(() => logIn(person))
    expect(events.map(({ type, data }) => [type, data])).toMatchObject([
      ['auth.second_factor_required', { user_id: person.id, actor_id: null }],
      ['auth.login', { user_id: person.id, methods: ['password', 'totp'] }],
    ])
  })

  test('answers as a login does', async () => {
    const person = await newOwner()
    const body = { ticket: await ticketOf(person), code: codeOf(person.secret) }
    expect(await json(post(SECOND, body))).toEqual({
      token: expect.any(String),
      refresh_token: expect.stringMatching(/^qrt_/),
      expires_in: 86_400,
      user: { id: person.id, username: person.username, role: 'viewer' },
    })
  })

  test('that began before TOTP was enabled, and would end after it, is asked for more', async () => {
    const person = await newPerson()
    const { secret } = await json<{ secret: string }>(post(TOTP, undefined, person.token))
    const { database } = harness.platform
    const { accounts } = tables()
    const [isHeld, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const held = database.write(async (tx) => {
      await database.lock(tx.select().from(accounts).where(eq(accounts.id, person.id)))
      isHeld.resolve()
      await release.promise
    })
    await isHeld.promise
    const confirmed = post(CONFIRMATION, { code: codeOf(secret) }, person.token)
    await Bun.sleep(100)
    const login = post(LOGIN, { username: person.username, password: PASSWORD })
    // It sees that there is none, and waits to open its session.
    await Bun.sleep(400)
    release.resolve()
    await held
    expect((await confirmed).status).toBe(200)
    await expectRefused(login, { title: 'Second factor required' })
  })

  test('of an imported account renews its hash, and its ticket stays good', async () => {
    const username = `person ${++people}`
    const passwordHash = await Bun.password.hash(PASSWORD, { algorithm: 'bcrypt', cost: 4 })
    const id = await harness.addAccount({ username, passwordHash })
    const token = await harness.logIn(username)
    const { secret } = await json<{ secret: string }>(post(TOTP, undefined, token))
    await post(CONFIRMATION, { code: codeOf(secret) }, token)
    nextStep()
    // The login to set it up has renewed the hash; so it is put back.
    const { accounts } = tables()
    const ofAccount = eq(accounts.id, id)
    const { database } = harness.platform
    await database.write(async (tx) => {
      await tx.update(accounts).set({ passwordHash }).where(ofAccount)
    })
    await logIn({ id, username, secret, token, refreshToken: '', recoveryCodes: [] })
    const [account] = await database.read.select().from(accounts).where(ofAccount)
    expect(account!.passwordHash).toStartWith('$argon2id$')
  })
})

describe('a code', () => {
  test('RFC 6238 §5.2: is taken one step early and late, and no more', async () => {
    const person = await newOwner()
    // The window moves with each code that is taken, so each has steps of its own.
    for (const [stepsAway, isTaken] of [
      [-2, false],
      [2, false],
      [-1, true],
      [0, true],
      [1, true],
    ] as const) {
      harness.clock.advance(5 * STEP_MS)
      const body = { ticket: await ticketOf(person), code: codeOf(person.secret, stepsAway) }
      const { status } = await post(SECOND, body)
      expect([stepsAway, status]).toEqual([stepsAway, isTaken ? 200 : 401])
    }
  })

  test('RFC 6238 §5.2: replayed in the same step is refused, with a new ticket too', async () => {
    const person = await newOwner()
    const code = codeOf(person.secret)
    await logIn(person, code)
    await expectRefused(post(SECOND, { ticket: await ticketOf(person), code }), BAD_FACTOR)
    nextStep()
    await expectRefused(post(SECOND, { ticket: await ticketOf(person), code }), BAD_FACTOR)
    await logIn(person)
  })

  test('RFC 6238 §5.2: of an earlier step is refused after a later one', async () => {
    const person = await newOwner()
    const earlier = codeOf(person.secret)
    await logIn(person, codeOf(person.secret, 1))
    await expectRefused(post(SECOND, { ticket: await ticketOf(person), code: earlier }), BAD_FACTOR)
  })

  test('that enabled TOTP does not log in', async () => {
    const person = await newPerson()
    const { secret } = await json<{ secret: string }>(post(TOTP, undefined, person.token))
    const code = codeOf(secret)
    await post(CONFIRMATION, { code }, person.token)
    await expectRefused(post(SECOND, { ticket: await ticketOf(person), code }), BAD_FACTOR)
  })

  test('by ten at once, each with a ticket of its own, opens one session', async () => {
    const person = await newOwner()
    const code = codeOf(person.secret)
    const tickets: string[] = []
    for (let n = 0; n < 10; n++) tickets.push(await ticketOf(person))
    const answers = await Promise.all(tickets.map((ticket) => post(SECOND, { ticket, code })))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  test('may be typed as the app shows it', async () => {
    const person = await newOwner()
    await logIn(person, codeOf(person.secret).replace(/^.../, '$& '))
  })

  test('of another account is wrong', async () => {
    const [ada, eve] = [await newOwner(), await newOwner()]
    const body = { ticket: await ticketOf(ada), code: codeOf(eve.secret) }
    await expectRefused(post(SECOND, body), BAD_FACTOR)
  })
})

describe('a recovery code', () => {
  test('logs in once, and the rest stay good', async () => {
    const person = await newOwner()
    const [first, second] = person.recoveryCodes
    const events = await eventsOf(() => logIn(person, first))
    expect(events.at(-1)).toMatchObject({ data: { methods: ['password', 'recovery_code'] } })
    await expectRefused(post(SECOND, { ticket: await ticketOf(person), code: first }), BAD_FACTOR)
    const token = await logIn(person, second!.toUpperCase().replaceAll('-', ' '))
    expect(await json(harness.request({ path: STATE, token }))).toMatchObject({ recovery_codes: 8 })
  })

  test('by ten at once opens one session', async () => {
    const person = await newOwner()
    const [code] = person.recoveryCodes
    const tickets: string[] = []
    for (let n = 0; n < 10; n++) tickets.push(await ticketOf(person))
    const answers = await Promise.all(tickets.map((ticket) => post(SECOND, { ticket, code })))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  test('of another account is wrong, and stays good for its own', async () => {
    const [ada, eve] = [await newOwner(), await newOwner()]
    const [code] = eve.recoveryCodes
    await expectRefused(post(SECOND, { ticket: await ticketOf(ada), code }), BAD_FACTOR)
    await logIn(eve, code)
  })

  test('has 125 random bits', async () => {
    const { token } = await newOwner()
    const left: string[] = []
    const next = async () => {
      if (left.length === 0) {
        const made = await json<{ recovery_codes: string[] }>(post(RECOVERY, undefined, token))
        left.push(...made.recovery_codes)
      }
      return base32BitsOf(left.pop()!.replaceAll('-', ''), '0123456789abcdefghjkmnpqrstvwxyz')
    }
    expect(await randomBitsOf(next)).toBe(125)
  })

  test('is void when there are new ones', async () => {
    const person = await newOwner()
    let made: string[] = []
    const types = await typesOf(async () => {
      const answer = await post(RECOVERY, undefined, person.token)
      made = (await json<{ recovery_codes: string[] }>(answer)).recovery_codes
    })
    expect(types).toEqual(['auth.recovery_codes_replaced'])
    expect(made).toHaveLength(10)
    const [old] = person.recoveryCodes
    await expectRefused(post(SECOND, { ticket: await ticketOf(person), code: old }), BAD_FACTOR)
    await logIn(person, made[0])
  })
})

describe('a ticket', () => {
  test('is good once', async () => {
    const person = await newOwner()
    const ticket = await ticketOf(person)
    expect((await post(SECOND, { ticket, code: codeOf(person.secret) })).status).toBe(200)
    const [code] = person.recoveryCodes
    await expectRefused(post(SECOND, { ticket, code }), BAD_TICKET)
  })

  test('is good for five attempts, then void; each wrong one is told of', async () => {
    const person = await newOwner()
    const ticket = await ticketOf(person)
    for (let n = 0; n < 4; n++) {
      const types = await eventsOf(() => post(SECOND, { ticket, code: 'wrong' }))
      expect(types).toMatchObject([
        {
          type: 'auth.login_failed',
          data: { user_id: person.id, reason: 'second_factor', actor_id: null },
        },
      ])
    }
    const [code] = person.recoveryCodes
    expect((await post(SECOND, { ticket, code: 'wrong' })).status).toBe(401)
    await expectRefused(post(SECOND, { ticket, code }), BAD_TICKET)
    await logIn(person, code)
  })

  test('is good at its fifth attempt', async () => {
    const person = await newOwner()
    const ticket = await ticketOf(person)
    for (let n = 0; n < 4; n++) await post(SECOND, { ticket, code: 'wrong' })
    const [code] = person.recoveryCodes
    expect((await post(SECOND, { ticket, code })).status).toBe(200)
  })

  test('counts attempts that come at once', async () => {
    const person = await newOwner()
    const ticket = await ticketOf(person)
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => json(post(SECOND, { ticket, code: 'wrong' }))),
    )
    const tried = answers.filter(({ title }) => title === BAD_FACTOR.title)
    expect(tried).toHaveLength(5)
  })

  test('is good for five minutes', async () => {
    const person = await newOwner()
    const [first, second] = [await ticketOf(person), await ticketOf(person)]
    harness.clock.advance(5 * MINUTE_MS - 1)
    expect((await post(SECOND, { ticket: first, code: codeOf(person.secret) })).status).toBe(200)
    harness.clock.advance(1)
    const [code] = person.recoveryCodes
    await expectRefused(post(SECOND, { ticket: second, code }), BAD_TICKET)
  })

  test('is void when the password is changed, or reset', async () => {
    const person = await newOwner()
    const [code] = person.recoveryCodes
    const changed = await ticketOf(person)
    const token = await logIn(person)
    const body = { current_password: PASSWORD, password: 'another long password' }
    expect((await post('/api/v1/me/password', body, token)).status).toBe(204)
    await expectRefused(post(SECOND, { ticket: changed, code }), BAD_TICKET)
    const reset = await ticketOf(person, 'another long password')
    const path = `/api/v1/users/${person.id}/password`
    await post(path, { password: 'one more long password' }, harness.adminToken)
    await expectRefused(post(SECOND, { ticket: reset, code }), BAD_TICKET)
  })

  test('of an account that is gone is none', async () => {
    const person = await newOwner()
    const ticket = await ticketOf(person)
    const path = `/api/v1/users/${person.id}`
    const removed = { method: 'DELETE', path, token: harness.adminToken }
    expect((await harness.request(removed)).status).toBe(204)
    await expectRefused(post(SECOND, { ticket, code: codeOf(person.secret) }), BAD_TICKET)
    const { totp, recoveryCodes } = tables()
    const { read } = harness.platform.database
    expect(await read.select().from(totp).where(eq(totp.accountId, person.id))).toEqual([])
    const left = read.select().from(recoveryCodes).where(eq(recoveryCodes.accountId, person.id))
    expect(await left).toEqual([])
  })

  test('RFC 8725 §3.12: nothing else is one, and it is nothing else', async () => {
    const person = await newOwner()
    const ticket = await ticketOf(person)
    const { tickets } = tables()
    const { database } = harness.platform
    await database.write(async (tx) => {
      const purpose = 'reset_password' as const
      const [row] = await tx.select().from(tickets).where(eq(tickets.purpose, 'second_factor'))
      await tx.insert(tickets).values({
        ...row!,
        hash: new Bun.CryptoHasher('sha256').update(`qt_${'r'.repeat(43)}`).digest('base64url'),
        purpose,
        accountId: person.id,
        expiresAt: new Date(harness.clock.now() + MINUTE_MS),
      })
    })
    const code = codeOf(person.secret)
    const challenge = (
      await json<{ challenge: string }>(post('/api/v1/auth/passkeys/login/options'))
    ).challenge
    const others = {
      'an access token': person.token.slice(0, 256),
      'a refresh token': person.refreshToken,
      'a ticket to reset a password': `qt_${'r'.repeat(43)}`,
      'a challenge': challenge,
      'what a challenge is made of': Buffer.from(challenge, 'base64url').toString(),
      'a recovery code': person.recoveryCodes[0],
    }
    for (const other of Object.values(others))
      await expectRefused(post(SECOND, { ticket: other, code }), BAD_TICKET)
    expect((await harness.request({ path: STATE, token: ticket })).status).toBe(401)
    const refreshed = post('/api/v1/auth/refresh', { refresh_token: ticket })
    await expectRefused(refreshed, { title: 'Invalid refresh token' })
    const validated = await json(post('/api/v1/auth/validate', { token: ticket }))
    expect(validated).toMatchObject({ valid: false })
    expect((await post(SECOND, { ticket, code })).status).toBe(200)
  })
})

describe('who was disabled after the password', () => {
  test('is told so by the right code, and by a wrong one as any other', async () => {
    const person = await newOwner()
    const ticket = await ticketOf(person)
    const path = `/api/v1/users/${person.id}`
    const set = (disabled: boolean) =>
      harness.request({ method: 'PATCH', path, body: { disabled }, token: harness.adminToken })
    await set(true)
    await expectRefused(post(SECOND, { ticket, code: 'wrong' }), BAD_FACTOR)
    const events = await eventsOf(() =>
      expectRefused(post(SECOND, { ticket, code: codeOf(person.secret) }), {
        title: 'Account disabled',
        status: 403,
      }),
    )
    expect(events).toMatchObject([{ type: 'auth.login_failed', data: { reason: 'disabled' } }])
    await set(false)
    // It was the right one, and is used up.
    const [code] = person.recoveryCodes
    await expectRefused(post(SECOND, { ticket, code }), BAD_TICKET)
  })
})

describe('who guesses codes', () => {
  let person: Person
  beforeEach(async () => {
    person = await newOwner()
  })
  const guess = async (code = '000000') => {
    const response = await post(SECOND, { ticket: await ticketOf(person), code })
    return { status: response.status, wait: Number(response.headers.get('retry-after')) }
  }
  const guessWrong = async (times: number) => {
    // One that is right by chance would spoil it.
    const wrong = ['111111', '222222', '333333', '444444'].find(
      (each) => ![-1, 0, 1, 2, 3].some((steps) => codeOf(person.secret, steps) === each),
    )!
    for (let n = 0; n < times; n++) expect((await guess(wrong)).status).toBe(401)
    return wrong
  }

  test('waits longer after each, with however many tickets, and up to an hour', async () => {
    const wrong = await guessWrong(5)
    const waits: number[] = []
    for (let n = 0; n < 9; n++) {
      const { status, wait } = await guess(wrong)
      expect(status).toBe(429)
      waits.push(wait)
      harness.clock.advance(wait * 1000 - 1)
      expect((await guess(wrong)).status).toBe(429)
      harness.clock.advance(1)
      expect((await guess(wrong)).status).toBe(401)
    }
    expect(waits).toEqual([30, 60, 120, 240, 480, 960, 1920, 3600, 3600])
  })

  test('is not told whether a code is right while waiting', async () => {
    await guessWrong(5)
    expect(await guess(codeOf(person.secret))).toEqual({ status: 429, wait: 30 })
  })

  test('shuts the owner out neither for ever, nor at all who has a recovery code', async () => {
    await guessWrong(5)
    expect((await guess(person.recoveryCodes[0])).status).toBe(200)
    harness.clock.advance(STEP_MS)
    expect((await guess(codeOf(person.secret))).status).toBe(200)
    // From the beginning.
    nextStep()
    await guessWrong(4)
    expect((await guess(codeOf(person.secret))).status).toBe(200)
  })

  test('makes nobody else wait', async () => {
    const other = await newOwner()
    await guessWrong(5)
    await logIn(other)
  })

  test('is counted by address too', async () => {
    const fresh = await openHarness({ RATE_LIMIT_AUTH: '2' })
    const statuses: number[] = []
    for (const path of [SECOND, `${SECOND}/passkey/options`, '/api/v1/auth/passkeys/login']) {
      const body = { ticket: 'qt_x' }
      statuses.push((await fresh.request({ path, body })).status)
    }
    expect(statuses).toEqual([422, 401, 429])
    await fresh.close()
  })
})

describe('ASVS 7.5.1: what decides how I log in', () => {
  const sensitive = (person: Person, token: string) => {
    const asked = [
      ['POST', TOTP],
      ['DELETE', TOTP],
      ['POST', RECOVERY],
      ['POST', '/api/v1/me/passkeys/options'],
      ['DELETE', `/api/v1/me/passkeys/${person.id}`],
    ] as const
    return Promise.all(
      asked.map(async ([method, path]) => json(harness.request({ method, path, token }))),
    )
  }

  test('is changed in the ten minutes after a login, and a refresh is none', async () => {
    const person = await newPerson()
    harness.clock.advance(10 * MINUTE_MS)
    const body = { refresh_token: person.refreshToken }
    const { token } = await json<{ token: string }>(post('/api/v1/auth/refresh', body))
    for (const answer of [
      ...(await sensitive(person, person.token)),
      ...(await sensitive(person, token)),
    ]) {
      expect(answer).toMatchObject({ title: 'Login not recent', status: 403 })
    }
    const recent = await harness.logIn(person.username)
    harness.clock.advance(10 * MINUTE_MS - 1)
    expect((await post(TOTP, undefined, recent)).status).toBe(200)
  })

  test('is not changed by a login with the password alone, where there is more', async () => {
    const person = await newOwner()
    const ticket = await ticketOf(person)
    const answers = await sensitive(person, ticket)
    for (const answer of answers) expect(answer).toMatchObject({ status: 401 })
  })
})

describe('TOTP is removed', () => {
  const remove = (token: string) => harness.request({ method: 'DELETE', path: TOTP, token })

  test('by its owner, with the recovery codes, and then the password is enough', async () => {
    const person = await newOwner()
    const types = await typesOf(async () => {
      expect((await remove(person.token)).status).toBe(204)
    })
    expect(types).toEqual(['auth.totp_removed', 'auth.second_factors_removed'])
    const token = await harness.logIn(person.username)
    expect(await json(harness.request({ path: STATE, token }))).toEqual({
      totp: false,
      passkeys: 0,
      recovery_codes: 0,
    })
    expect((await remove(token)).status).toBe(404)
  })

  test('by an administrator, for who has lost a phone: all sessions end', async () => {
    const person = await newOwner()
    const path = `/api/v1/users/${person.id}/second-factors`
    const asked = { method: 'DELETE', path, token: harness.adminToken }
    const events = await eventsOf(async () => {
      expect((await harness.request(asked)).status).toBe(204)
    })
    expect(events).toMatchObject([
      { type: 'auth.second_factors_removed', data: { user_id: person.id } },
    ])
    expect((await harness.request({ path: STATE, token: person.token })).status).toBe(401)
    const token = await harness.logIn(person.username)
    // Once more does nothing, to sessions neither.
    expect(
      await typesOf(async () => {
        expect((await harness.request(asked)).status).toBe(204)
      }),
    ).toEqual([])
    expect((await harness.request({ path: STATE, token })).status).toBe(200)
  })

  test('not by an administrator from who they are themselves', async () => {
    const me = await json<{ id: string }>(
      harness.request({ path: '/api/v1/me', token: harness.adminToken }),
    )
    const path = `/api/v1/users/${me.id}/second-factors`
    const asked = { method: 'DELETE', path, token: harness.adminToken }
    expect((await harness.request(asked)).status).toBe(403)
  })

  test('from the first administrator by who has the machine', async () => {
    const fresh = await openHarness()
    const ask = (path: string, body?: unknown) =>
      fresh.request({ method: 'POST', path, body, token: fresh.adminToken })
    const { secret } = await json<{ secret: string }>(ask(TOTP))
    const code = generateSync({ secret, epoch: Math.floor(fresh.clock.now() / 1000) })
    expect((await ask(CONFIRMATION, { code })).status).toBe(200)
    const { username, password } = await fresh.app.auth.resetAdministrator()
    await fresh.logIn(username, password)
    await fresh.close()
  })
})

test('no secret and no code is in the log, the audit, an event or, readable, in the database', async () => {
  const person = await newOwner()
  const code = codeOf(person.secret)
  const ticket = await ticketOf(person)
  await post(SECOND, { ticket, code: 'mistyped code' })
  await post(SECOND, { ticket, code })
  await logIn(person, person.recoveryCodes[0])
  await harness.published()
  const { read } = harness.platform.database
  const { audit, totp, recoveryCodes, tickets } = tables()
  const told = [harness.lines.join('\n'), JSON.stringify(harness.events)]
  for (const table of [audit, totp, recoveryCodes, tickets]) {
    told.push(JSON.stringify(await read.select().from(table)))
  }
  const codes = person.recoveryCodes.flatMap((each) => [each, each.replaceAll('-', '')])
  // Six digits are in many numbers, so not looked for alone.
  const hidden = [person.secret, ...codes, `"${code}"`, 'mistyped', ticket.slice(3)]
  for (const text of told) for (const part of hidden) expect(text).not.toContain(part)
})
