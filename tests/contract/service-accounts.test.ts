import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { authTables } from '../../src/auth/tables.ts'
import { type Harness, openHarness } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'
import { strangeMemberRows } from '../support/user-field-rows.ts'

const ACCOUNTS = '/api/v1/service-accounts'
const NONE = `${ACCOUNTS}/0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11`

interface Made {
  id: string
  key: string
}

let harness: Harness
const tokens: Record<string, string> = {}
beforeAll(async () => {
  harness = await openHarness({ RATE_LIMIT_AUTH: '100000' })
  await harness.addAccount({ username: 'Ada' })
  tokens['viewer'] = await harness.logIn('ada')
  const scopes = ['service-accounts:write', 'service-accounts:read', 'predict']
  const steward = await create({ name: 'steward', scopes })
  tokens['steward'] = (await createKey(steward.id, { scopes })).key
})
afterAll(() => harness.close())

const as = (token: string, method: string, path: string, body?: unknown) =>
  harness.request({ method, path, body, token })
const asAdmin = (method: string, path: string, body?: unknown) =>
  as(harness.adminToken, method, path, body)
async function made(response: Response): Promise<Made> {
  if (response.status !== 201) throw new Error(await response.text())
  return (await response.json()) as Made
}
const create = async (account: object) => made(await asAdmin('POST', ACCOUNTS, account))
const createKey = async (id: string, key: object = {}) =>
  made(
    await asAdmin('POST', `${ACCOUNTS}/${id}/api-keys`, { name: 'k', scopes: ['predict'], ...key }),
  )
const status = async (token: string, path: string) => (await as(token, 'GET', path)).status

describe('nobody without the scopes', () => {
  const calls: [string, string, unknown?][] = [
    ['GET', ACCOUNTS],
    ['POST', ACCOUNTS, { name: 'x', scopes: ['predict'] }],
    ['GET', NONE],
    ['PATCH', NONE, { disabled: true }],
    ['DELETE', NONE],
    ['GET', `${NONE}/api-keys`],
    ['POST', `${NONE}/api-keys`, { name: 'x', scopes: ['predict'] }],
    ['DELETE', `${NONE}/api-keys/x`],
  ]
  testRequests(
    () => harness,
    calls.flatMap(([method, path, body]) =>
      [
        { who: 'a stranger', status: 401 },
        { who: 'a viewer', as: 'viewer', status: 403 },
      ].map(({ who, ...row }) => ({
        name: `not ${who}: ${method} ${path}`,
        method,
        path,
        body,
        ...row,
      })),
    ),
    () => tokens,
  )
})

describe('an administrator is refused', () => {
  const post: Pick<Row, 'as' | 'method' | 'path'> = { as: 'admin', method: 'POST', path: ACCOUNTS }
  const patch: Pick<Row, 'as' | 'method' | 'path'> = { as: 'admin', method: 'PATCH', path: NONE }
  const good = { name: 'x', scopes: ['predict'] }
  const faulty = (name: string, change: object, pointer: string): Row[] => [
    {
      name: `an account with ${name}`,
      ...post,
      body: { ...good, ...change },
      status: 422,
      has: { errors: [{ pointer }] },
    },
    {
      name: `a change to ${name}`,
      ...patch,
      body: change,
      status: 422,
      has: { errors: [{ pointer }] },
    },
  ]
  const strange = {
    id: 'chosen',
    owner_id: 'x',
    created_by: 'x',
    role: 'admin',
    client_secret: 'x',
    disabledAt: null,
  }
  const unknown = { status: 404, has: { detail: 'There is no such service account.' } }
  testRequests(
    () => harness,
    [
      { name: 'no body', ...post, status: 415 },
      { name: 'no name', ...post, body: { scopes: ['predict'] }, status: 422 },
      { name: 'no scopes', ...post, body: { name: 'x' }, status: 422 },
      {
        name: 'a new one that is disabled',
        ...post,
        body: { ...good, disabled: true },
        status: 422,
      },
      ...faulty('an empty name', { name: '' }, '#/name'),
      ...faulty('a name as number', { name: 1 }, '#/name'),
      ...faulty('an over-long name', { name: 'x'.repeat(65) }, '#/name'),
      ...faulty('an over-long description', { description: 'x'.repeat(501) }, '#/description'),
      ...faulty('a description of U+0000', { description: '\u0000' }, '#/description'),
      ...faulty('no scope', { scopes: [] }, '#/scopes'),
      ...faulty('a scope that there is not', { scopes: ['root'] }, '#/scopes/0'),
      ...faulty('a scope as object', { scopes: [{ predict: true }] }, '#/scopes/0'),
      { name: 'disabled as a word', ...patch, body: { disabled: 'no' }, status: 422 },
      ...strangeMemberRows(post, strange, good),
      ...strangeMemberRows(patch, strange),
      { name: 'a name that is taken', ...post, body: { ...good, name: 'STEWARD' }, status: 409 },
      { name: 'an unknown account', as: 'admin', path: NONE, ...unknown },
      { name: 'a change to one', ...patch, body: { disabled: true }, ...unknown },
      { name: 'its removal', as: 'admin', method: 'DELETE', path: NONE, ...unknown },
      { name: 'its keys', as: 'admin', path: `${NONE}/api-keys`, ...unknown },
      { name: 'a key of it', as: 'admin', path: `${NONE}/api-keys`, body: good, ...unknown },
      {
        name: 'the removal of one',
        as: 'admin',
        method: 'DELETE',
        path: `${NONE}/api-keys/x`,
        ...unknown,
      },
      { name: 'an id of U+0000', as: 'admin', path: `${ACCOUNTS}/%00`, status: 404 },
      { name: 'an endless id', as: 'admin', path: `${ACCOUNTS}/${'x'.repeat(5000)}`, ...unknown },
      { name: 'an unknown query', as: 'admin', path: `${ACCOUNTS}?q=x`, status: 422 },
    ],
    () => tokens,
  )
})

describe('a service account', () => {
  test('is created, looked at, listed, changed and deleted', async () => {
    const time = new Date(harness.clock.now()).toISOString()
    const account = { name: 'Reporting', description: 'on the R server', scopes: ['predict'] }
    const response = await asAdmin('POST', ACCOUNTS, account)
    expect(response.status).toBe(201)
    const created = (await response.json()) as Made
    const me = (await (await asAdmin('GET', '/api/v1/me')).json()) as Made
    expect(created as object).toEqual({
      ...account,
      id: expect.any(String),
      disabled: false,
      created_by: me.id,
      created_at: time,
      updated_at: time,
    })
    const path = `${ACCOUNTS}/${created.id}`
    expect(await (await asAdmin('GET', path)).json()).toEqual(created)
    const list = await (await asAdmin('GET', `${ACCOUNTS}?limit=1`)).json()
    expect(list).toEqual({ service_accounts: [created], next: created.id })
    const rest = await (await asAdmin('GET', `${ACCOUNTS}?before=${created.id}`)).json()
    expect(rest).toMatchObject({ service_accounts: [{ name: 'steward' }], next: null })

    const change = { name: 'REPORTING', description: null, scopes: ['models:read', 'predict'] }
    const changed = await asAdmin('PATCH', path, change)
    expect(await changed.json()).toEqual({ ...created, ...change })
    expect((await asAdmin('PATCH', path, {})).status).toBe(200)
    expect((await asAdmin('DELETE', path)).status).toBe(204)
    expect((await asAdmin('GET', path)).status).toBe(404)
    await harness.published()
    const told = harness.events.filter(
      ({ data }) => (data as Record<string, unknown>)['service_account_id'] === created.id,
    )
    expect(told).toMatchObject([
      { type: 'auth.service_account_created', data: { actor_id: me.id } },
      {
        type: 'auth.service_account_changed',
        data: { changed: ['name', 'description', 'scopes'] },
      },
      { type: 'auth.service_account_deleted' },
    ])
  })

  test('works by its keys, on what its scopes name', async () => {
    const { id } = await create({ name: 'worker', scopes: ['predict', 'models:read'] })
    const { key } = await createKey(id, { scopes: ['models:read'] })
    expect(await status(key, '/api/v1/models')).toBe(200)
    expect(await status(key, '/api/v1/jobs')).toBe(403)
    expect((await as(key, 'POST', '/api/v1/predict', {})).status).toBe(403)
    expect(await status(key, '/api/v1/users')).toBe(403)
  })

  test('owns the jobs that it makes', async () => {
    const { id } = await create({ name: 'batches', scopes: ['predict', 'jobs:read'] })
    const { key } = await createKey(id, { scopes: ['predict', 'jobs:read'] })
    const points = { model_type: 'classification', features: { x1: [1], x2: [2] } }
    const response = await harness.request({
      path: '/api/v1/predict/batch',
      body: { batches: [points] },
      token: key,
      headers: { prefer: 'respond-async' },
    })
    expect(response.status).toBe(202)
    const job = (await response.json()) as Made
    expect(await (await as(key, 'GET', `/api/v1/jobs/${job.id}`)).json()).toMatchObject({
      owner_id: id,
    })
    expect(await status(tokens['viewer']!, `/api/v1/jobs/${job.id}`)).toBe(404)
  })

  test.each(['/api/v1/me', '/api/v1/auth/sessions', '/api/v1/api-keys'])(
    'is nobody in person: %s',
    async (path) => expect(await status(tokens['steward']!, path)).toBe(403),
  )

  test('with fewer scopes, disabled or deleted takes its keys along at once', async () => {
    const { id } = await create({ name: 'shrinking', scopes: ['predict', 'models:read'] })
    const { key } = await createKey(id, { scopes: ['predict', 'models:read'] })
    const path = `${ACCOUNTS}/${id}`
    const isAccepted = () => status(key, '/api/v1/models')
    expect(await isAccepted()).toBe(200)
    await asAdmin('PATCH', path, { scopes: ['predict'] })
    expect(await isAccepted()).toBe(403)
    await asAdmin('PATCH', path, { scopes: ['models:read'] })
    expect(await isAccepted()).toBe(200)
    await asAdmin('PATCH', path, { disabled: true })
    expect(await isAccepted()).toBe(401)
    await asAdmin('PATCH', path, { disabled: false })
    expect(await isAccepted()).toBe(200)
    await asAdmin('DELETE', path)
    expect(await isAccepted()).toBe(401)
    const { apiKeys } = authTables(harness.platform.database.kit)
    const left = await harness.platform.database.read.select().from(apiKeys)
    expect(left.filter(({ ownerId }) => ownerId === id)).toEqual([])
  })
})

describe('rights are not made by giving them away (privilege escalation)', () => {
  const by = (method: string, path: string, body?: unknown) =>
    as(tokens['steward']!, method, path, body)
  const refused = async (response: Response) => {
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({
      errors: [{ pointer: '#/scopes', detail: 'you may not give users:write' }],
    })
  }

  test('who creates an account', async () => {
    const scopes = ['predict', 'users:write']
    await refused(await by('POST', ACCOUNTS, { name: 'greater', scopes }))
    const body = { name: 'as great', scopes: ['predict'] }
    expect((await by('POST', ACCOUNTS, body)).status).toBe(201)
  })

  test('who changes an account', async () => {
    const { id } = await create({ name: 'small', scopes: ['predict'] })
    await refused(await by('PATCH', `${ACCOUNTS}/${id}`, { scopes: ['users:write'] }))
  })

  test('but what an account has already stays, whoever changes the rest', async () => {
    const { id } = await create({ name: 'great', scopes: ['users:write'] })
    const body = { scopes: ['users:write', 'predict'] }
    expect((await by('PATCH', `${ACCOUNTS}/${id}`, body)).status).toBe(200)
  })

  test('who lets one in again, or deletes it, may do all that it may', async () => {
    const { id } = await create({ name: 'stopped', scopes: ['users:write'] })
    expect((await by('PATCH', `${ACCOUNTS}/${id}`, { disabled: true })).status).toBe(200)
    for (const refusal of [
      await by('PATCH', `${ACCOUNTS}/${id}`, { disabled: false }),
      await by('DELETE', `${ACCOUNTS}/${id}`),
    ]) {
      expect(refusal.status).toBe(403)
      const detail = 'Of what the service account may do, you may not: users:write.'
      expect(await refusal.json()).toMatchObject({ detail })
    }
    const less = await create({ name: 'stopped too', scopes: ['predict'] })
    expect((await by('PATCH', `${ACCOUNTS}/${less.id}`, { disabled: true })).status).toBe(200)
    expect((await by('PATCH', `${ACCOUNTS}/${less.id}`, { disabled: false })).status).toBe(200)
    expect((await by('DELETE', `${ACCOUNTS}/${less.id}`)).status).toBe(204)
  })

  test('a key makes no keys, and deletes none', async () => {
    const { id } = await create({ name: 'great too', scopes: ['users:write', 'predict'] })
    const { id: keyId } = await createKey(id)
    const path = `${ACCOUNTS}/${id}/api-keys`
    const body = { name: 'x', scopes: ['predict'] }
    expect((await by('POST', path, body)).status).toBe(403)
    expect((await by('DELETE', `${path}/${keyId}`)).status).toBe(403)
  })

  test('a key has no scope that its account lacks', async () => {
    const { id } = await create({ name: 'narrow', scopes: ['predict'] })
    const body = { name: 'x', scopes: ['predict', 'users:write'] }
    const response = await asAdmin('POST', `${ACCOUNTS}/${id}/api-keys`, body)
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({
      errors: [{ pointer: '#/scopes', detail: 'the owner does not have users:write' }],
    })
  })
})

describe('its API keys', () => {
  test('are listed without the secrets, and deleted one by one', async () => {
    const { id } = await create({ name: 'keyed', scopes: ['predict', 'models:read'] })
    const path = `${ACCOUNTS}/${id}/api-keys`
    const [one, other] = [
      await createKey(id, { name: 'one', scopes: ['models:read'] }),
      await createKey(id, { name: 'other', scopes: ['models:read'] }),
    ]
    const text = await (await asAdmin('GET', path)).text()
    expect(JSON.parse(text)).toMatchObject({ api_keys: [{ name: 'other' }, { name: 'one' }] })
    for (const { key } of [one, other]) expect(text).not.toContain(key.slice(8))
    expect(await status(one.key, '/api/v1/models')).toBe(200)
    expect((await asAdmin('DELETE', `${path}/${one.id}`)).status).toBe(204)
    expect((await asAdmin('DELETE', `${path}/${one.id}`)).status).toBe(404)
    expect(await status(one.key, '/api/v1/models')).toBe(401)
    expect(await status(other.key, '/api/v1/models')).toBe(200)
  })

  test('are not found under another account, nor a person’s under theirs: IDOR', async () => {
    const [one, other] = [
      await create({ name: 'mine', scopes: ['models:read'] }),
      await create({ name: 'yours', scopes: ['models:read'] }),
    ]
    const { id, key } = await createKey(one.id, { scopes: ['models:read'] })
    expect((await asAdmin('DELETE', `${ACCOUNTS}/${other.id}/api-keys/${id}`)).status).toBe(404)
    expect(await status(key, '/api/v1/models')).toBe(200)

    const person = await harness.addAccount({ username: 'Eve' })
    const token = await harness.logIn('eve')
    const body = { name: 'hers', scopes: ['models:read'] }
    const hers = await made(await as(token, 'POST', '/api/v1/api-keys', body))
    const path = `${ACCOUNTS}/${person}/api-keys`
    expect((await asAdmin('GET', path)).status).toBe(404)
    expect((await asAdmin('DELETE', `${path}/${hers.id}`)).status).toBe(404)
    expect(await status(hers.key, '/api/v1/models')).toBe(200)
  })

  test('outlive who made them', async () => {
    await harness.addAccount({ username: 'boss', role: 'admin' })
    const boss = await harness.logIn('boss')
    const me = (await (await as(boss, 'GET', '/api/v1/me')).json()) as Made
    const body = { name: 'left behind', scopes: ['models:read'] }
    const account = await made(await as(boss, 'POST', ACCOUNTS, body))
    const { key } = await made(await as(boss, 'POST', `${ACCOUNTS}/${account.id}/api-keys`, body))
    expect((await asAdmin('DELETE', `/api/v1/users/${me.id}`)).status).toBe(204)
    expect(await status(key, '/api/v1/models')).toBe(200)
  })
})
