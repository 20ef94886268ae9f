import { afterAll, beforeAll, describe, expect, spyOn, test } from 'bun:test'

import { eq } from 'drizzle-orm'
import type { BunSQLiteDatabase } from 'drizzle-orm/bun-sqlite'
import type { PgDatabase } from 'drizzle-orm/pg-core'

import { authTables } from '../../src/auth/tables.ts'
import type { Writes } from '../../src/platform/database/database.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { refusal } from '../support/refusal.ts'
import { testRequests } from '../support/request-table.ts'
import { until } from '../support/until.ts'

const AUDIT = '/api/v1/audit'
const DAY_MS = 86_400_000

interface Entry {
  id: string
  type: string
  time: string
  actor: { kind: string; id: string | null; name: string | null }
  subject: { id: string; name: string | null } | null
  address: string | null
  outcome: string
  details: Record<string, unknown>
}

let harness: Harness
let adminId: string
let adaId: string
let adaToken: string

async function entries(query: Record<string, string> = {}): Promise<Entry[]> {
  const path = `${AUDIT}?${new URLSearchParams({ limit: '100', ...query }).toString()}`
  const response = await harness.request({ path, token: harness.adminToken })
  expect(response.status).toBe(200)
  return ((await response.json()) as { entries: Entry[] }).entries
}

beforeAll(async () => {
  harness = await openHarness()
  const me = await harness.request({ path: '/api/v1/me', token: harness.adminToken })
  adminId = ((await me.json()) as { id: string }).id
  const created = await harness.request({
    path: '/api/v1/users',
    body: { username: 'Ada', password: PASSWORD },
    token: harness.adminToken,
  })
  adaId = ((await created.json()) as { id: string }).id
  adaToken = await harness.logIn('Ada')
})
afterAll(() => harness.close())

describe('the audit', () => {
  testRequests(
    () => harness,
    [
      { name: 'is for whoever says who they are', path: AUDIT, status: 401 },
      { name: 'is for administrators', as: 'ada', path: AUDIT, status: 403 },
      { name: 'is not written by callers', as: 'admin', path: AUDIT, body: {}, status: 405 },
      ...[
        'type=auth.unheard_of',
        'type=jobs.updated',
        'outcome=perhaps',
        'since=yesterday',
        'until=2026-13-01T00:00:00Z',
        'limit=0',
        'limit=101',
        `principal=${'x'.repeat(65)}`,
        'type=auth.login&type=auth.logout',
        'actor=me',
      ].map((query) => ({
        name: `refuses ${query}`,
        as: 'admin',
        path: `${AUDIT}?${query}`,
        status: 422,
      })),
      {
        name: 'is shown to administrators',
        as: 'admin',
        path: AUDIT,
        status: 200,
        has: { entries: expect.any(Array), next: null },
        mustNotContain: [PASSWORD],
      },
    ],
    () => ({ ada: adaToken }),
  )

  test('tells who did what to whom, from where', async () => {
    const [created] = await entries({ type: 'auth.user_created', principal: adaId })
    expect(created).toEqual({
      id: expect.any(String),
      type: 'auth.user_created',
      time: expect.any(String),
      actor: { kind: 'user', id: adminId, name: 'admin' },
      subject: { id: adaId, name: 'Ada' },
      address: '203.0.113.7',
      outcome: 'success',
      details: { user_id: adaId, role: 'viewer' },
    })
    expect(Date.parse(created!.time)).toBe(harness.clock.now())
  })

  test('tells of who was refused, and not what they typed', async () => {
    const body = { username: 'ada', password: 'wrong secret' }
    await harness.request({ path: '/api/v1/auth/login', body })
    const nobody = { username: 'typed-by-mistake', password: 'x' }
    await harness.request({ path: '/api/v1/auth/login', body: nobody })
    const [second, first] = await entries({ outcome: 'failure' })
    const actor = { kind: 'anonymous', id: null, name: null }
    const failed = { type: 'auth.login_failed', actor, outcome: 'failure' }
    expect(first).toMatchObject({
      ...failed,
      subject: { id: adaId, name: 'Ada' },
      address: '203.0.113.7',
    })
    expect(second).toMatchObject({ ...failed, subject: null })
    const everything = JSON.stringify(await entries())
    for (const typed of ['wrong secret', 'typed-by-mistake'])
      expect(everything).not.toContain(typed)
  })

  test('has an event for each entry, and an entry for each event', async () => {
    await harness.published()
    const told = harness.events
      .filter(({ type }) => type.startsWith('auth.'))
      .map(({ type, data }) => ({ type, time: (data as { time: string }).time }))
    const kept = (await entries()).toReversed().map(({ type, time }) => ({ type, time }))
    // The events of the start were published before anybody listened.
    expect(kept.slice(-told.length)).toEqual(told)
    expect(told.length).toBeGreaterThan(2)
  })

  test('is listed page by page, the newest first', async () => {
    const all = await entries()
    const paged: Entry[] = []
    let next: string | null = ''
    while (next !== null) {
      const before: string = next === '' ? '' : `&before=${next}`
      const path = `${AUDIT}?limit=2${before}`
      const response = await harness.request({ path, token: harness.adminToken })
      const page = (await response.json()) as { entries: Entry[]; next: string | null }
      paged.push(...page.entries)
      next = page.next
    }
    expect(paged).toEqual(all)
    expect(all.map(({ id }) => id)).toEqual(
      all
        .map(({ id }) => id)
        .toSorted()
        .toReversed(),
    )
  })

  test('is found by time', async () => {
    const then = new Date(harness.clock.now() + 1).toISOString()
    const before = await entries()
    expect(await entries({ since: then })).toEqual([])
    expect(await entries({ until: then })).toEqual(before)
  })

  test('can not be changed, not even by who has the database', async () => {
    const { database } = harness.platform
    const { audit } = authTables(database.kit)
    const before = await entries()
    const [row] = await database.read.select().from(audit).limit(1)
    const changes: ((tx: Writes) => Promise<unknown>)[] = [
      async (tx) => tx.update(audit).set({ actorId: adaId }),
      async (tx) => tx.delete(audit),
      async (tx) => tx.delete(audit).where(eq(audit.id, row!.id)),
    ]
    const rawly = (statement: string) => (tx: Writes) =>
      database.driver === 'sqlite'
        ? Promise.resolve((tx as unknown as BunSQLiteDatabase).run(statement))
        : (tx as unknown as PgDatabase<never>).execute(statement)
    changes.push(
      database.driver === 'sqlite'
        ? rawly(`replace into audit select * from audit where id = '${row!.id}'`)
        : rawly('truncate audit'),
    )
    for (const change of changes) {
      const error = await refusal(database.write(change))
      expect(String((error as Error).cause ?? error)).toMatch(/never changed|kept for a day/)
    }
    expect(await entries()).toEqual(before)
  })

  test('keeps what was done by who is gone', async () => {
    await harness.request({
      method: 'DELETE',
      path: `/api/v1/users/${adaId}`,
      token: harness.adminToken,
    })
    const [deleted] = await entries({ principal: adaId })
    expect(deleted).toMatchObject({
      type: 'auth.user_deleted',
      subject: { id: adaId, name: 'Ada' },
    })
    const [login] = await entries({ type: 'auth.login', principal: adaId })
    expect(login!.actor).toEqual({ kind: 'user', id: adaId, name: 'Ada' })
    expect(login!.subject).toEqual({ id: adaId, name: 'Ada' })
  })
})

describe('who asks for what they may not', () => {
  const refused = (principal: string) => entries({ type: 'auth.access_refused', principal })

  test('is told of once a minute for each endpoint, whoever it is about', async () => {
    const id = await harness.addAccount({ username: 'climber' })
    const token = await harness.logIn('climber')
    const patch = { method: 'PATCH', path: `/api/v1/users/${id}`, body: { role: 'admin' }, token }
    for (let n = 0; n < 5; n += 1) {
      expect((await harness.request(patch)).status).toBe(403)
      expect((await harness.request({ path: AUDIT, token })).status).toBe(403)
    }
    await until(async () => (await refused(id)).length === 2)
    // Told beside the requests, so in either order.
    const told = (await refused(id)).toSorted((a, b) =>
      String(a.details['path']).localeCompare(String(b.details['path'])),
    )
    expect(told).toMatchObject([
      {
        actor: { kind: 'user', id, name: 'climber' },
        outcome: 'failure',
        details: { path: AUDIT, why: expect.stringContaining('audit:read') },
      },
      { details: { method: 'PATCH', path: '/api/v1/users/{id}' }, address: expect.any(String) },
    ])
    harness.clock.advance(60_000)
    expect((await harness.request(patch)).status).toBe(403)
    await until(async () => (await refused(id)).length === 3)
  })

  test('gets the same answer while the audit can’t be written', async () => {
    await harness.addAccount({ username: 'unlucky' })
    const token = await harness.logIn('unlucky')
    const spy = spyOn(harness.platform.database, 'write').mockRejectedValue(new Error('full'))
    expect((await harness.request({ path: AUDIT, token })).status).toBe(403)
    spy.mockRestore()
    await until(() => harness.lines.some((line) => line.includes('a refusal could not be put')))
  })
})

test('what an account may do is told as it was and as it is', async () => {
  const path = '/api/v1/users'
  const token = harness.adminToken
  const body = { username: 'riser', password: PASSWORD, role: 'viewer' }
  const made = await harness.request({ path, body, token })
  const { id } = (await made.json()) as { id: string }
  for (const change of [{ role: 'admin', username: 'risen' }, { disabled: true }]) {
    await harness.request({ method: 'PATCH', path: `${path}/${id}`, body: change, token })
  }
  await harness.request({ method: 'DELETE', path: `${path}/${id}`, token })
  const told = await entries({ principal: id })
  expect(told.map(({ type, details }) => [type, details])).toEqual([
    ['auth.user_deleted', { user_id: id, username: 'risen' }],
    [
      'auth.user_changed',
      { user_id: id, changed: ['disabled'], from: { disabled: false }, to: { disabled: true } },
    ],
    [
      'auth.user_changed',
      {
        user_id: id,
        changed: ['username', 'role'],
        from: { username: 'riser', role: 'viewer' },
        to: { username: 'risen', role: 'admin' },
      },
    ],
    ['auth.user_created', { user_id: id, role: 'viewer' }],
  ])
})

test('a token that was made on the machine is a login of nobody in person', async () => {
  const token = await harness.app.auth.administratorToken()
  const me = await harness.request({ path: '/api/v1/me', token })
  const { id } = (await me.json()) as { id: string }
  const [login] = await entries({ type: 'auth.login', principal: id })
  expect(login).toMatchObject({
    actor: { kind: 'server', id: null },
    subject: { id, name: 'admin' },
    details: { methods: ['machine'] },
  })
  const list = await harness.request({ path: '/api/v1/auth/sessions', token })
  const { sessions } = (await list.json()) as { sessions: { device: string }[] }
  expect(sessions.map(({ device }) => device)).toContain('scripts/token')
})

test('an entry is forgotten once it is as old as the setting says', async () => {
  const fresh = await openHarness({ AUDIT_TTL_SECONDS: String((2 * DAY_MS) / 1000) })
  const { audit } = authTables(fresh.platform.database.kit)
  const stored = () => fresh.platform.database.read.select().from(audit)
  const created = (await stored()).filter(({ type }) => type === 'auth.user_created')
  expect(created).toHaveLength(1)
  const isKept = async () => (await stored()).some(({ id }) => id === created[0]!.id)
  fresh.clock.advance(DAY_MS)
  await fresh.logIn('admin')
  expect(await isKept()).toBe(true)
  fresh.clock.advance(2 * DAY_MS)
  await fresh.logIn('admin')
  await until(async () => !(await isKept()))
  expect((await stored()).length).toBeGreaterThan(0)
  await fresh.close()
})

test('a program’s rights are told as they were and as they are, and a key by its name', async () => {
  const token = harness.adminToken
  const path = '/api/v1/service-accounts'
  const body = { name: 'nightly', scopes: ['predict'] }
  const made = await harness.request({ path, body, token })
  const { id } = (await made.json()) as { id: string }
  const change = { scopes: ['predict', 'models:read'], disabled: true, description: 'At night' }
  await harness.request({ method: 'PATCH', path: `${path}/${id}`, body: change, token })
  const [changed] = await entries({ principal: id, type: 'auth.service_account_changed' })
  expect(changed).toMatchObject({
    subject: { id, name: 'nightly' },
    details: {
      changed: ['description', 'scopes', 'disabled'],
      from: { scopes: ['predict'], disabled: false },
      to: { scopes: ['predict', 'models:read'], disabled: true },
    },
  })
  await harness.request({ method: 'DELETE', path: `${path}/${id}`, token })
  const [deleted] = await entries({ principal: id, type: 'auth.service_account_deleted' })
  expect(deleted!.subject).toEqual({ id, name: 'nightly' })

  const key = { name: 'laptop', scopes: ['predict'], expires_at: null }
  const created = await harness.request({ path: '/api/v1/api-keys', body: key, token })
  const { id: keyId } = (await created.json()) as { id: string }
  await harness.request({ method: 'DELETE', path: `/api/v1/api-keys/${keyId}`, token })
  const [gone] = await entries({ type: 'auth.api_key_deleted', principal: adminId })
  expect(gone!.details).toMatchObject({ key_id: keyId, name: 'laptop' })
})

test('a first start rotates no key, and a rotation is told', async () => {
  const fresh = await openHarness()
  const rotated = async () => {
    const path = `${AUDIT}?type=auth.keys_rotated`
    const list = await fresh.request({ path, token: fresh.adminToken })
    return ((await list.json()) as { entries: unknown[] }).entries
  }
  expect(await rotated()).toEqual([])
  await fresh.app.auth.rotateKeys({ isCompromised: false })
  expect(await rotated()).toMatchObject([{ actor: { kind: 'server' } }])
  await fresh.close()
})
