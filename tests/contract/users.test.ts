import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'
import { userFieldRows } from '../support/user-field-rows.ts'

/** How administrators make users, and how each changes the own password; what administrators do to users that there are is in user-administration.test.ts. */
const USERS = '/api/v1/users'
const MY_PASSWORD = '/api/v1/me/password'

let harness: Harness
const tokens: Record<string, string> = {}
beforeAll(async () => {
  harness = await openHarness()
  for (const role of ['editor', 'viewer'] as const) {
    await harness.addAccount({ username: role, role })
    tokens[role] = await harness.logIn(role)
  }
})
afterAll(() => harness.close())

describe('an administrator creates users', () => {
  const grace = { username: 'Grace', email: 'grace@example.com', password: 'long enough' }
  testRequests(
    () => harness,
    [
      { name: 'nobody else: a stranger', path: USERS, body: grace, status: 401 },
      { name: 'nobody else: a viewer', as: 'viewer', path: USERS, body: grace, status: 403 },
      { name: 'nobody else: an editor', as: 'editor', path: USERS, body: grace, status: 403 },
      ...userFieldRows({ as: 'admin', path: USERS }, ['username', 'email', 'password'], grace),
      {
        name: 'a password written wide that is one of the most common',
        as: 'admin',
        path: USERS,
        body: { ...grace, password: 'ｐａｓｓｗｏｒｄ１２３' },
        status: 422,
      },
      {
        name: 'a password that is short but for its combining marks',
        as: 'admin',
        path: USERS,
        body: { ...grace, password: 'a\u0308'.repeat(7) },
        status: 422,
      },
      {
        name: 'an unknown role',
        as: 'admin',
        path: USERS,
        body: { ...grace, role: 'root' },
        status: 422,
        has: { errors: [{ pointer: '#/role' }] },
      },
      {
        name: 'a viewer by default',
        as: 'admin',
        path: USERS,
        body: grace,
        status: 201,
        events: ['auth.user_created'],
        has: { username: 'Grace', email: 'grace@example.com', role: 'viewer' },
        mustNotContain: ['long enough', 'hash'],
      },
      {
        name: 'as jsonlite writes them: scalars in arrays, NA as null',
        as: 'admin',
        path: USERS,
        body: { username: ['rita'], password: ['long enough'], email: null, role: ['editor'] },
        status: 201,
        events: ['auth.user_created'],
        has: { username: 'rita', email: null, role: 'editor' },
      },
      {
        name: 'the same name in another case',
        as: 'admin',
        path: USERS,
        body: { username: 'GRACE', password: 'long enough' },
        status: 409,
        has: { title: 'Name taken' },
      },
      {
        name: 'a name with a letter that is two in another case',
        as: 'admin',
        path: USERS,
        body: { username: 'Straße', email: 'Jörg@Exämple.de', password: 'long enough' },
        status: 201,
        events: ['auth.user_created'],
      },
      {
        name: 'the same name as two letters',
        as: 'admin',
        path: USERS,
        body: { username: 'STRASSE', password: 'long enough' },
        status: 409,
      },
      {
        name: 'the same e-mail in another Unicode form',
        as: 'admin',
        path: USERS,
        body: { username: 'jo', email: 'JO\u0308RG@exa\u0308mple.DE', password: 'long enough' },
        status: 409,
      },
      {
        name: 'the same e-mail',
        as: 'admin',
        path: USERS,
        body: { ...grace, username: 'other' },
        status: 409,
      },
      {
        name: 'what decides about the account is not the caller’s to set',
        as: 'admin',
        path: USERS,
        body: { username: 'mallory', password: 'long enough', id: 'chosen', passwordHash: 'x' },
        status: 422,
        has: {
          errors: [
            { pointer: '#/id', detail: 'is no key of this request' },
            { pointer: '#/passwordHash', detail: 'is no key of this request' },
          ],
        },
        mustNotContain: ['chosen'],
      },
      {
        name: 'and they log in',
        path: '/api/v1/auth/login',
        body: { username: 'grace', password: 'long enough' },
        status: 200,
        has: { user: { role: 'viewer' } },
        events: ['auth.login'],
      },
      {
        name: 'a password of any characters, of the greatest length',
        as: 'admin',
        path: USERS,
        body: { username: 'emoji', password: '🙂'.repeat(128) },
        status: 201,
        events: ['auth.user_created'],
      },
      {
        name: 'which counts in its other Unicode form too',
        path: '/api/v1/auth/login',
        body: { username: 'emoji', password: '🙂'.repeat(128).normalize('NFD') },
        status: 200,
        events: ['auth.login'],
      },
    ],
    () => tokens,
  )
})

describe('everyone changes their own password', () => {
  const change = { current_password: PASSWORD, password: 'a new one, and long' }
  testRequests(
    () => harness,
    [
      { name: 'not a stranger', path: MY_PASSWORD, body: change, status: 401 },
      {
        name: 'not with a wrong one',
        as: 'viewer',
        path: MY_PASSWORD,
        body: { ...change, current_password: 'wrong password' },
        status: 403,
        has: { title: 'Wrong password' },
        events: ['auth.reauthentication_failed'],
      },
      {
        name: 'not to a common one',
        as: 'viewer',
        path: MY_PASSWORD,
        body: { ...change, password: 'iloveyou1' },
        status: 422,
        has: { errors: [{ pointer: '#/password' }] },
      },
      {
        name: 'not to a short one',
        as: 'viewer',
        path: MY_PASSWORD,
        body: { ...change, password: 'short' },
        status: 422,
        has: { errors: [{ pointer: '#/password' }] },
      },
    ],
    () => tokens,
  )

  test('the new one counts, the old one and the other sessions do not', async () => {
    const other = await harness.logIn('viewer')
    const guarded = async (token: string) =>
      (await harness.request({ path: '/api/v1/models', token })).status
    expect(await guarded(other)).toBe(200)
    const changed = await harness.request({
      path: MY_PASSWORD,
      body: change,
      token: tokens['viewer'],
    })
    expect(changed.status).toBe(204)
    expect(await guarded(tokens['viewer']!)).toBe(200)
    expect(await guarded(other)).toBe(401)
    const old = await harness.request({
      path: '/api/v1/auth/login',
      body: { username: 'viewer', password: PASSWORD },
    })
    expect(old.status).toBe(401)
    await harness.logIn('viewer', 'a new one, and long')
  })
})

test('each role may predict', async () => {
  const body = { model_type: 'classification', features: [{ x1: 1, x2: 2 }] }
  for (const token of [...Object.values(tokens), harness.adminToken]) {
    expect((await harness.request({ path: '/api/v1/predict', body, token })).status).toBe(200)
  }
})
