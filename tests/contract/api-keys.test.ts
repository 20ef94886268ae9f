import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { hashOf } from '../../src/auth/sessions/refresh-tokens.ts'
import { authTables } from '../../src/auth/tables.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'
import { until } from '../support/until.ts'
import { strangeMemberRows } from '../support/user-field-rows.ts'

const KEYS = '/api/v1/api-keys'
const MODELS = '/api/v1/models'
const NO_KEY = `${KEYS}/0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11`
const INVALID = { title: 'Invalid token', status: 401 }

interface ApiKey {
  id: string
  key: string
  hint: string
}

const opened: Harness[] = []
async function open(settings: Record<string, string> = {}): Promise<Harness> {
  const made = await openHarness({ RATE_LIMIT_AUTH: '100000', ...settings })
  opened.push(made)
  return made
}
let harness: Harness
let ada: ApiKey
const tokens: Record<string, string> = {}
const secrets: string[] = []

const tables = () => authTables(harness.platform.database.kit)
async function createKey(token: string, body: object = {}, at = harness): Promise<ApiKey> {
  const whole = { name: 'script', scopes: ['predict', 'models:read'], ...body }
  const response = await at.request({ path: KEYS, body: whole, token })
  if (response.status !== 201) throw new Error(await response.text())
  const made = (await response.json()) as ApiKey
  secrets.push(made.key)
  return made
}
const status = async (token: string, path = MODELS, at = harness) =>
  (await at.request({ path, token })).status
const asAdmin = (method: string, path: string, body?: unknown, at = harness) =>
  at.request({ method, path, body, token: at.adminToken })
/** Somebody new, for tests after which they are not what they were. */
async function person(username: string, role: 'viewer' | 'admin' = 'viewer') {
  const id = await harness.addAccount({ username, role })
  return { id, token: await harness.logIn(username) }
}

beforeAll(async () => {
  harness = await open()
  await harness.addAccount({ username: 'Ada' })
  await harness.addAccount({ username: 'Eve' })
  tokens['ada'] = await harness.logIn('ada')
  tokens['eve'] = await harness.logIn('eve')
  ada = await createKey(tokens['ada'])
  tokens['ada’s key'] = ada.key
  tokens['the administrator’s key'] = (
    await createKey(harness.adminToken, {
      scopes: ['predict', 'users:read', 'users:write', 'service-accounts:write'],
    })
  ).key
})
afterAll(async () => {
  for (const each of opened) await each.close()
})

describe('making an API key is refused', () => {
  const post: Pick<Row, 'as' | 'method' | 'path'> = { as: 'ada', method: 'POST', path: KEYS }
  const good = { name: 'script', scopes: ['predict'] }
  const faulty = (name: string, change: object, pointer: string): Row => ({
    name,
    ...post,
    body: { ...good, ...change },
    status: 422,
    has: { errors: [{ pointer }] },
  })
  testRequests(
    () => harness,
    [
      { name: 'without a token', method: 'POST', path: KEYS, body: good, status: 401 },
      { name: 'without a body', ...post, status: 415 },
      { name: 'for an array', ...post, body: [good], status: 422 },
      faulty('without a name', { name: undefined }, '#/name'),
      faulty('with an empty name', { name: '' }, '#/name'),
      faulty('with a number as name', { name: 7 }, '#/name'),
      faulty('with an over-long name', { name: 'x'.repeat(65) }, '#/name'),
      faulty('with a name of U+0000', { name: 'a\u0000' }, '#/name'),
      faulty('with a name nobody sees', { name: 'a\u200b' }, '#/name'),
      faulty('without scopes', { scopes: undefined }, '#/scopes'),
      faulty('with no scope', { scopes: [] }, '#/scopes'),
      faulty('with null as scopes', { scopes: null }, '#/scopes'),
      faulty('with a scope that there is not', { scopes: ['root'] }, '#/scopes/0'),
      faulty('with a scope that every object has', { scopes: ['toString'] }, '#/scopes/0'),
      faulty('with scopes in one text', { scopes: 'predict models:read' }, '#/scopes/0'),
      faulty('with a thousand scopes', { scopes: Array(1000).fill('predict') }, '#/scopes'),
      {
        ...faulty('with an expiry that is none', { expires_at: 'tomorrow' }, '#/expires_at'),
        contains: ['expected a time such as 2027-01-02T03:04:05Z, or a date'],
      },
      faulty('with a day that is none', { expires_at: '2027-02-30' }, '#/expires_at'),
      faulty('with an expiry as a number', { expires_at: 1_893_456_000 }, '#/expires_at'),
      faulty('with an expiry that is over', { expires_at: '2001-01-01T00:00:00Z' }, '#/expires_at'),
      {
        ...faulty(
          'with scopes beyond the owner’s (privilege escalation)',
          { scopes: ['predict', 'users:write', 'audit:read'] },
          '#/scopes',
        ),
        contains: ['you may not give users:write, audit:read'],
      },
      { name: 'over the limit of bytes', ...post, body: { x: 'x'.repeat(17_000) }, status: 413 },
      ...strangeMemberRows(
        post,
        {
          id: 'chosen',
          owner_id: 'somebody',
          user_id: 'somebody',
          service_account_id: 'something',
          key: 'qk_chosen',
          hash: 'x',
          role: 'admin',
          last_used_at: null,
        },
        good,
      ),
    ],
    () => tokens,
  )
})

describe('an API key may not', () => {
  const rows: [name: string, method: string, path: string, body?: unknown][] = [
    ['make keys', 'POST', KEYS, { name: 'x', scopes: ['predict'] }],
    ['list keys', 'GET', KEYS],
    ['look at a key', 'GET', NO_KEY],
    ['delete keys', 'DELETE', NO_KEY],
    [
      'change the password',
      'POST',
      '/api/v1/me/password',
      { current_password: PASSWORD, password: 'another long one' },
    ],
    ['look at the account', 'GET', '/api/v1/me'],
    ['change the account', 'PATCH', '/api/v1/me', { username: 'x' }],
    ['list sessions', 'GET', '/api/v1/auth/sessions'],
    ['end sessions', 'DELETE', '/api/v1/auth/sessions'],
    ['log out', 'POST', '/api/v1/auth/logout'],
  ]
  testRequests(
    () => harness,
    [
      ...['ada’s key', 'the administrator’s key'].flatMap((as) =>
        rows.map(([name, method, path, body]) => ({
          name: `${name}: ${as}`,
          as,
          method,
          path,
          body,
          status: 403,
          has: { title: 'Forbidden' },
        })),
      ),
      { name: 'list users without the scope', as: 'ada’s key', path: '/api/v1/users', status: 403 },
      {
        name: 'do what its owner may and its scopes do not name',
        as: 'the administrator’s key',
        path: '/api/v1/audit',
        status: 403,
        has: { detail: 'This needs the scope audit:read.' },
      },
      {
        name: 'be exchanged for a session',
        path: '/api/v1/auth/refresh',
        body: { refresh_token: 'qk_x' },
        status: 401,
      },
    ],
    () => tokens,
  )
})

describe('an API key of somebody else', () => {
  const path = () => `${KEYS}/${ada.id}`
  test('is not there: IDOR', async () => {
    for (const method of ['GET', 'DELETE']) {
      for (const token of [tokens['eve'], harness.adminToken]) {
        const response = await harness.request({ method, path: path(), token })
        expect(response.status).toBe(404)
        expect(await response.json()).toMatchObject({ detail: 'You have no such API key.' })
      }
    }
    expect(await status(ada.key)).toBe(200)
  })

  test('is not listed', async () => {
    const response = await harness.request({ path: KEYS, token: tokens['eve'] })
    expect(await response.json()).toEqual({ api_keys: [] })
  })
})

describe('an API key', () => {
  test('is shown once, and then only how it begins', async () => {
    const eve = await person('shown')
    const time = new Date(harness.clock.now()).toISOString()
    const body = {
      name: 'cron',
      scopes: ['predict', 'predict'],
      expires_at: '2999-01-01T01:00:00+01:00',
    }
    const response = await harness.request({ path: KEYS, body, token: eve.token })
    expect(response.status).toBe(201)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const { key, ...made } = (await response.json()) as ApiKey
    secrets.push(key)
    expect(made as object).toEqual({
      id: expect.any(String),
      name: 'cron',
      scopes: ['predict'],
      hint: key.slice(0, 8),
      created_at: time,
      expires_at: '2999-01-01T00:00:00.000Z',
      last_used_at: null,
    })
    const list = await harness.request({ path: KEYS, token: eve.token })
    expect(await list.json()).toEqual({ api_keys: [made] })
    const one = await harness.request({ path: `${KEYS}/${made.id}`, token: eve.token })
    expect(await one.json()).toEqual(made)
  })

  test('is stored as a hash only', async () => {
    const rows = await harness.platform.database.read.select().from(tables().apiKeys)
    expect(rows.length).toBeGreaterThan(0)
    for (const secret of secrets) expect(JSON.stringify(rows)).not.toContain(secret.slice(8))
  })

  test.each([
    ['2099-01-02', '2099-01-02T00:00:00.000Z'],
    ['2099-01-02 03:04:05', '2099-01-02T03:04:05.000Z'],
    [['2099-01-02T03:04:05+01:00'], '2099-01-02T02:04:05.000Z'],
  ])('ends when R writes that it does: %s', async (expires_at, expected) => {
    const body = { name: 'R', scopes: ['predict'], expires_at }
    const response = await harness.request({ path: KEYS, body, token: tokens['ada'] })
    expect(await response.json()).toMatchObject({ expires_at: expected })
  })

  test('of one scope may be written as R writes it', async () => {
    const body = { name: ['R'], scopes: 'predict' }
    const response = await harness.request({ path: KEYS, body, token: tokens['ada'] })
    expect(response.status).toBe(201)
  })

  const basic = (user: string, password: string) =>
    `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const BASIC = 'Basic realm="quintet", charset="UTF-8"'

  test.each([
    ['as Bearer', (key: string) => ({ authorization: `Bearer ${key}` })],
    ['as X-API-Key', (key: string) => ({ 'x-api-key': key })],
    ['as the password of Basic', (key: string) => ({ authorization: basic('', key) })],
    ['as the same, with any user name', (key: string) => ({ authorization: basic('Jö', key) })],
    [
      'in two headers alike',
      (key: string) => ({ authorization: `Bearer ${key}`, 'x-api-key': key }),
    ],
  ])('is taken %s', async (_, headersOf) => {
    const response = await harness.request({ path: MODELS, headers: headersOf(ada.key) })
    expect(response.status).toBe(200)
  })

  test.each([
    ['a session’s token as X-API-Key', { 'x-api-key': 'token' }, 'Bearer'],
    ['a session’s token as a password', { basic: 'token' }, BASIC],
    ['a person’s password as a password', { basic: PASSWORD }, BASIC],
    ['a password without a user name', { authorization: `Basic ${btoa('qk_x')}` }, BASIC],
    ['Basic of nothing', { authorization: 'Basic' }, BASIC],
    ['Basic that is not base64', { authorization: 'Basic %%%' }, BASIC],
    ['a key that is none, by Basic', { basic: `qk_${'x'.repeat(49)}` }, BASIC],
    [
      'a key that is none, by X-API-Key',
      { 'x-api-key': `qk_${'x'.repeat(49)}` },
      'Bearer error="invalid_token"',
    ],
    ['an endless key', { 'x-api-key': `qk_${'x'.repeat(9000)}` }, 'Bearer error="invalid_token"'],
    ['two keys in one header', { 'x-api-key': 'qk_a, qk_b' }, 'Bearer error="invalid_token"'],
    ['an empty key', { 'x-api-key': '' }, 'Bearer'],
    ['another scheme', { authorization: 'Digest x' }, 'Bearer'],
  ] as [string, Record<string, string>, string][])(
    'is not %s, and the answer asks for what was sent',
    async (_, { basic: password, ...headers }, challenge) => {
      const token = tokens['ada']!
      const sent = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, value === 'token' ? token : value]),
      )
      const whole =
        password === undefined
          ? sent
          : { authorization: basic('ada', password === 'token' ? token : password) }
      const response = await harness.request({ path: MODELS, headers: whole })
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe(challenge)
    },
  )

  test('that is mistyped or cut off is told so, and one that is gone is not', async () => {
    const detailOf = async (token: string) =>
      ((await (await harness.request({ path: MODELS, token })).json()) as { detail: string }).detail
    const { key, id } = await createKey(tokens['ada']!)
    const swapped = key.slice(0, 20) + key[21] + key[20] + key.slice(22)
    for (const wrong of [
      key.slice(0, -1),
      `${key}x`,
      'qk_',
      key[20] === key[21] ? 'qk_x' : swapped,
    ]) {
      expect(await detailOf(wrong)).toBe(
        'This API key is mistyped or cut off: its end does not fit the rest. Copy it again, whole.',
      )
    }
    await harness.request({ method: 'DELETE', path: `${KEYS}/${id}`, token: tokens['ada'] })
    harness.clock.advance(2000)
    for (const token of [key, 'x.y.z']) {
      expect(await detailOf(token)).toBe(
        'The token was not issued by this server, was changed, or has been revoked.',
      )
    }
  })

  test.each([
    ['x-api-key', 'abc', /^X-API-Key takes an API key, which begins with qk_/],
    [
      'authorization',
      basic('ada', PASSWORD),
      /password get a token at POST \/api\/v1\/auth\/login\.$/,
    ],
  ])('is asked for where something else is sent by %s', async (name, value, detail) => {
    const response = await harness.request({ path: MODELS, headers: { [name]: value } })
    expect(await response.json()).toMatchObject({ detail: expect.stringMatching(detail) })
  })

  test('RFC 6750 §2: of two credentials that differ neither counts', async () => {
    const other = await createKey(tokens['ada']!)
    for (const authorization of [
      `Bearer ${tokens['ada']}`,
      `Bearer ${other.key}`,
      basic('', other.key),
      'Bearer x',
    ]) {
      const headers = { authorization, 'x-api-key': ada.key }
      const response = await harness.request({ path: MODELS, headers })
      expect(response.status).toBe(401)
      expect(await response.json()).toMatchObject({
        detail: 'Authorization and X-API-Key say two things. Send one of them.',
      })
    }
  })

  test('that a browser remembers as a password is no use to pages of other sites (CSRF)', async () => {
    const path = '/api/v1/jobs/none/replay'
    const statusBy = async (headers: Record<string, string>, method = 'POST') =>
      (await harness.request({ method, path, headers: { ...headers } })).status
    const { key } = await createKey(tokens['ada']!, { scopes: ['jobs:read'] })
    const remembered = { authorization: basic('', key) }
    expect(await statusBy({ ...remembered, 'sec-fetch-site': 'cross-site' })).toBe(403)
    expect(await statusBy({ ...remembered, 'sec-fetch-site': 'same-site' })).toBe(403)
    expect(await statusBy({ ...remembered, origin: 'https://evil.example' })).toBe(403)
    expect(await statusBy({ ...remembered, 'sec-fetch-site': 'same-origin' })).toBe(404)
    expect(await statusBy(remembered)).toBe(404)
    // What only a script can send needs the leave of CORS.
    const byScript = { 'x-api-key': key, origin: 'https://evil.example' }
    expect(await statusBy(byScript)).toBe(404)
  })

  test('without credentials no browser is made to ask for a password', async () => {
    const response = await harness.request({ path: MODELS })
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
  })

  test('sees jobs, and is let through by a proxy, where its scopes say so', async () => {
    for (const [scope, path] of [
      ['jobs:read', '/api/v1/jobs'],
      ['forward', '/api/v1/auth/forward'],
    ] as const) {
      const { headers } = await harness.request({ path, token: ada.key })
      expect(headers.get('www-authenticate')).toContain(`scope="${scope}"`)
      const { key } = await createKey(tokens['ada']!, { scopes: [scope] })
      expect(await status(key, path)).toBe(200)
    }
  })

  test('is valid to other services, by no role: it may do less than its owner', async () => {
    const key = tokens['the administrator’s key']
    const response = await harness.request({ path: '/api/v1/auth/validate', body: { token: key } })
    expect(await response.json()).toEqual({ valid: true, user_id: expect.any(String), role: null })
  })

  test('of an administrator is none to applications behind a proxy', async () => {
    const { key } = await createKey(harness.adminToken, { scopes: ['users:read', 'forward'] })
    const forward = async (token: string, query = '') => {
      const path = `/api/v1/auth/forward${query}`
      const { status: answered, headers } = await harness.request({ path, token })
      return [answered, headers.get('x-user'), headers.get('x-role')]
    }
    expect(await forward(harness.adminToken, '?role=admin')).toEqual([200, 'admin', 'admin'])
    expect(await forward(key)).toEqual([200, 'admin', 'api-key'])
    expect(await forward(key, '?role=viewer')).toEqual([403, null, null])
  })

  test('does what scope and role both allow: who is demoted takes the key along at once', async () => {
    const boss = await person('boss', 'admin')
    const { key } = await createKey(boss.token, { scopes: ['users:read', 'jobs:read'] })
    expect(await status(key, '/api/v1/users')).toBe(200)
    await asAdmin('PATCH', `/api/v1/users/${boss.id}`, { role: 'viewer' })
    expect(await status(key, '/api/v1/users')).toBe(403)
    expect(await status(key, '/api/v1/jobs')).toBe(200)
    await asAdmin('PATCH', `/api/v1/users/${boss.id}`, { role: 'admin' })
    expect(await status(key, '/api/v1/users')).toBe(200)
  })

  test('is dead while its owner is disabled, and for good once they are deleted', async () => {
    const leaver = await person('leaver')
    const { key } = await createKey(leaver.token)
    expect(await status(key)).toBe(200)
    const path = `/api/v1/users/${leaver.id}`
    await asAdmin('PATCH', path, { disabled: true })
    expect(await status(key)).toBe(401)
    await asAdmin('PATCH', path, { disabled: false })
    expect(await status(key)).toBe(200)
    await asAdmin('DELETE', path)
    expect(await status(key)).toBe(401)
    const { apiKeys } = tables()
    const left = harness.platform.database.read
      .select()
      .from(apiKeys)
      .where(eq(apiKeys.ownerId, leaver.id))
    expect(await left).toEqual([])
  })

  test('that is deleted is refused at once here', async () => {
    const { id, key } = await createKey(tokens['ada']!)
    expect(await status(key)).toBe(200)
    const path = `${KEYS}/${id}`
    const deleted = () => harness.request({ method: 'DELETE', path, token: tokens['ada'] })
    expect((await deleted()).status).toBe(204)
    const refused = await harness.request({ path: MODELS, token: key })
    expect(await refused.json()).toMatchObject(INVALID)
    expect((await deleted()).status).toBe(404)
  })

  test('that another instance deleted is refused within a second', async () => {
    const { id, key } = await createKey(tokens['ada']!)
    expect(await status(key)).toBe(200)
    const { apiKeys } = tables()
    await harness.platform.database.write(async (tx) => {
      await tx.delete(apiKeys).where(eq(apiKeys.id, id))
    })
    expect(await status(key)).toBe(200)
    harness.clock.advance(1000)
    expect(await status(key)).toBe(401)
  })

  test('is refused once it has expired, also where it was just good', async () => {
    const made = await open()
    const expires_at = new Date(made.clock.now() + 500).toISOString()
    const cached = await createKey(made.adminToken, { expires_at }, made)
    const fresh = await createKey(made.adminToken, { expires_at }, made)
    made.clock.advance(499)
    expect(await status(cached.key, MODELS, made)).toBe(200)
    made.clock.advance(1)
    for (const { key } of [cached, fresh]) {
      const response = await made.request({ path: MODELS, token: key })
      expect(await response.json()).toMatchObject({ title: 'Token expired', status: 401 })
    }
    const list = await made.request({ path: KEYS, token: made.adminToken })
    expect(((await list.json()) as { api_keys: object[] }).api_keys).toHaveLength(2)
  })

  test('that is mistyped is refused without a look at the database, where it might be found', async () => {
    const { id, key } = await createKey(tokens['ada']!)
    const mistyped = key.slice(0, -1) + (key.endsWith('x') ? 'y' : 'x')
    const { apiKeys } = tables()
    await harness.platform.database.write(async (tx) => {
      await tx
        .update(apiKeys)
        .set({ hash: hashOf(mistyped) })
        .where(eq(apiKeys.id, id))
    })
    const refused = await harness.request({ path: MODELS, token: mistyped })
    expect(await refused.json()).toMatchObject(INVALID)
  })

  test('tells when it was used last, to the minute', async () => {
    const eve = await person('user of keys')
    const { id, key } = await createKey(eve.token)
    const usedAt = async () => {
      const response = await harness.request({ path: `${KEYS}/${id}`, token: eve.token })
      return ((await response.json()) as { last_used_at: string | null }).last_used_at
    }
    const use = async () => {
      expect(await status(key)).toBe(200)
      const time = new Date(harness.clock.now()).toISOString()
      return { time }
    }
    expect(await usedAt()).toBeNull()
    const first = await use()
    await until(async () => (await usedAt()) === first.time)
    harness.clock.advance(59_000)
    await use()
    await Bun.sleep(20)
    expect(await usedAt()).toBe(first.time)
    harness.clock.advance(1_000)
    const second = await use()
    await until(async () => (await usedAt()) === second.time)
  })
})

describe('a user’s API keys', () => {
  const path = (id: string) => `/api/v1/users/${id}/api-keys`
  testRequests(
    () => harness,
    ['GET', 'DELETE'].flatMap((method) => [
      { name: `${method}: not for strangers`, method, path: path('x'), status: 401 },
      { name: `${method}: not for viewers`, as: 'ada', method, path: path('x'), status: 403 },
      { name: `${method}: not of nobody`, as: 'admin', method, path: path('x'), status: 404 },
    ]),
    () => tokens,
  )

  test('are listed and deleted by administrators, and nobody else’s', async () => {
    const [one, other] = [await person('robbed'), await person('unharmed')]
    const keys = [await createKey(one.token), await createKey(one.token)]
    const kept = await createKey(other.token)
    for (const { key } of keys) expect(await status(key)).toBe(200)
    const text = await (await asAdmin('GET', path(one.id))).text()
    expect(JSON.parse(text)).toMatchObject({ api_keys: [{ id: keys[1]!.id }, { id: keys[0]!.id }] })
    for (const { key } of keys) expect(text).not.toContain(key.slice(8))
    await harness.published()
    const before = harness.events.length
    expect((await asAdmin('DELETE', path(one.id))).status).toBe(204)
    for (const { key } of keys) expect(await status(key)).toBe(401)
    expect(await status(kept.key)).toBe(200)
    await harness.published()
    const told = harness.events.slice(before).map(({ type }) => type as string)
    expect(told).toEqual(['auth.api_key_deleted', 'auth.api_key_deleted'])
  })

  test('are not a service account’s', async () => {
    const body = { name: 'no user', scopes: ['predict'] }
    const response = await asAdmin('POST', '/api/v1/service-accounts', body)
    const { id } = (await response.json()) as ApiKey
    expect((await asAdmin('GET', path(id))).status).toBe(404)
    expect((await asAdmin('DELETE', path(id))).status).toBe(404)
  })
})

test('API_KEYS_PER_OWNER_MAX is how many keys somebody may have', async () => {
  const made = await open({ API_KEYS_PER_OWNER_MAX: '2' })
  const attempt = () =>
    made.request({ path: KEYS, body: { name: 'x', scopes: ['predict'] }, token: made.adminToken })
  const answers = await Promise.all([attempt(), attempt(), attempt(), attempt()])
  expect(answers.filter((answer) => answer.status === 201)).toHaveLength(2)
  expect(answers.filter((answer) => answer.status === 409)).toHaveLength(2)
  const refused = answers.find((answer) => answer.status === 409)!
  expect(await refused.json()).toMatchObject({
    title: 'Too many API keys',
    detail: expect.stringContaining('at most 2 keys'),
  })
  const { id } = (await answers.find((answer) => answer.status === 201)!.json()) as ApiKey
  await made.request({ method: 'DELETE', path: `${KEYS}/${id}`, token: made.adminToken })
  expect((await attempt()).status).toBe(201)
})

test('the audit and the events tell of keys made and deleted, and show none', async () => {
  const eve = await person('watched')
  await harness.published()
  const before = harness.events.length
  const { id, key } = await createKey(eve.token)
  await harness.request({ method: 'DELETE', path: `${KEYS}/${id}`, token: eve.token })
  await harness.published()
  const details = { user_id: eve.id, service_account_id: null, key_id: id, actor_id: eve.id }
  expect(harness.events.slice(before)).toMatchObject([
    { type: 'auth.api_key_created', data: details },
    { type: 'auth.api_key_deleted', data: details },
  ])
  const path = `/api/v1/audit?principal=${eve.id}&limit=100`
  const audit = await (await harness.request({ path, token: harness.adminToken })).text()
  expect(audit).toContain('auth.api_key_deleted')
  expect(audit).not.toContain(key.slice(8))
})

test('no key is ever logged', () => {
  const log = opened.flatMap(({ lines }) => lines).join('')
  expect(secrets.length).toBeGreaterThan(10)
  for (const secret of secrets) expect(log).not.toContain(secret.slice(8))
})

test('a key is made in the ten minutes after a login, so that a stolen token is no lasting one', async () => {
  const fresh = await open()
  const post = (path: string, body: object, token = fresh.adminToken) =>
    fresh.request({ path, body, token })
  const made = await post('/api/v1/service-accounts', { name: 'bot', scopes: ['predict'] })
  const { id } = (await made.json()) as { id: string }
  const paths = [KEYS, `/api/v1/service-accounts/${id}/api-keys`]
  const key = { name: 'script', scopes: ['predict'] }
  const statuses = async (token?: string) => {
    const answers = await Promise.all(paths.map((path) => post(path, key, token)))
    return answers.map((answer) => answer.status)
  }
  fresh.clock.advance(599_000)
  expect(await statuses()).toEqual([201, 201])
  fresh.clock.advance(1000)
  expect(await statuses()).toEqual([403, 403])
  expect(await (await post(KEYS, key)).json()).toMatchObject({ title: 'Login not recent' })
  expect(await statuses(await fresh.logIn('admin'))).toEqual([201, 201])
})
