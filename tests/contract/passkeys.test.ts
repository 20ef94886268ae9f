import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'
import { generateSync } from 'otplib'

import { authTables } from '../../src/auth/tables.ts'
import { attestByCertificate, createAuthenticator } from '../support/authenticator.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'

const LOGIN = '/api/v1/auth/login'
const PASSKEY_LOGIN = '/api/v1/auth/passkeys/login'
const SECOND = '/api/v1/auth/second-factor'
const PASSKEYS = '/api/v1/me/passkeys'
const STATE = '/api/v1/me/second-factors'
const MINUTE_MS = 60_000
const REFUSED = { title: 'Passkey refused', status: 422 }
const BAD_PASSKEY = { title: 'Invalid passkey', status: 401 }
const BAD_FACTOR = { title: 'Invalid second factor', status: 401 }

type Authenticator = ReturnType<typeof createAuthenticator>
type Options = Parameters<Authenticator['logIn']>[0] & Record<string, unknown>
interface Person {
  id: string
  username: string
  token: string
}

let harness: Harness
beforeAll(async () => {
  harness = await openHarness({
    RATE_LIMIT_AUTH: '100000',
    CORS_ORIGINS: 'https://app.example.com',
  })
})
afterAll(() => harness.close())

const tables = () => authTables(harness.platform.database.kit)
const post = (path: string, body?: unknown, token?: string) =>
  harness.request({ method: 'POST', path, body, token })
const json = async <T = Record<string, unknown>>(response: Promise<Response> | Response) =>
  (await (await response).json()) as T
async function expectRefused(response: Response | Promise<Response>, has: object): Promise<void> {
  expect(await json(response)).toMatchObject(has)
}

let people = 0
async function newPerson(): Promise<Person> {
  const username = `person ${++people}`
  const id = await harness.addAccount({ username })
  return { id, username, token: await harness.logIn(username) }
}
const creationOptions = ({ token }: Person) =>
  json<Options>(post(`${PASSKEYS}/options`, undefined, token))
const loginOptions = () => json<Options>(post(`${PASSKEY_LOGIN}/options`))
const register = ({ token }: Person, response: unknown, name = 'My laptop') =>
  post(PASSKEYS, { name, response }, token)

/** Somebody with a passkey. */
async function newOwner(): Promise<Person & { key: Authenticator; passkeyId: string }> {
  const person = await newPerson()
  const key = createAuthenticator()
  const response = await register(person, key.register(await creationOptions(person)))
  expect(response.status).toBe(201)
  const { id: passkeyId } = await json<{ id: string }>(response)
  return { ...person, key, passkeyId }
}
const logIn = async (key: Authenticator, lies: Parameters<Authenticator['logIn']>[1] = {}) =>
  post(PASSKEY_LOGIN, { response: key.logIn(await loginOptions(), lies) })
async function ticketOf({ username }: Person): Promise<{ ticket: string; methods: string[] }> {
  const response = await post(LOGIN, { username, password: PASSWORD })
  expect(response.status).toBe(401)
  return json(response)
}
const secondOptions = (ticket: string) =>
  json<Options>(post(`${SECOND}/passkey/options`, { ticket }))
/** The server's own jobs run when the clock moves, and tell of themselves. */
async function eventsOf(work: () => Promise<unknown>) {
  await harness.published()
  const before = harness.events.length
  await work()
  await harness.published()
  return harness.events.slice(before).filter(({ type }) => type.startsWith('auth.'))
}

const response = {
  id: 'AAAA',
  rawId: 'AAAA',
  type: 'public-key',
  response: { clientDataJSON: 'e30', authenticatorData: 'AAAA', signature: 'AAAA' },
}
const made = { ...response, response: { clientDataJSON: 'e30', attestationObject: 'AAAA' } }

const selfAttestation = (sig: Uint8Array) => ({
  format: 'packed',
  statement: new Map<string, unknown>([
    ['alg', -7],
    ['sig', sig],
  ]),
})

describe('refuses', () => {
  const tokens: Record<string, string> = {}
  beforeAll(async () => {
    tokens['ada'] = (await newPerson()).token
  })
  testRequests(
    () => harness,
    [
      { name: 'to list without a token', path: PASSKEYS, status: 401 },
      {
        name: 'to begin without a token',
        method: 'POST',
        path: `${PASSKEYS}/options`,
        status: 401,
      },
      { name: 'to add without a token', path: PASSKEYS, body: {}, status: 401 },
      { name: 'to remove without a token', method: 'DELETE', path: `${PASSKEYS}/x`, status: 401 },
      {
        name: 'to remove what is not there',
        as: 'ada',
        method: 'DELETE',
        path: `${PASSKEYS}/x`,
        status: 404,
      },
      { name: 'nothing as a passkey', as: 'ada', path: PASSKEYS, body: {}, status: 422 },
      ...['', '  ', 'x'.repeat(65), 'a\nb', 7, null].map((name) => ({
        name: `the name ${JSON.stringify(name)}`,
        as: 'ada',
        path: PASSKEYS,
        body: { name, response: made },
        status: 422,
        has: { errors: [{ pointer: '#/name' }] },
      })),
      ...['user_id', 'account_id', 'counter', 'public_key', 'backed_up'].map((member) => ({
        name: `a passkey with ${member}`,
        as: 'ada',
        path: PASSKEYS,
        body: { name: 'x', response: made, [member]: 'x' },
        status: 422,
        has: { errors: [{ pointer: `#/${member}` }] },
      })),
      {
        name: 'an attestation that is too long',
        as: 'ada',
        path: PASSKEYS,
        body: {
          name: 'x',
          response: {
            ...made,
            response: { ...made.response, attestationObject: 'A'.repeat(8193) },
          },
        },
        status: 422,
      },
      {
        name: 'a passkey that nobody asked for',
        as: 'ada',
        path: PASSKEYS,
        body: { name: 'x', response: made },
        status: 422,
        has: REFUSED,
      },
      { name: 'a login by nothing', path: PASSKEY_LOGIN, body: {}, status: 422 },
      {
        name: 'a login with a user’s name',
        path: PASSKEY_LOGIN,
        body: { response, username: 'admin' },
        status: 422,
        has: { errors: [{ pointer: '#/username' }] },
      },
      {
        name: 'a login by what is no base64url',
        path: PASSKEY_LOGIN,
        body: { response: { ...response, id: 'a+b=' } },
        status: 422,
      },
      {
        name: 'a login by an id that is too long',
        path: PASSKEY_LOGIN,
        body: { response: { ...response, id: 'A'.repeat(1365) } },
        status: 422,
      },
      {
        name: 'a login by a passkey that nobody has',
        path: PASSKEY_LOGIN,
        body: { response },
        status: 401,
        has: BAD_PASSKEY,
        events: ['auth.login_failed'],
      },
      ...['bnVsbA', 'WzFd', 'Nw', 'e30', '____', 'eyJjaGFsbGVuZ2UiOjd9'].map((clientDataJSON) => ({
        name: `a login whose client data is ${Buffer.from(clientDataJSON, 'base64url').toString('latin1')}`,
        path: PASSKEY_LOGIN,
        body: { response: { ...response, response: { ...response.response, clientDataJSON } } },
        status: 401,
        has: BAD_PASSKEY,
        events: ['auth.login_failed'],
      })),
      {
        name: 'a second factor without a ticket',
        path: `${SECOND}/passkey`,
        body: { response },
        status: 422,
      },
      {
        name: 'a second factor by a ticket that is none',
        path: `${SECOND}/passkey`,
        body: { ticket: 'qt_x', response },
        status: 401,
        has: { title: 'Invalid second-factor ticket' },
      },
      {
        name: 'to begin a second factor by a ticket that is none',
        path: `${SECOND}/passkey/options`,
        body: { ticket: 'qt_x' },
        status: 401,
        has: { title: 'Invalid second-factor ticket' },
      },
    ],
    () => tokens,
  )
})

describe('a passkey is registered', () => {
  test('for this account, at this address, by what the authenticator must do', async () => {
    const person = await newPerson()
    expect(await creationOptions(person)).toMatchObject({
      rp: { id: 'localhost', name: 'Quintet' },
      user: {
        id: Buffer.from(person.id).toString('base64url'),
        name: person.username,
        displayName: person.username,
      },
      excludeCredentials: [],
      attestation: 'none',
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      pubKeyCredParams: [{ alg: -8 }, { alg: -7 }, { alg: -257 }],
      timeout: 300_000,
    })
  })

  test('and is listed, told of, and not asked for twice', async () => {
    const person = await newPerson()
    const other = await harness.logIn(person.username)
    const key = createAuthenticator()
    const events = await eventsOf(async () => {
      const answer = await register(person, key.register(await creationOptions(person)))
      expect(answer.status).toBe(201)
    })
    expect(events).toMatchObject([{ type: 'auth.passkey_added', data: { user_id: person.id } }])
    expect(await json(harness.request({ path: PASSKEYS, token: person.token }))).toEqual({
      passkeys: [
        {
          id: (events[0]!.data as { passkey_id: string }).passkey_id,
          name: 'My laptop',
          created_at: new Date(harness.clock.now()).toISOString(),
          used_at: null,
          transports: ['internal'],
          backed_up: false,
        },
      ],
    })
    expect(await creationOptions(person)).toMatchObject({
      excludeCredentials: [{ id: key.credentialId, transports: ['internal'] }],
    })
    // Opened by the password alone.
    expect((await harness.request({ path: PASSKEYS, token: other })).status).toBe(401)
    expect(await json(harness.request({ path: STATE, token: person.token }))).toEqual({
      totp: false,
      passkeys: 1,
      recovery_codes: 0,
    })
  })

  test('by a challenge that is good once', async () => {
    const person = await newPerson()
    const options = await creationOptions(person)
    expect((await register(person, createAuthenticator().register(options))).status).toBe(201)
    const again = register(person, createAuthenticator().register(options))
    await expectRefused(again, REFUSED)
  })

  test('by a challenge that a failure uses up', async () => {
    const person = await newPerson()
    const options = await creationOptions(person)
    const bad = createAuthenticator().register(options, { origin: 'https://evil.example.com' })
    await expectRefused(register(person, bad), REFUSED)
    await expectRefused(register(person, createAuthenticator().register(options)), REFUSED)
  })

  test('by a challenge that is good for five minutes', async () => {
    const person = await newPerson()
    const [first, second] = [await creationOptions(person), await creationOptions(person)]
    harness.clock.advance(5 * MINUTE_MS - 1)
    expect((await register(person, createAuthenticator().register(first))).status).toBe(201)
    harness.clock.advance(1)
    await expectRefused(register(person, createAuthenticator().register(second)), REFUSED)
  })

  test('by the account and the session that asked', async () => {
    const [ada, eve] = [await newPerson(), await newPerson()]
    const evesKey = createAuthenticator().register(await creationOptions(eve))
    await expectRefused(register(ada, evesKey), REFUSED)
    const other = { ...eve, token: await harness.logIn(eve.username) }
    const evesOther = createAuthenticator().register(await creationOptions(other))
    await expectRefused(register(eve, evesOther), REFUSED)
  })

  test('not by a challenge for something else', async () => {
    const person = await newOwner()
    const { ticket } = await ticketOf(person)
    const creation = await creationOptions(person)
    for (const { challenge } of [await loginOptions(), await secondOptions(ticket)]) {
      const response = createAuthenticator().register({ ...creation, challenge })
      await expectRefused(register(person, response), REFUSED)
    }
    await expectRefused(
      post(PASSKEY_LOGIN, {
        response: person.key.logIn({ ...(await creationOptions(person)), rpId: 'localhost' }),
      }),
      BAD_PASSKEY,
    )
  })

  test.each([
    ['another origin', { origin: 'https://evil.example.com' }],
    ['another port', { origin: 'http://localhost:8081' }],
    ['this host by TLS', { origin: 'https://localhost:8080' }],
    ['an origin that CORS_ORIGINS names', { origin: 'https://app.example.com' }],
    ['another host', { rpId: 'evil.example.com' }],
    ['a frame in another site', { crossOrigin: true }],
    ['nobody who showed who they are', { isUserVerified: false }],
    ['a login', { type: 'webauthn.get' }],
    [
      'a made-up challenge',
      { challenge: Buffer.from(`qt_${'x'.repeat(43)}`).toString('base64url') },
    ],
    ['an authenticator whose maker vouches for it', { attestation: attestByCertificate }],
    [
      'an authenticator with an attestation of a TPM',
      { attestation: () => ({ format: 'tpm', statement: new Map<string, unknown>() }) },
    ],
    [
      'a key that did not sign for itself',
      { attestation: () => selfAttestation(new Uint8Array(70)) },
    ],
  ])('WebAuthn §7.1: not from %s', async (_, lies) => {
    const person = await newPerson()
    const response = createAuthenticator().register(await creationOptions(person), lies)
    await expectRefused(register(person, response), REFUSED)
    expect(await json(harness.request({ path: PASSKEYS, token: person.token }))).toEqual({
      passkeys: [],
    })
  })

  test('WebAuthn §6.5.4: also where it signs for itself, as some do unasked', async () => {
    const person = await newPerson()
    const response = createAuthenticator().register(await creationOptions(person), {
      attestation: (data, sign) => selfAttestation(sign(data)),
    })
    expect((await register(person, response)).status).toBe(201)
  })

  test('WebAuthn §7.1: not where it is known, to whomever', async () => {
    const owner = await newOwner()
    const known = { title: 'Passkey known already', status: 409 }
    await expectRefused(register(owner, owner.key.register(await creationOptions(owner))), known)
    const eve = await newPerson()
    await expectRefused(register(eve, owner.key.register(await creationOptions(eve))), known)
  })

  test('twenty times and no more', async () => {
    const person = await newPerson()
    const add = async () =>
      register(person, createAuthenticator().register(await creationOptions(person)))
    for (let n = 0; n < 19; n++) expect((await add()).status).toBe(201)
    const last = await Promise.all([add(), add()])
    expect(last.filter(({ status }) => status === 201)).toHaveLength(1)
    await expectRefused(add(), { title: 'Too many passkeys', status: 409 })
  })
})

describe('a login by a passkey', () => {
  test('begins without telling who is here', async () => {
    const options = await loginOptions()
    expect(options).toEqual({
      challenge: expect.any(String),
      rpId: 'localhost',
      userVerification: 'required',
      timeout: 300_000,
    })
  })

  test('answers as any login, is both factors, and is told of', async () => {
    const owner = await newOwner()
    let answer: unknown
    const events = await eventsOf(async () => {
      answer = await json(logIn(owner.key))
    })
    expect(answer).toEqual({
      token: expect.any(String),
      refresh_token: expect.stringMatching(/^qrt_/),
      expires_in: 86_400,
      user: { id: owner.id, username: owner.username, role: 'viewer' },
    })
    expect(events).toMatchObject([
      { type: 'auth.login', data: { user_id: owner.id, methods: ['passkey'] } },
    ])
    const listed = await json<{ passkeys: { used_at: string }[] }>(
      harness.request({ path: PASSKEYS, token: owner.token }),
    )
    expect(listed.passkeys[0]!.used_at).toBe(new Date(harness.clock.now()).toISOString())
  })

  test.each([
    ['another origin', { origin: 'https://evil.example.com' }],
    ['another port', { origin: 'http://localhost:8081' }],
    ['an origin that CORS_ORIGINS names', { origin: 'https://app.example.com' }],
    ['another host', { rpId: 'evil.example.com' }],
    ['a frame in another site', { crossOrigin: true }],
    ['nobody who showed who they are', { isUserVerified: false }],
    ['a registration', { type: 'webauthn.create' }],
    ['another key', { isForged: true }],
    [
      'an authenticator that has it for another',
      { userHandle: Buffer.from('eve').toString('base64url') },
    ],
    ['an authenticator that does not say for whom', { userHandle: '' }],
    [
      'a made-up challenge',
      { challenge: Buffer.from(`qt_${'x'.repeat(43)}`).toString('base64url') },
    ],
  ])('WebAuthn §7.2: is refused from %s', async (_, lies) => {
    const owner = await newOwner()
    const events = await eventsOf(async () => expectRefused(logIn(owner.key, lies), BAD_PASSKEY))
    expect(events).toMatchObject([{ type: 'auth.login_failed', data: { reason: 'passkey' } }])
    expect((await logIn(owner.key)).status).toBe(200)
  })

  test('WebAuthn §7.2: is refused by the credential of another user', async () => {
    const [ada, eve] = [await newOwner(), await newOwner()]
    const signed = eve.key.logIn(await loginOptions())
    const id = ada.key.credentialId
    await expectRefused(
      post(PASSKEY_LOGIN, { response: { ...signed, id, rawId: id } }),
      BAD_PASSKEY,
    )
    // Eve's own, for Ada.
    const userHandle = Buffer.from(ada.id).toString('base64url')
    await expectRefused(logIn(eve.key, { userHandle }), BAD_PASSKEY)
  })

  test('is by a challenge that is good once, of those who try at once too', async () => {
    const { key } = await newOwner()
    const response = key.logIn(await loginOptions())
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => post(PASSKEY_LOGIN, { response })),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    await expectRefused(post(PASSKEY_LOGIN, { response }), BAD_PASSKEY)
  })

  test('is by a challenge that is good for five minutes', async () => {
    const { key } = await newOwner()
    const [first, second] = [key.logIn(await loginOptions()), key.logIn(await loginOptions())]
    harness.clock.advance(5 * MINUTE_MS - 1)
    expect((await post(PASSKEY_LOGIN, { response: first })).status).toBe(200)
    harness.clock.advance(1)
    await expectRefused(post(PASSKEY_LOGIN, { response: second }), BAD_PASSKEY)
  })

  test('WebAuthn §6.1.1: is refused by a counter that goes back, told of, and no lock-out', async () => {
    const owner = await newOwner()
    expect((await logIn(owner.key, { counter: 10 })).status).toBe(200)
    for (const counter of [9, 10, 0]) {
      const events = await eventsOf(async () =>
        expectRefused(logIn(owner.key, { counter }), BAD_PASSKEY),
      )
      expect(events).toMatchObject([
        { type: 'auth.login_failed', data: { user_id: owner.id, reason: 'passkey_counter' } },
      ])
    }
    // Without the key nobody can say that there is a copy of it.
    const events = await eventsOf(async () =>
      expectRefused(logIn(owner.key, { counter: 3, isForged: true }), BAD_PASSKEY),
    )
    expect(events).toMatchObject([{ data: { user_id: null, reason: 'passkey' } }])
    expect((await logIn(owner.key, { counter: 11 })).status).toBe(200)
  })

  test('is by an authenticator that does not count, time and again', async () => {
    const person = await newPerson()
    const key = createAuthenticator()
    await register(person, key.register(await creationOptions(person), { counter: 0 }))
    for (let n = 0; n < 3; n++) expect((await logIn(key, { counter: 0 })).status).toBe(200)
  })

  test('of an account that is disabled is told so, and recorded', async () => {
    const owner = await newOwner()
    const path = `/api/v1/users/${owner.id}`
    const body = { disabled: true }
    await harness.request({ method: 'PATCH', path, body, token: harness.adminToken })
    const events = await eventsOf(async () =>
      expectRefused(logIn(owner.key), { title: 'Account disabled', status: 403 }),
    )
    expect(events).toMatchObject([
      { type: 'auth.login_failed', data: { user_id: owner.id, reason: 'disabled' } },
    ])
    await expectRefused(logIn(owner.key, { isForged: true }), BAD_PASSKEY)
  })

  test('of an account that is gone is refused, and nothing of it is left', async () => {
    const owner = await newOwner()
    const options = await loginOptions()
    const path = `/api/v1/users/${owner.id}`
    await harness.request({ method: 'DELETE', path, token: harness.adminToken })
    await expectRefused(post(PASSKEY_LOGIN, { response: owner.key.logIn(options) }), BAD_PASSKEY)
    const { passkeys } = tables()
    const left = harness.platform.database.read.select().from(passkeys)
    expect(await left.where(eq(passkeys.accountId, owner.id))).toEqual([])
  })
})

describe('a passkey as second factor', () => {
  test('is asked for, and logs in', async () => {
    const owner = await newOwner()
    const { ticket, methods } = await ticketOf(owner)
    expect(methods).toEqual(['passkey'])
    const options = await secondOptions(ticket)
    expect(options).toMatchObject({
      allowCredentials: [{ id: owner.key.credentialId, type: 'public-key' }],
      userVerification: 'required',
    })
    const events = await eventsOf(async () => {
      const body = { ticket, response: owner.key.logIn(options) }
      expect(await json(post(`${SECOND}/passkey`, body))).toMatchObject({
        token: expect.any(String),
        user: { id: owner.id },
      })
      await expectRefused(post(`${SECOND}/passkey`, body), {
        title: 'Invalid second-factor ticket',
      })
    })
    expect(events).toMatchObject([
      { type: 'auth.login', data: { methods: ['password', 'passkey'] } },
    ])
  })

  test('of another account, or for another ticket, is refused', async () => {
    const [ada, eve] = [await newOwner(), await newOwner()]
    const { ticket } = await ticketOf(ada)
    const evesTicket = (await ticketOf(eve)).ticket
    const adasOther = (await ticketOf(ada)).ticket
    const evesForAda = eve.key.logIn(await secondOptions(ticket))
    const evesOwn = eve.key.logIn(await secondOptions(evesTicket))
    const adasForOther = ada.key.logIn(await secondOptions(adasOther))
    const adasForLogin = ada.key.logIn(await loginOptions())
    for (const response of [evesForAda, evesOwn, adasForOther, adasForLogin]) {
      const events = await eventsOf(async () =>
        expectRefused(post(`${SECOND}/passkey`, { ticket, response }), BAD_FACTOR),
      )
      expect(events).toMatchObject([
        { type: 'auth.login_failed', data: { user_id: ada.id, reason: 'second_factor' } },
      ])
    }
    // Nor is the challenge of a second factor one to log in by.
    const alone = ada.key.logIn(await secondOptions(ticket))
    await expectRefused(post(PASSKEY_LOGIN, { response: alone }), BAD_PASSKEY)
    const response = ada.key.logIn(await secondOptions(ticket))
    expect((await post(`${SECOND}/passkey`, { ticket, response })).status).toBe(200)
  })

  test('is refused by a counter that goes back, and counts as an attempt', async () => {
    const owner = await newOwner()
    expect((await logIn(owner.key, { counter: 10 })).status).toBe(200)
    const { ticket } = await ticketOf(owner)
    for (let n = 0; n < 5; n++) {
      const response = owner.key.logIn(await secondOptions(ticket), { counter: 10 })
      const events = await eventsOf(async () =>
        expectRefused(post(`${SECOND}/passkey`, { ticket, response }), BAD_FACTOR),
      )
      expect(events).toMatchObject([{ data: { reason: 'passkey_counter' } }])
    }
    const response = owner.key.logIn(await secondOptions(ticket), { counter: 11 })
    await expectRefused(post(`${SECOND}/passkey`, { ticket, response }), {
      title: 'Invalid second-factor ticket',
    })
  })

  test('is not for who has none', async () => {
    const person = await newPerson()
    const { secret } = await json<{ secret: string }>(
      post('/api/v1/me/totp', undefined, person.token),
    )
    const code = generateSync({ secret, epoch: Math.floor(harness.clock.now() / 1000) })
    await post('/api/v1/me/totp/confirmation', { code }, person.token)
    const { ticket, methods } = await ticketOf(person)
    expect(methods).toEqual(['totp', 'recovery_code'])
    await expectRefused(post(`${SECOND}/passkey/options`, { ticket }), {
      title: 'No second factor',
    })
  })

  test('of who was disabled meanwhile is told so', async () => {
    const owner = await newOwner()
    const { ticket } = await ticketOf(owner)
    const response = owner.key.logIn(await secondOptions(ticket))
    const path = `/api/v1/users/${owner.id}`
    const body = { disabled: true }
    await harness.request({ method: 'PATCH', path, body, token: harness.adminToken })
    await expectRefused(post(`${SECOND}/passkey`, { ticket, response }), {
      title: 'Account disabled',
    })
  })

  test('has recovery codes too, where its owner asks for them', async () => {
    const owner = await newOwner()
    const { recovery_codes: codes } = await json<{ recovery_codes: string[] }>(
      post('/api/v1/me/recovery-codes', undefined, owner.token),
    )
    const { ticket, methods } = await ticketOf(owner)
    expect(methods).toEqual(['recovery_code', 'passkey'])
    expect((await post(SECOND, { ticket, code: codes[0] })).status).toBe(200)
  })
})

describe('a passkey is removed', () => {
  const remove = (id: string, token: string) =>
    harness.request({ method: 'DELETE', path: `${PASSKEYS}/${id}`, token })

  test('by its owner and nobody else, and then it opens nothing', async () => {
    const [owner, eve] = [await newOwner(), await newOwner()]
    const begun = owner.key.logIn(await loginOptions())
    expect((await remove(owner.passkeyId, eve.token)).status).toBe(404)
    const events = await eventsOf(async () => {
      expect((await remove(owner.passkeyId, owner.token)).status).toBe(204)
    })
    expect(events).toMatchObject([
      { type: 'auth.passkey_removed', data: { user_id: owner.id, passkey_id: owner.passkeyId } },
      { type: 'auth.second_factors_removed', data: { user_id: owner.id } },
    ])
    await expectRefused(post(PASSKEY_LOGIN, { response: begun }), BAD_PASSKEY)
    await expectRefused(logIn(owner.key), BAD_PASSKEY)
    expect((await remove(owner.passkeyId, owner.token)).status).toBe(404)
    await harness.logIn(owner.username)
  })

  test('not where its owner could not log in any more', async () => {
    const owner = await newOwner()
    const { accounts } = tables()
    await harness.platform.database.write((tx) =>
      tx.update(accounts).set({ passwordHash: '' }).where(eq(accounts.id, owner.id)),
    )
    await expectRefused(remove(owner.passkeyId, owner.token), {
      title: 'Last way to log in',
      status: 409,
    })
    expect((await logIn(owner.key)).status).toBe(200)
  })

  test('and another one stays, with the recovery codes', async () => {
    const owner = await newOwner()
    const second = createAuthenticator()
    await register(owner, second.register(await creationOptions(owner)))
    await post('/api/v1/me/recovery-codes', undefined, owner.token)
    const events = await eventsOf(() => remove(owner.passkeyId, owner.token))
    expect(events.map(({ type }) => type as string)).toEqual(['auth.passkey_removed'])
    expect((await ticketOf(owner)).methods).toEqual(['recovery_code', 'passkey'])
    expect((await logIn(second)).status).toBe(200)
  })

  test('by an administrator, with all others', async () => {
    const owner = await newOwner()
    const path = `/api/v1/users/${owner.id}/second-factors`
    const asked = { method: 'DELETE', path, token: harness.adminToken }
    expect((await harness.request(asked)).status).toBe(204)
    await expectRefused(logIn(owner.key), BAD_PASSKEY)
    await harness.logIn(owner.username)
  })
})
