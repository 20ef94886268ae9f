import { afterAll, beforeAll, describe, expect, spyOn, test } from 'bun:test'

import { roleScopes, type Scope } from '../../src/gateway/scopes.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { until } from '../support/until.ts'

const USERS = '/api/v1/users'
const FORGOT = '/api/v1/auth/password/forgot'
const FORBIDDEN = { title: 'Forbidden', status: 403 }

let harness: Harness
/** A program that keeps the accounts of editors and viewers, one with `users:write` alone, and an administrator's key. */
let steward: string
let bare: string
let adminKey: string
let boss: string
let ed: string

const as = (token: string, method: string, path: string, body?: unknown) =>
  harness.request({ token, method, path, body })
async function made(response: Response): Promise<{ id: string; key: string }> {
  if (response.status !== 201) throw new Error(await response.text())
  return (await response.json()) as { id: string; key: string }
}
async function program(name: string, scopes: Scope[]): Promise<string> {
  const path = '/api/v1/service-accounts'
  const { id } = await made(await as(harness.adminToken, 'POST', path, { name, scopes }))
  const body = { name: 'k', scopes }
  return (await made(await as(harness.adminToken, 'POST', `${path}/${id}/api-keys`, body))).key
}
async function refused(response: Response, ...lacked: string[]): Promise<void> {
  const problem = (await response.json()) as { detail: string }
  expect(problem).toMatchObject(FORBIDDEN)
  for (const scope of lacked) expect(problem.detail).toContain(scope)
}

beforeAll(async () => {
  harness = await openHarness({ RATE_LIMIT_AUTH: '100000', JOB_POLL_MS: '10' })
  boss = await harness.addAccount({ username: 'boss', role: 'admin' })
  ed = await harness.addAccount({ username: 'ed', role: 'editor' })
  const rights: Scope[] = ['users:read', 'users:write']
  steward = await program('steward', [...rights, ...roleScopes.editor])
  bare = await program('bare', rights)
  const key = { name: 'k', scopes: rights }
  adminKey = (await made(await as(harness.adminToken, 'POST', '/api/v1/api-keys', key))).key
})
afterAll(() => harness.close())

const hash = '$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW'

describe('who may write users gives nobody rights that they lack', () => {
  test.each([
    ['by creating', USERS, { username: 'new', role: 'admin', password: PASSWORD }],
    ['by inviting', USERS, { username: 'new', role: 'admin' }],
    [
      'by importing, among others whom they may',
      `${USERS}/import`,
      {
        users: [
          { username: 'fine', password_hash: hash },
          { username: 'new', role: 'admin', password_hash: hash },
        ],
      },
    ],
  ])('%s', async (_, path, body) => {
    for (const token of [steward, bare, adminKey]) {
      await refused(await as(token, 'POST', path, body), 'you may not: ')
    }
    const found = await as(harness.adminToken, 'GET', `${USERS}?q=new`)
    expect(await found.json()).toMatchObject({ users: [] })
  })

  test('by promoting', async () => {
    await refused(await as(steward, 'PATCH', `${USERS}/${ed}`, { role: 'admin' }), 'audit:read')
    const shown = await as(steward, 'GET', `${USERS}/${ed}`)
    expect(await shown.json()).toMatchObject({ role: 'editor' })
  })

  test('not even those of a viewer', async () => {
    const body = { username: 'new', password: PASSWORD }
    await refused(await as(bare, 'POST', USERS, body), ...roleScopes.viewer)
  })
})

describe('who may write users takes over nobody who may do more', () => {
  test.each<[string, string, unknown]>([
    ['PATCH', '', { username: 'other' }],
    ['PATCH', '', { email: 'thief@example.com' }],
    ['PATCH', '', { disabled: true }],
    ['PATCH', '', { role: 'viewer' }],
    ['DELETE', '', undefined],
    ['POST', '/password', {}],
    ['POST', '/password', { password: 'chosen by another' }],
    ['DELETE', '/second-factors', undefined],
    ['DELETE', '/sessions', undefined],
    ['DELETE', '/api-keys', undefined],
  ])('%s …%s %j', async (method, path, body) => {
    await harness.logIn('boss')
    await harness.published()
    const before = harness.events.length
    for (const token of [steward, bare, adminKey]) {
      await refused(await as(token, method, `${USERS}/${boss}${path}`, body))
      // Nor do they learn more of who is not there.
      const nobody = await as(
        token,
        method,
        `${USERS}/0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11${path}`,
        body,
      )
      expect([403, 404]).toContain(nobody.status)
    }
    await harness.published()
    const told = harness.events.slice(before).map(({ type }) => type as string)
    expect(told.filter((type) => type !== 'auth.access_refused')).toEqual([])
    await harness.logIn('boss')
  })

  test('by a link that waits to be passed on', async () => {
    for (const username of ['boss', 'ed']) {
      await harness.request({ path: FORGOT, body: { username } })
    }
    const list = async () => {
      const { messages } = (await (await as(steward, 'GET', '/api/v1/mail')).json()) as {
        messages: { id: string; user_id: string }[]
      }
      return messages
    }
    while ((await list()).length < 2) await Bun.sleep(5)
    const idOf = async (user: string) => (await list()).find(({ user_id: id }) => id === user)!.id
    const ofBoss = `/api/v1/mail/${await idOf(boss)}`
    await refused(await as(steward, 'GET', ofBoss), 'audit:read')
    expect((await as(harness.adminToken, 'GET', ofBoss)).status).toBe(200)
    expect((await as(steward, 'GET', `/api/v1/mail/${await idOf(ed)}`)).status).toBe(200)
  })

  test('by a link for what the account was before', async () => {
    const { id, set_password_url } = (await (
      await as(steward, 'POST', USERS, { username: 'invited', role: 'viewer' })
    ).json()) as { id: string; set_password_url: string }
    const promotion = await as(harness.adminToken, 'PATCH', `${USERS}/${id}`, { role: 'admin' })
    expect(promotion.status).toBe(200)
    const ticket = new URL(set_password_url).searchParams.get('ticket')
    const body = { ticket, password: 'the given one' }
    const reset = await harness.request({ path: '/api/v1/auth/password/reset', body })
    expect(reset.status).toBe(400)
    expect(await reset.json()).toMatchObject({ title: 'Invalid link' })
  })

  test('its own, by a link that is kept: neither with a key nor with a session', async () => {
    await harness.request({ path: FORGOT, body: { username: 'admin' } })
    const list = async () => {
      const { messages } = (await (await as(harness.adminToken, 'GET', '/api/v1/mail')).json()) as {
        messages: { id: string; user_id: string }[]
      }
      return messages
    }
    const { id: own } = (await (await as(harness.adminToken, 'GET', '/api/v1/me')).json()) as {
      id: string
    }
    const mine = async () => (await list()).find(({ user_id: id }) => id === own)
    await until(async () => (await mine()) !== undefined)
    const path = `/api/v1/mail/${(await mine())!.id}`
    for (const token of [adminKey, harness.adminToken]) {
      await refused(await as(token, 'GET', path), 'another administrator')
    }
  })

  test('who is promoted while a password is hashed', async () => {
    const id = await harness.addAccount({ username: 'rising' })
    const original = Bun.password.hash
    const spy = spyOn(Bun.password, 'hash').mockImplementation(async (...given) => {
      const promoted = await as(harness.adminToken, 'PATCH', `${USERS}/${id}`, { role: 'admin' })
      expect(promoted.status).toBe(200)
      return original(...given)
    })
    const answer = await as(steward, 'POST', `${USERS}/${id}/password`, { password: 'of another' })
    spy.mockRestore()
    await refused(answer, 'audit:read')
    await harness.logIn('rising')
  })
})

test('who may do as much does all of it', async () => {
  const answers: number[] = []
  const { id } = await made(
    await as(steward, 'POST', USERS, { username: 'new', role: 'viewer', password: PASSWORD }),
  )
  for (const [method, path, body] of [
    ['PATCH', '', { role: 'editor' }],
    ['DELETE', '/second-factors'],
    ['DELETE', '/sessions'],
    ['DELETE', '/api-keys'],
    ['POST', '/password', { password: 'the given one' }],
    ['POST', '/password', {}],
    ['DELETE', ''],
  ] as const) {
    answers.push((await as(steward, method, `${USERS}/${id}${path}`, body)).status)
  }
  expect(answers).toEqual([200, 204, 204, 204, 204, 200, 204])
})
