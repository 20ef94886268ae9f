import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { authTables } from '../../src/auth/tables.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'
import { strangeMemberRows, userFieldRows } from '../support/user-field-rows.ts'

const ME = '/api/v1/me'

let harness: Harness
const tokens: Record<string, string> = {}
let adaId: string
beforeAll(async () => {
  harness = await openHarness({ RATE_LIMIT_AUTH: '100000' })
  adaId = await harness.addAccount({ username: 'Ada', email: 'ada@example.com' })
  await harness.addAccount({ username: 'Eve', email: 'eve@example.com' })
  tokens['ada'] = await harness.logIn('ada')
})
afterAll(() => harness.close())

const patch = { as: 'ada', method: 'PATCH', path: ME } as const

describe('what I may not say of myself', () => {
  testRequests(
    () => harness,
    [
      { name: 'without a token', path: ME, status: 401 },
      { name: 'without a token, to change it', method: 'PATCH', path: ME, body: {}, status: 401 },
      { name: 'no body', as: 'ada', method: 'PATCH', path: ME, status: 415 },
      { name: 'no object', ...patch, body: ['ada'], status: 422 },
      { name: 'no user name', ...patch, body: { username: null }, status: 422 },
      ...userFieldRows(patch, ['username', 'email']),
      ...strangeMemberRows(patch, {
        role: 'admin',
        id: 'chosen',
        scopes: ['users:write'],
        disabled: false,
        password: 'long enough',
        password_hash: 'x',
        passwordHash: 'x',
        emailVerifiedAt: '2026-01-01T00:00:00Z',
        email_verified: true,
        username_folded: 'eve',
        created_at: '2026-01-01T00:00:00Z',
      }),
      {
        name: 'a role by another spelling of its name',
        ...patch,
        body: '{"username": "ada", "rol\\u0065": "admin"}',
        status: 422,
        has: { errors: [{ pointer: '#/role' }] },
      },
      {
        name: 'the name of another',
        ...patch,
        body: { username: 'EVE' },
        status: 409,
        has: { title: 'Name taken' },
      },
      {
        name: 'another address without the password',
        ...patch,
        body: { email: 'other@example.com' },
        status: 422,
        has: { errors: [{ pointer: '#/current_password' }] },
      },
      {
        name: 'no address without the password',
        ...patch,
        body: { email: null },
        status: 422,
        has: { errors: [{ pointer: '#/current_password' }] },
      },
      {
        name: 'another address with a wrong password',
        ...patch,
        body: { email: 'other@example.com', current_password: 'wrong password' },
        status: 403,
        has: { title: 'Wrong password' },
        events: ['auth.reauthentication_failed'],
      },
      {
        name: 'the address of another',
        ...patch,
        body: { email: 'ＥＶＥ@example.com'.normalize('NFKC'), current_password: PASSWORD },
        status: 409,
      },
    ],
    () => tokens,
  )
})

describe('my account', () => {
  testRequests(
    () => harness,
    [
      {
        name: 'says who I am and what I may do',
        as: 'ada',
        path: ME,
        status: 200,
        has: {
          username: 'Ada',
          email: 'ada@example.com',
          role: 'viewer',
          scopes: [
            'predict',
            'models:read',
            'datasets:read',
            'pipelines:read',
            'jobs:read',
            'forward',
          ],
          created_at: expect.stringMatching(/^\d{4}-.*Z$/),
        },
        mustNotContain: ['hash', 'Hash', 'olded'],
      },
      {
        name: 'of an administrator names what viewers may not',
        as: 'admin',
        path: ME,
        status: 200,
        contains: ['users:write'],
      },
      { name: 'stays as it is when nothing is said', ...patch, body: {}, status: 200 },
      {
        name: 'stays as it is when the same is said, as R says it',
        ...patch,
        body: { username: ['Ada'], email: ['ada@example.com'] },
        status: 200,
      },
      {
        name: 'takes my name in another case',
        ...patch,
        body: { username: 'ADA' },
        status: 200,
        has: { username: 'ADA', email: 'ada@example.com' },
        events: ['auth.user_changed'],
      },
      {
        name: 'takes another name and address',
        ...patch,
        body: {
          username: 'Countess',
          email: 'countess@example.com',
          current_password: PASSWORD,
        },
        status: 200,
        has: { username: 'Countess', email: 'countess@example.com', role: 'viewer' },
        mustNotContain: ['hash', 'Hash', 'olded'],
        events: ['auth.user_changed'],
      },
      {
        name: 'says so at once',
        as: 'ada',
        path: ME,
        status: 200,
        has: { username: 'Countess' },
      },
      {
        name: 'gives its address up for null',
        ...patch,
        body: { email: null, current_password: PASSWORD },
        status: 200,
        has: { email: null, username: 'Countess' },
        events: ['auth.user_changed'],
      },
      {
        name: 'gives its name free',
        as: 'admin',
        path: '/api/v1/users',
        body: { username: 'ada', email: 'ADA@example.com', password: 'long enough' },
        status: 201,
        events: ['auth.user_created'],
      },
    ],
    () => tokens,
  )

  test('a changed address is not a verified one', async () => {
    const { database } = harness.platform
    const { accounts } = authTables(database.kit)
    const verified = async () => {
      const [row] = await database.read.select().from(accounts).where(eq(accounts.id, adaId))
      return row!.emailVerifiedAt !== null
    }
    const change = async (body: object) => {
      const whole = { ...body, current_password: PASSWORD }
      const response = await harness.request({ ...patch, body: whole, token: tokens['ada'] })
      expect(response.status).toBe(200)
    }
    await change({ email: 'old@example.com' })
    await database.write(async (tx) => {
      await tx.update(accounts).set({ emailVerifiedAt: new Date() }).where(eq(accounts.id, adaId))
    })
    await change({ username: 'Lady', email: 'old@example.com' })
    expect(await verified()).toBe(true)
    await change({ email: 'new@example.com' })
    expect(await verified()).toBe(false)
  })

  test('an event says who changed what', async () => {
    await harness.published()
    const { data } = harness.events.findLast(({ type }) => type === 'auth.user_changed')!
    expect(data).toMatchObject({ user_id: adaId, actor_id: adaId, changed: ['email'] })
  })

  test('which is gone has no session either', async () => {
    const { database } = harness.platform
    const { accounts } = authTables(database.kit)
    const id = await harness.addAccount({ username: 'gone' })
    const token = await harness.logIn('gone')
    expect((await harness.request({ path: ME, token })).status).toBe(200)
    await database.write(async (tx) => {
      await tx.delete(accounts).where(eq(accounts.id, id))
    })
    expect((await harness.request({ path: ME, token })).status).toBe(401)
  })
})

test('who asks too often whether a name is taken is told to wait', async () => {
  const fresh = await openHarness({ RATE_LIMIT_AUTH: '2' })
  const statuses: number[] = []
  for (const username of ['a', 'b', 'c']) {
    const asked = { method: 'PATCH', path: ME, body: { username }, token: fresh.adminToken }
    statuses.push((await fresh.request(asked)).status)
  }
  expect(statuses).toEqual([200, 200, 429])
  await fresh.close()
})
