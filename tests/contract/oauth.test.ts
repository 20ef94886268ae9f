import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  type JSONWebKeySet,
  jwtVerify,
} from 'jose'

import { authTables } from '../../src/auth/tables.ts'
import { scopes as allScopes } from '../../src/gateway/scopes.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { expectOAuthError, type Row, testRequests } from '../support/request-table.ts'
import { until } from '../support/until.ts'

const TOKEN = '/oauth/token'
const INTROSPECT = '/oauth/introspect'
const REVOKE = '/oauth/revoke'
const ACCOUNTS = '/api/v1/service-accounts'
const FORM = 'application/x-www-form-urlencoded'
const CHALLENGE = 'Basic realm="quintet", charset="UTF-8"'
const GRANT = { grant_type: 'client_credentials' }

interface Client {
  id: string
  keyId: string
  secret: string
}
interface Issued {
  access_token: string
  token_type: string
  expires_in: number
  scope: string
}

const opened: Harness[] = []
async function open(settings: Record<string, string> = {}): Promise<Harness> {
  const made = await openHarness({
    RATE_LIMIT_AUTH: '100000',
    RATE_LIMIT_CLIENTS: '100000',
    ...settings,
  })
  opened.push(made)
  return made
}
let harness: Harness
let reporting: Client
let other: Client
let gatekeeper: Client
const secrets: string[] = []

beforeAll(async () => {
  harness = await open()
  await harness.addAccount({ username: 'Ada' })
  reporting = await createClient('reporting', ['predict', 'models:read', 'users:read'], {
    scopes: ['predict', 'models:read'],
  })
  other = await createClient('other', ['predict', 'models:read'])
  gatekeeper = await createClient('gatekeeper', ['tokens:introspect'])
})
afterAll(async () => {
  for (const each of opened) await each.close()
})

const asAdmin = (method: string, path: string, body?: unknown, at = harness) =>
  at.request({ method, path, body, token: at.adminToken })
async function createKey(id: string, key: object, at = harness) {
  const response = await asAdmin('POST', `${ACCOUNTS}/${id}/api-keys`, { name: 'k', ...key }, at)
  if (response.status !== 201) throw new Error(await response.text())
  const made = (await response.json()) as { id: string; key: string }
  secrets.push(made.key)
  return { id, keyId: made.id, secret: made.key }
}
async function createClient(
  name: string,
  scopes: string[],
  key: object = {},
  at = harness,
): Promise<Client> {
  const response = await asAdmin('POST', ACCOUNTS, { name, scopes }, at)
  const { id } = (await response.json()) as { id: string }
  return createKey(id, { scopes, ...key }, at)
}
const form = (parameters: Record<string, string>) => new URLSearchParams(parameters).toString()
const post = (
  path: string,
  body: Record<string, string> | string,
  headers: Record<string, string> = {},
  at = harness,
) =>
  at.request({
    path,
    body: typeof body === 'string' ? body : form(body),
    headers: { 'content-type': FORM, ...headers },
  })
const basicOf = (id: string, secret: string) => ({
  authorization: `Basic ${btoa(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`)}`,
})
const basic = ({ id, secret }: Client) => basicOf(id, secret)
const bodyOf = ({ id, secret }: Client) => ({ client_id: id, client_secret: secret })
async function issue(
  client: Client,
  parameters: Record<string, string> = {},
  at = harness,
): Promise<Issued> {
  const response = await post(TOKEN, { ...GRANT, ...parameters }, basic(client), at)
  if (response.status !== 200) throw new Error(await response.text())
  const issued = (await response.json()) as Issued
  secrets.push(issued.access_token)
  return issued
}
const introspect = async (token: string, by = gatekeeper, at = harness) => {
  const response = await post(INTROSPECT, { token }, basic(by), at)
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, unknown>
}
const revoke = (token: string, client: Client, parameters: Record<string, string> = {}) =>
  post(REVOKE, { token, ...parameters }, basic(client))
const status = async (token: string, path = '/api/v1/models', at = harness) =>
  (await at.request({ path, token })).status
async function expectRefused(response: Response, code: string, expected = 400): Promise<void> {
  const text = await response.text()
  expect({ status: response.status, text }).toEqual({ status: expected, text: expect.any(String) })
  expectOAuthError(response, text, code)
}
const tables = () => authTables(harness.platform.database.kit)

describe('RFC 6749 §5.2: the token endpoint refuses', () => {
  const row = (name: string, body: string, oauthError: string, rest: Partial<Row> = {}): Row => ({
    name,
    path: TOKEN,
    headers: { 'content-type': FORM },
    body,
    status: 400,
    oauthError,
    ...rest,
  })
  const unauthenticated = {
    status: 401,
    answerHeaders: { 'www-authenticate': CHALLENGE },
  }
  testRequests(
    () => harness,
    [
      { name: 'no body', method: 'POST', path: TOKEN, status: 400, oauthError: 'invalid_request' },
      { name: 'JSON', path: TOKEN, body: GRANT, status: 400, oauthError: 'invalid_request' },
      row('an empty body', '', 'invalid_request'),
      row('no grant type', 'client_id=x&client_secret=y', 'invalid_request'),
      row('RFC 6749 §3.2: a grant type without a value', 'grant_type=', 'invalid_request'),
      row(
        'RFC 6749 §3.2: a parameter that stands twice',
        'grant_type=client_credentials&grant_type=client_credentials',
        'invalid_request',
      ),
      row('U+0000', 'grant_type=a%00', 'invalid_request'),
      row('what is not UTF-8', 'grant_type=%ff%fe', 'unsupported_grant_type'),
      row('an endless grant type', `grant_type=${'x'.repeat(101)}`, 'invalid_request'),
      row('more than 16 KiB', `grant_type=${'x'.repeat(17_000)}`, 'invalid_request', {
        status: 413,
      }),
      ...[
        'password',
        'authorization_code',
        'refresh_token',
        'implicit',
        'urn:ietf:params:oauth:grant-type:device_code',
        'urn:ietf:params:oauth:grant-type:jwt-bearer',
        'urn:ietf:params:oauth:grant-type:token-exchange',
        'CLIENT_CREDENTIALS',
      ].map((grant) =>
        row(
          `RFC 9700 §2.4: the grant ${grant}`,
          form({ grant_type: grant, username: 'ada', password: PASSWORD, code: 'x' }),
          'unsupported_grant_type',
        ),
      ),
      row('no client', form(GRANT), 'invalid_client', {
        ...unauthenticated,
        events: [],
      }),
      row(
        'a client id alone',
        form({ ...GRANT, client_id: 'x' }),
        'invalid_client',
        unauthenticated,
      ),
      row(
        'an unknown client',
        form({ ...GRANT, client_id: 'x', client_secret: 'y' }),
        'invalid_client',
        {
          ...unauthenticated,
          events: ['auth.client_refused'],
        },
      ),
      ...[
        ['that is not base64', 'Basic %%'],
        ['without a colon', `Basic ${btoa('x')}`],
        ['with a broken escape', `Basic ${btoa('%E0%A4%A:x')}`],
        ['of another scheme', 'Bearer x'],
      ].map(([what, authorization]) =>
        row(`a header Authorization ${what}`, form(GRANT), 'invalid_client', {
          ...unauthenticated,
          headers: { 'content-type': FORM, authorization: authorization! },
        }),
      ),
      { name: 'GET', path: TOKEN, status: 405, answerHeaders: { allow: 'POST' } },
    ],
  )

  test('the same for an unknown client, a wrong secret, another’s, a person’s key and one that is over', async () => {
    const mine = await harness.request({
      path: '/api/v1/api-keys',
      body: { name: 'mine', scopes: ['predict'] },
      token: harness.adminToken,
    })
    const { key } = (await mine.json()) as { key: string }
    const me = decodeJwt(harness.adminToken).sub!
    const expires_at = new Date(harness.clock.now() + 1000).toISOString()
    const short = await createKey(reporting.id, { scopes: ['predict'], expires_at })
    harness.clock.advance(1000)
    const disabled = await createClient('disabled', ['predict'])
    await asAdmin('PATCH', `${ACCOUNTS}/${disabled.id}`, { disabled: true })
    const deleted = await createClient('deleted', ['predict'])
    await asAdmin('DELETE', `${ACCOUNTS}/${deleted.id}`)
    const pairs: [string, string][] = [
      ['0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11', reporting.secret],
      [reporting.id, `qk_${'x'.repeat(49)}`],
      [reporting.id, other.secret],
      [reporting.id, ''],
      [reporting.id, reporting.secret.toLowerCase()],
      [reporting.id.toUpperCase(), reporting.secret],
      ['', reporting.secret],
      ['reporting', reporting.secret],
      [me, key],
      [me, PASSWORD],
      ['Ada', PASSWORD],
      [short.id, short.secret],
      [disabled.id, disabled.secret],
      [deleted.id, deleted.secret],
      ["' or 1=1 --", "' or 1=1 --"],
      ['ÿ\u0000', 'ÿ'],
    ]
    const answers = new Set<string>()
    for (const [id, secret] of pairs) {
      const response = await post(TOKEN, GRANT, {
        'x-request-id': 'same',
        ...basicOf(id, secret),
      })
      expect(response.headers.get('www-authenticate')).toBe(CHALLENGE)
      answers.add(`${response.status} ${await response.text()}`)
    }
    expect(answers.size).toBe(1)
  })

  test('RFC 6749 §2.3: a client that authenticates twice', async () => {
    const twice = { ...GRANT, ...bodyOf(reporting) }
    await expectRefused(await post(TOKEN, twice, basic(reporting)), 'invalid_request')
    const two = { ...GRANT, client_id: other.id }
    await expectRefused(await post(TOKEN, two, basic(reporting)), 'invalid_request')
  })

  test.each([
    'users:read',
    'predict users:read',
    'root',
    'predict  models:read',
    ' ',
    'PREDICT',
    'toString',
  ])('RFC 6749 §3.3: the scope %p, which the key does not have', async (scope) =>
    expectRefused(await post(TOKEN, { ...GRANT, scope }, basic(reporting)), 'invalid_scope'),
  )

  test('a scope that the key does not have, with those that it has', async () => {
    const response = await post(TOKEN, { ...GRANT, scope: 'users:read' }, basic(reporting))
    expect(await response.json()).toMatchObject({
      error_description: expect.stringMatching(/^This key has the scopes predict.*: ask for some/),
    })
  })

  test('beyond RATE_LIMIT_CLIENTS, and says so in its way', async () => {
    const made = await open({ RATE_LIMIT_CLIENTS: '2' })
    const ask = (path: string) => post(path, {}, {}, made)
    expect([(await ask(TOKEN)).status, (await ask(REVOKE)).status]).toEqual([400, 401])
    for (const path of [TOKEN, REVOKE]) {
      const response = await ask(path)
      expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
      await expectRefused(response, 'temporarily_unavailable', 429)
    }
    // Those are limits of their own.
    await expectRefused(await ask(INTROSPECT), 'invalid_client', 401)
    expect(await made.logIn('admin')).toBeString()
  })

  test('while the database is away, and says so in its way', async () => {
    const made = await open()
    const client = await createClient('away', ['predict'], {}, made)
    await made.platform.database.close()
    const response = await post(TOKEN, GRANT, basic(client), made)
    expect(response.status).toBeGreaterThanOrEqual(500)
    expect(Object.keys((await response.json()) as object)).toEqual(['error', 'error_description'])
    await opened.pop()!.app.stop(0)
  })

  test('a flood of wrong secrets without a flood of writes', async () => {
    const made = await open()
    const { audit } = authTables(made.platform.database.kit)
    const wrong = { ...GRANT, client_id: 'x', client_secret: 'y' }
    for (let n = 0; n < 40; n++) expect((await post(TOKEN, wrong, {}, made)).status).toBe(401)
    const told = async () => {
      const { read } = made.platform.database
      return (await read.select().from(audit).where(eq(audit.type, 'auth.client_refused'))).length
    }
    expect(await told()).toBe(30)
    made.clock.advance(60_000)
    await post(TOKEN, wrong, {}, made)
    expect(await told()).toBe(31)
  })
})

describe('RFC 6749 §4.4: client credentials', () => {
  test.each([
    ['client_secret_basic', (client: Client) => [{}, basic(client)]],
    [
      'client_secret_basic, and the id again',
      (client: Client) => [{ client_id: client.id }, basic(client)],
    ],
    ['client_secret_post', (client: Client) => [bodyOf(client), {}]],
  ] as [string, (client: Client) => [Record<string, string>, Record<string, string>]][])(
    'by %s',
    async (_, credentials) => {
      const [body, headers] = credentials(reporting)
      const response = await post(TOKEN, { ...GRANT, ...body }, headers)
      expect(response.status).toBe(200)
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(response.headers.get('content-type')).toBe('application/json')
      const issued = (await response.json()) as Issued
      expect(issued).toEqual({
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 3600,
        scope: 'predict models:read',
      })
      expect(await status(issued.access_token)).toBe(200)
    },
  )

  test('RFC 6749 §3.2: unknown parameters are ignored, empty ones left out', async () => {
    const issued = await issue(reporting, { scope: '', audience: 'x', resource: '' })
    expect(issued.scope).toBe('predict models:read')
  })

  test('RFC 9068 §2.2: the token says whose it is and what for', async () => {
    const { access_token } = await issue(reporting, { scope: 'models:read' })
    const issuedAt = Math.floor(harness.clock.now() / 1000)
    expect(decodeProtectedHeader(access_token)).toEqual({
      alg: 'ES256',
      typ: 'at+jwt',
      kid: expect.any(String),
    })
    expect(decodeJwt(access_token)).toEqual({
      iss: 'http://localhost:8080',
      aud: 'quintet',
      sub: reporting.id,
      client_id: reporting.id,
      key_id: reporting.keyId,
      scope: 'models:read',
      iat: issuedAt,
      exp: issuedAt + 3600,
      jti: expect.any(String),
    })
    const keys = await (await harness.request({ path: '/.well-known/jwks.json' })).json()
    await jwtVerify(access_token, createLocalJWKSet(keys as JSONWebKeySet), {
      audience: 'quintet',
      currentDate: new Date(harness.clock.now()),
    })
  })

  test('a narrower scope is all that the token may do', async () => {
    const { access_token, scope } = await issue(reporting, { scope: 'predict' })
    expect(scope).toBe('predict')
    expect(await status(access_token)).toBe(403)
    const whole = await issue(reporting)
    expect(await status(whole.access_token)).toBe(200)
  })

  test('a token is nobody in person, and makes no keys', async () => {
    const { access_token } = await issue(reporting)
    for (const path of ['/api/v1/me', '/api/v1/api-keys', '/api/v1/auth/sessions']) {
      expect(await status(access_token, path)).toBe(403)
    }
  })

  test('a token does what its account and its key may do now', async () => {
    const client = await createClient('shrunk', ['predict', 'models:read'])
    const { access_token } = await issue(client)
    expect(await status(access_token)).toBe(200)
    const path = `${ACCOUNTS}/${client.id}`
    await asAdmin('PATCH', path, { scopes: ['predict', 'users:read'] })
    expect(await status(access_token)).toBe(403)
    expect(await status(access_token, '/api/v1/users')).toBe(403)
    expect((await issue(client)).scope).toBe('predict')
    await asAdmin('PATCH', path, { scopes: ['users:read'] })
    await expectRefused(await post(TOKEN, GRANT, basic(client)), 'invalid_scope')
  })

  test('a token ends with its account, at once', async () => {
    const client = await createClient('ended', ['models:read'])
    const { access_token } = await issue(client)
    expect(await status(access_token)).toBe(200)
    await asAdmin('PATCH', `${ACCOUNTS}/${client.id}`, { disabled: true })
    expect(await status(access_token)).toBe(401)
    await asAdmin('PATCH', `${ACCOUNTS}/${client.id}`, { disabled: false })
    expect(await status(access_token)).toBe(200)
    await asAdmin('DELETE', `${ACCOUNTS}/${client.id}`)
    expect(await status(access_token)).toBe(401)
  })

  test('a key is changed without a pause by a second one, and takes its tokens along', async () => {
    const first = await createClient('rotating', ['models:read'])
    const second = await createKey(first.id, { scopes: ['models:read'] })
    const [old, fresh] = [await issue(first), await issue(second)]
    for (const { access_token } of [old, fresh]) expect(await status(access_token)).toBe(200)
    const path = `${ACCOUNTS}/${first.id}/api-keys/${first.keyId}`
    expect((await asAdmin('DELETE', path)).status).toBe(204)
    expect(await status(old.access_token)).toBe(401)
    expect(await status(fresh.access_token)).toBe(200)
    await expectRefused(await post(TOKEN, GRANT, basic(first)), 'invalid_client', 401)
    await issue(second)
  })

  test('a token outlives neither its key nor CLIENT_TOKEN_TTL_SECONDS', async () => {
    const made = await open({ CLIENT_TOKEN_TTL_SECONDS: '600' })
    const expires_at = new Date(made.clock.now() + 100_000).toISOString()
    const client = await createClient('brief', ['models:read'], {}, made)
    const brief = await createKey(client.id, { scopes: ['models:read'], expires_at }, made)
    const [long, short] = [await issue(client, {}, made), await issue(brief, {}, made)]
    expect(long.expires_in).toBe(600)
    expect(short.expires_in).toBeWithin(99, 101)
    for (const { access_token } of [long, short]) {
      expect(await status(access_token, undefined, made)).toBe(200)
    }
    made.clock.advance(100_000)
    expect(await status(short.access_token, undefined, made)).toBe(401)
    expect(await status(long.access_token, undefined, made)).toBe(200)
    made.clock.advance(500_000)
    const response = await made.request({ path: '/api/v1/models', token: long.access_token })
    expect(await response.json()).toMatchObject({ title: 'Token expired', status: 401 })
  })

  test('the audit and the events tell of tokens, and of who was refused', async () => {
    await harness.published()
    const before = harness.events.length
    const { access_token } = await issue(reporting, { scope: 'predict' })
    const wrong = basicOf(reporting.id, other.secret)
    await post(TOKEN, GRANT, wrong)
    await revoke(access_token, reporting)
    await harness.published()
    const token_id = decodeJwt(access_token).jti
    const mine = { service_account_id: reporting.id }
    expect(harness.events.slice(before)).toMatchObject([
      {
        type: 'auth.token_issued',
        data: {
          ...mine,
          token_id,
          key_id: reporting.keyId,
          scopes: ['predict'],
          actor_id: reporting.id,
        },
      },
      { type: 'auth.client_refused', data: { ...mine, actor_id: null } },
      { type: 'auth.token_revoked', data: { ...mine, token_id, actor_id: reporting.id } },
    ])
    const path = `/api/v1/audit?principal=${reporting.id}&outcome=failure`
    const { entries } = (await (await asAdmin('GET', path)).json()) as { entries: object[] }
    expect(entries[0]).toMatchObject({ type: 'auth.client_refused', address: '203.0.113.7' })
  })
})

describe('RFC 8725 §3.12: a token of one kind is none of another', () => {
  test('a machine’s is no session’s, and no refresh token', async () => {
    const { access_token } = await issue(reporting)
    const refresh = { refresh_token: access_token }
    const response = await harness.request({ path: '/api/v1/auth/refresh', body: refresh })
    expect(response.status).toBe(401)
    expect(
      (await harness.request({ method: 'POST', path: '/api/v1/auth/logout', token: access_token }))
        .status,
    ).toBe(403)
  })

  test('a token is no client secret, and no API key', async () => {
    const { access_token } = await issue(reporting)
    const asSecret = basicOf(reporting.id, access_token)
    await expectRefused(await post(TOKEN, GRANT, asSecret), 'invalid_client', 401)
    const response = await harness.request({
      path: '/api/v1/models',
      headers: { 'x-api-key': access_token },
    })
    expect(response.status).toBe(401)
  })

  test('what is signed, but says that it is both, is neither', async () => {
    const secret = 'a secret that is long enough for it'
    const made = await open({ JWT_SECRET: secret })
    const client = await createClient('both', ['models:read'], {}, made)
    const { access_token } = await issue(client, {}, made)
    expect(decodeProtectedHeader(access_token)).toEqual({ alg: 'HS256', typ: 'at+jwt' })
    expect(await status(access_token, undefined, made)).toBe(200)
    const { SignJWT } = await import('jose')
    const signed = (claims: object) =>
      new SignJWT({ ...decodeJwt(access_token), ...claims })
        .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
        .sign(new TextEncoder().encode(secret))
    const session = decodeJwt(await made.logIn('admin'))
    const { sid } = session
    expect(await status(await signed(session), undefined, made)).toBe(401)
    const bare = { ...session, client_id: undefined, key_id: undefined }
    expect(await status(await signed(bare), undefined, made)).toBe(200)
    for (const claims of [
      { ...bare, client_id: client.id },
      { ...bare, key_id: client.keyId },
    ]) {
      expect(await status(await signed(claims), undefined, made)).toBe(401)
    }
    expect(await status(await signed({}), undefined, made)).toBe(200)
    for (const claims of [
      { sid },
      { key_id: undefined },
      { client_id: undefined },
      { client_id: reporting.id },
      { sid, client_id: undefined, key_id: undefined },
      { key_id: reporting.keyId },
      { jti: undefined },
      { scope: undefined },
      { scope: ['models:read'] },
    ]) {
      expect({ claims, status: await status(await signed(claims), undefined, made) }).toEqual({
        claims,
        status: 401,
      })
    }
    expect(
      await status(await signed({ scope: 'models:read users:read' }), '/api/v1/users', made),
    ).toBe(403)
  })
})

describe('RFC 7662: introspection', () => {
  const inactive = { active: false }

  test('§2.1: asks for a client', async () => {
    await expectRefused(await post(INTROSPECT, { token: 'x' }), 'invalid_client', 401)
    const wrong = basicOf(gatekeeper.id, other.secret)
    await expectRefused(await post(INTROSPECT, { token: 'x' }, wrong), 'invalid_client', 401)
    const bearer = { authorization: `Bearer ${gatekeeper.secret}` }
    await expectRefused(await post(INTROSPECT, { token: 'x' }, bearer), 'invalid_client', 401)
  })

  test('§4: tells nothing to a client without the scope', async () => {
    const { access_token } = await issue(reporting)
    const response = await post(INTROSPECT, { token: access_token }, basic(reporting))
    await expectRefused(response, 'insufficient_scope', 403)
  })

  test('§2.1: asks for a token, once', async () => {
    for (const body of ['', 'token=', 'token=a&token=b']) {
      await expectRefused(await post(INTROSPECT, body, basic(gatekeeper)), 'invalid_request')
    }
  })

  test('§2.2: of a machine’s token', async () => {
    const { access_token } = await issue(reporting, { scope: 'predict' })
    const { exp, iat, jti } = decodeJwt(access_token)
    expect(await introspect(access_token)).toEqual({
      active: true,
      scope: 'predict',
      client_id: reporting.id,
      token_type: 'Bearer',
      exp,
      iat,
      sub: reporting.id,
      aud: 'quintet',
      iss: 'http://localhost:8080',
      jti,
    })
  })

  test('§2.2: of a person’s token', async () => {
    const token = await harness.logIn('ada')
    const { exp, iat, jti, sub } = decodeJwt(token)
    expect(await introspect(token)).toEqual({
      active: true,
      scope: 'predict models:read datasets:read pipelines:read jobs:read forward',
      username: 'Ada',
      token_type: 'Bearer',
      exp,
      iat,
      sub,
      aud: 'quintet',
      iss: 'http://localhost:8080',
      jti,
    })
  })

  test('§2.2: of API keys, which need not expire', async () => {
    const seconds = Math.floor(harness.clock.now() / 1000)
    const expires_at = new Date((seconds + 100) * 1000).toISOString()
    const short = await createKey(other.id, { scopes: ['predict'], expires_at })
    const answer = {
      active: true,
      scope: 'predict',
      client_id: other.id,
      token_type: 'Bearer',
      iat: seconds,
      sub: other.id,
      aud: 'quintet',
      iss: 'http://localhost:8080',
      jti: short.keyId,
    }
    expect(await introspect(short.secret)).toEqual({ ...answer, exp: seconds + 100 })
    const long = await createKey(other.id, { scopes: ['predict'] })
    expect(await introspect(long.secret)).toEqual({ ...answer, jti: long.keyId })
  })

  test('§2.2: of what is not good only that', async () => {
    const client = await createClient('inactive', ['models:read'])
    const { access_token } = await issue(client)
    const { access_token: revoked } = await issue(client)
    expect((await revoke(revoked, client)).status).toBe(200)
    const session = await harness.logIn('ada')
    await harness.request({ method: 'POST', path: '/api/v1/auth/logout', token: session })
    const login = await harness.request({
      path: '/api/v1/auth/login',
      body: { username: 'ada', password: PASSWORD },
    })
    const { refresh_token } = (await login.json()) as { refresh_token: string }
    await asAdmin('PATCH', `${ACCOUNTS}/${client.id}`, { disabled: true })
    for (const token of [
      'garbage',
      'x'.repeat(10_000),
      'a.b.c',
      `qk_${'x'.repeat(49)}`,
      `${access_token}x`,
      access_token,
      client.secret,
      revoked,
      session,
      refresh_token,
      PASSWORD,
      ' ',
    ]) {
      expect({ token, ...(await introspect(token)) }).toEqual({ token, ...inactive })
    }
  })

  test('§2.2: of a token that has expired only that', async () => {
    const made = await open({ CLIENT_TOKEN_TTL_SECONDS: '60' })
    const asker = await createClient('asker', ['tokens:introspect'], {}, made)
    const { access_token } = await issue(asker, {}, made)
    expect(await introspect(access_token, asker, made)).toMatchObject({ active: true })
    made.clock.advance(60_000)
    expect(await introspect(access_token, asker, made)).toEqual(inactive)
  })
})

describe('RFC 7009: revocation', () => {
  test('§2.1: asks for a client, and a token', async () => {
    await expectRefused(await post(REVOKE, { token: 'x' }), 'invalid_client', 401)
    await expectRefused(await post(REVOKE, {}, basic(reporting)), 'invalid_request')
  })

  test('§2: ends a token at once, whatever the hint, and once', async () => {
    for (const token_type_hint of ['access_token', 'refresh_token', 'nonsense', '']) {
      const { access_token } = await issue(reporting)
      const { access_token: kept } = await issue(reporting)
      expect(await status(access_token)).toBe(200)
      await harness.published()
      const before = harness.events.length
      for (let time = 0; time < 2; time++) {
        const response = await revoke(access_token, reporting, { token_type_hint })
        expect(response.status).toBe(200)
      }
      expect(await status(access_token)).toBe(401)
      expect(await status(kept)).toBe(200)
      await harness.published()
      expect(harness.events.slice(before).map(({ type }) => type as string)).toEqual([
        'auth.token_revoked',
      ])
    }
  })

  test('§2.2: what is no token, or none any more, is well', async () => {
    const { access_token } = await issue(reporting)
    for (const token of ['garbage', 'a.b.c', `${access_token}x`, 'x'.repeat(10_000), 'qrt_x']) {
      expect((await revoke(token, reporting)).status).toBe(200)
    }
    expect(await status(access_token)).toBe(200)
  })

  test('§2.1: a client ends its own tokens only', async () => {
    const session = await harness.logIn('ada')
    const { access_token } = await issue(other)
    for (const token of [session, access_token]) {
      await expectRefused(await revoke(token, reporting), 'unauthorized_client')
      expect(await status(token)).toBe(200)
    }
  })

  test('§2.2.1: API keys are deleted elsewhere', async () => {
    const unsupported = async (token: string) =>
      expectRefused(await revoke(token, reporting), 'unsupported_token_type')
    await unsupported(reporting.secret)
    await unsupported(other.secret)
    await unsupported(`qk_${'x'.repeat(49)}`)
    await issue(reporting)
  })

  test('is seen within a second where another instance did it', async () => {
    const { access_token } = await issue(reporting)
    expect(await status(access_token)).toBe(200)
    await harness.platform.database.write(async (tx) => {
      const { jti, exp } = decodeJwt(access_token)
      await tx.insert(tables().revokedTokens).values({ id: jti!, expiresAt: new Date(exp! * 1000) })
    })
    expect(await status(access_token)).toBe(200)
    harness.clock.advance(1000)
    expect(await status(access_token)).toBe(401)
  })

  test('is remembered until the token would have expired, and no longer', async () => {
    const made = await open({ CLIENT_TOKEN_TTL_SECONDS: '7200' })
    const client = await createClient('forgotten', ['models:read'], {}, made)
    const { access_token } = await issue(client, {}, made)
    await post(REVOKE, { token: access_token }, basic(client), made)
    const { revokedTokens } = authTables(made.platform.database.kit)
    const stored = async () =>
      (await made.platform.database.read.select().from(revokedTokens)).length
    made.clock.advance(7_199_000)
    expect(await status(access_token, undefined, made)).toBe(401)
    expect(await stored()).toBe(1)
    made.clock.advance(3_601_000)
    await until(async () => (await stored()) === 0)
    expect(await status(access_token, undefined, made)).toBe(401)
  })
})

describe('RFC 8414: metadata', () => {
  const read = async (path: string, at = harness) => {
    const response = await at.request({ path })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    return (await response.json()) as Record<string, unknown>
  }

  test('§3: says what there is, under both names', async () => {
    const at = await open({ PUBLIC_URL: 'https://api.example.com/' })
    const metadata = await read('/.well-known/oauth-authorization-server', at)
    const methods = ['client_secret_basic', 'client_secret_post']
    expect(metadata).toEqual({
      issuer: 'https://api.example.com',
      token_endpoint: 'https://api.example.com/oauth/token',
      token_endpoint_auth_methods_supported: methods,
      jwks_uri: 'https://api.example.com/.well-known/jwks.json',
      introspection_endpoint: 'https://api.example.com/oauth/introspect',
      introspection_endpoint_auth_methods_supported: methods,
      revocation_endpoint: 'https://api.example.com/oauth/revoke',
      revocation_endpoint_auth_methods_supported: methods,
      grant_types_supported: ['client_credentials'],
      response_types_supported: [],
      scopes_supported: Object.keys(allScopes),
      service_documentation: 'https://api.example.com/docs',
    })
    expect(await read('/.well-known/openid-configuration', at)).toEqual(metadata)
  })

  test('§3.1: names addresses that are there', async () => {
    const metadata = await read('/.well-known/oauth-authorization-server')
    const addresses = Object.values(metadata).filter(
      (value) => typeof value === 'string' && value !== metadata['issuer'],
    ) as string[]
    expect(addresses).toHaveLength(5)
    for (const address of addresses) {
      const response = await harness.request({ path: new URL(address).pathname })
      expect({ address, status: response.status }).toEqual({
        address,
        status: address.includes('/oauth/') ? 405 : 200,
      })
    }
  })
})

test('no secret and no token is ever logged', () => {
  const log = opened.flatMap(({ lines }) => lines).join('')
  expect(secrets.length).toBeGreaterThan(20)
  for (const secret of secrets) expect(log).not.toContain(secret.slice(8))
})
