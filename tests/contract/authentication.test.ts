import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  type JSONWebKeySet,
  jwtVerify,
} from 'jose'

import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'

const LOGIN = '/api/v1/auth/login'
const VALIDATE = '/api/v1/auth/validate'
const WRONG = { title: 'Invalid credentials', error: 'Invalid credentials', status: 401 }

let harness: Harness
let adaId: string
let adaToken: string

beforeAll(async () => {
  harness = await openHarness()
  adaId = await harness.addAccount({ username: 'Ada', email: 'ada@example.com', role: 'editor' })
  await harness.addAccount({ username: 'odd', passwordHash: 'no hash that anything knows' })
  await harness.addAccount({
    username: 'bcrypt',
    passwordHash: await Bun.password.hash('password123', { algorithm: 'bcrypt', cost: 4 }),
  })
  adaToken = await harness.logIn('ada')
})
afterAll(() => harness.close())

describe('login', () => {
  const rows: Row[] = [
    { name: 'no body', method: 'POST', path: LOGIN, status: 415 },
    {
      name: 'a form',
      path: LOGIN,
      body: 'username=ada',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      status: 415,
    },
    {
      name: 'truncated JSON',
      path: LOGIN,
      body: '{"username": "ada"',
      status: 400,
      has: { title: 'Malformed body' },
    },
    {
      name: 'no password',
      path: LOGIN,
      body: { username: 'ada' },
      status: 422,
      has: { errors: [{ pointer: '#/password' }] },
    },
    {
      name: 'a number as user name',
      path: LOGIN,
      body: { username: 7, password: PASSWORD },
      status: 422,
      has: { errors: [{ pointer: '#/username' }] },
    },
    {
      name: 'a lone surrogate',
      path: LOGIN,
      body: '{"username":"\\ud800","password":"x"}',
      status: 422,
      has: { errors: [{ pointer: '#/username' }] },
    },
    {
      name: 'more than 16 KiB',
      path: LOGIN,
      body: { username: 'x'.repeat(17_000), password: 'x' },
      status: 413,
    },
    {
      name: 'unknown user',
      path: LOGIN,
      body: { username: 'nobody', password: PASSWORD },
      status: 401,
      has: WRONG,
      events: ['auth.login_failed'],
    },
    {
      name: 'wrong password',
      path: LOGIN,
      body: { username: 'ada', password: 'wrong password' },
      status: 401,
      has: WRONG,
      events: ['auth.login_failed'],
    },
    {
      name: 'an imported hash of an unknown form',
      path: LOGIN,
      body: { username: 'odd', password: PASSWORD },
      status: 401,
      has: WRONG,
      events: ['auth.login_failed'],
    },
    { name: 'by GET', path: LOGIN, status: 405, answerHeaders: { allow: 'POST' } },
    {
      name: 'by user name, whatever the case',
      path: LOGIN,
      body: { username: 'aDA', password: PASSWORD },
      status: 200,
      has: {
        token: expect.any(String),
        user: { id: expect.any(String), username: 'Ada', role: 'editor' },
      },
      events: ['auth.login'],
      answerHeaders: { 'cache-control': 'no-store' },
    },
    {
      name: 'by e-mail',
      path: LOGIN,
      body: { username: 'ADA@example.com', password: PASSWORD },
      status: 200,
      events: ['auth.login'],
    },
    {
      name: 'scalars in arrays, as jsonlite writes them',
      path: LOGIN,
      body: { username: ['ada'], password: [PASSWORD] },
      status: 200,
      events: ['auth.login'],
    },
    {
      name: 'a short password that was imported',
      path: LOGIN,
      body: { username: 'bcrypt', password: 'password123' },
      status: 200,
      events: ['auth.login'],
    },
    {
      name: 'of a key that stands twice the last',
      path: LOGIN,
      body: `{"username":"nobody","username":"ada","password":"${PASSWORD}"}`,
      status: 200,
      events: ['auth.login'],
    },
  ]
  testRequests(() => harness, rows)

  test('the event carries user id and time', () => {
    const login = harness.events.find(({ data }) => 'user_id' in data && data.user_id === adaId)
    expect(login).toMatchObject({
      specversion: '1.0',
      type: 'auth.login',
      data: { user_id: adaId, time: new Date(harness.clock.now()).toISOString() },
    })
  })

  test('a wrong password and an unknown user answer alike', async () => {
    const answers = await Promise.all(
      ['ada', 'nobody'].map(async (username) => {
        const body = { username, password: 'wrong password' }
        const response = await harness.request({
          path: LOGIN,
          body,
          headers: { 'x-request-id': 'same' },
        })
        return response.text()
      }),
    )
    expect(answers[0]).toBe(answers[1])
  })

  test('the token says what the contract says', () => {
    expect(decodeProtectedHeader(adaToken)).toEqual({
      alg: 'ES256',
      typ: 'at+jwt',
      kid: expect.any(String),
    })
    const issuedAt = Math.floor(harness.clock.now() / 1000)
    expect(decodeJwt(adaToken)).toEqual({
      iss: 'http://localhost:8080',
      aud: 'quintet',
      sub: adaId,
      user_id: adaId,
      sid: expect.any(String),
      username: 'Ada',
      role: 'editor',
      scope:
        'predict models:read datasets:read pipelines:read jobs:read forward models:write datasets:write pipelines:write',
      iat: issuedAt,
      exp: issuedAt + 86_400,
      jti: expect.any(String),
    })
  })

  test('others verify it by the published keys', async () => {
    const response = await harness.request({ path: '/.well-known/jwks.json' })
    const keys = (await response.json()) as JSONWebKeySet
    expect(JSON.stringify(keys)).not.toContain('"d"')
    const { payload } = await jwtVerify(adaToken, createLocalJWKSet(keys), { audience: 'quintet' })
    expect(payload.sub).toBe(adaId)
  })

  test('no password and no token is ever logged', () => {
    const log = harness.lines.join('')
    for (const secret of [PASSWORD, 'wrong password', adaToken, '$argon2'])
      expect(log).not.toContain(secret)
  })
})

test.each(['username', 'password'])(
  'a %s with U+0000 is refused on every database',
  async (name) => {
    const body = { username: 'ada', password: 'long enough', [name]: 'a\u0000b' }
    const response = await harness.request({ path: LOGIN, body })
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({
      errors: [{ pointer: `#/${name}`, detail: 'has the character U+0000' }],
    })
  },
)

describe('validate', () => {
  const invalid = { status: 401, has: { title: 'Invalid token', valid: false } }
  testRequests(
    () => harness,
    [
      {
        name: 'no token',
        path: VALIDATE,
        body: {},
        ...invalid,
      },
      { name: 'a number', path: VALIDATE, body: { token: 7 }, ...invalid },
      { name: 'not a token', path: VALIDATE, body: { token: 'abc' }, ...invalid },
      { name: 'an endless token', path: VALIDATE, body: { token: 'a'.repeat(10_000) }, ...invalid },
    ],
  )

  test('a good token', async () => {
    const response = await harness.request({ path: VALIDATE, body: { token: adaToken } })
    expect(await response.json()).toEqual({ valid: true, user_id: adaId, role: 'editor' })
  })
})

describe('tokens that must not pass', () => {
  test('of another issuer', async () => {
    const other = await openHarness({ PUBLIC_URL: 'https://other.example.com' })
    const response = await harness.request({ path: '/api/v1/models', token: other.adminToken })
    expect(response.status).toBe(401)
    await other.close()
  })

  test('expired, also when it was verified before', async () => {
    const token = await harness.logIn('ada')
    expect((await harness.request({ path: '/api/v1/models', token })).status).toBe(200)
    harness.clock.advance(86_400_000)
    const expired = { title: 'Token expired', error: 'Token expired', status: 401 }
    const guarded = await harness.request({ path: '/api/v1/models', token })
    expect(await guarded.json()).toMatchObject(expired)
    const validated = await harness.request({ path: VALIDATE, body: { token: adaToken } })
    expect(await validated.json()).toMatchObject({ ...expired, valid: false })
    harness.clock.advance(-86_400_000)
  })

  test.each([
    [10, 200],
    [12, 401],
    [3600, 401],
  ])('from %p seconds ahead, as by another clock: %p', async (seconds, status) => {
    harness.clock.advance(seconds * 1000)
    const token = await harness.logIn('ada')
    harness.clock.advance(-seconds * 1000)
    expect((await harness.request({ path: '/api/v1/models', token })).status).toBe(status)
  })

  test('expired just now, when it is new to the server', async () => {
    const token = await harness.logIn('ada')
    const { exp } = decodeJwt(token)
    const remainingMs = exp! * 1000 - harness.clock.now()
    harness.clock.advance(remainingMs)
    const response = await harness.request({ path: '/api/v1/models', token })
    expect(await response.json()).toMatchObject({ title: 'Token expired', status: 401 })
    harness.clock.advance(-remainingMs)
  })
})

describe('guard', () => {
  testRequests(
    () => harness,
    [
      {
        name: 'no token',
        path: '/api/v1/models',
        status: 401,
        answerHeaders: { 'www-authenticate': 'Bearer' },
        has: { title: 'Authentication required' },
      },
      {
        name: 'not Bearer',
        path: '/api/v1/models',
        headers: { authorization: 'Basic YTpi' },
        status: 401,
      },
      {
        name: 'Bearer without a token',
        path: '/api/v1/models',
        headers: { authorization: 'Bearer' },
        status: 401,
      },
      { name: 'a bad token', path: '/api/v1/models', as: 'nonsense', status: 401 },
      { name: 'an administrator', path: '/api/v1/models', as: 'admin', status: 200 },
    ],
  )

  test('a role too low', async () => {
    const body = { username: 'eve', password: PASSWORD }
    const response = await harness.request({ path: '/api/v1/users', body, token: adaToken })
    expect(response.status).toBe(403)
    expect(await response.json()).toMatchObject({
      title: 'Forbidden',
      detail: 'This needs the scope users:write.',
    })
  })
})

describe('with JWT_SECRET', () => {
  const secret = 'a secret that is long enough for it'
  let signed: Harness
  beforeAll(async () => {
    signed = await openHarness({ JWT_SECRET: secret })
    await signed.addAccount({ username: 'ada' })
  })
  afterAll(() => signed.close())

  test('login signs HS256, which old services verify locally', async () => {
    const token = await signed.logIn('ada')
    const { protectedHeader } = await jwtVerify(token, new TextEncoder().encode(secret))
    expect(protectedHeader).toEqual({ alg: 'HS256', typ: 'at+jwt' })
    expect((await signed.request({ path: '/api/v1/models', token })).status).toBe(200)
  })

  test('ES256 tokens stay valid', async () => {
    expect(decodeProtectedHeader(signed.adminToken).alg).toBe('ES256')
    expect(
      (await signed.request({ path: '/api/v1/models', token: signed.adminToken })).status,
    ).toBe(200)
  })
})
