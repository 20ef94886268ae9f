import { afterAll, beforeAll, describe, expect, spyOn, test } from 'bun:test'

import { type Harness, openHarness } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'
import { strangeMemberRows, userFieldRows } from '../support/user-field-rows.ts'

const SIGNUP = '/api/v1/auth/signup'
const PASSWORD = 'a good long one'
const ada = { username: 'Ada', email: 'ada@example.com', password: PASSWORD }

let closed: Harness
let harness: Harness
beforeAll(async () => {
  closed = await openHarness()
  harness = await openHarness({ SIGNUP: 'open', RATE_LIMIT_AUTH: '100000' })
  await harness.addAccount({ username: 'Eve', email: 'eve@example.com' })
})
afterAll(async () => {
  await closed.close()
  await harness.close()
})

const signUp = (body: object) => harness.request({ path: SIGNUP, body })

describe('where sign-up is closed, as it is unless said otherwise', () => {
  const refused = {
    status: 403,
    has: { title: 'Sign-up closed', type: '/docs/problems#auth/signup-closed' },
  }
  testRequests(
    () => closed,
    [
      { name: 'nobody signs up', path: SIGNUP, body: ada, ...refused },
      {
        name: 'nor does it tell which names are taken',
        path: SIGNUP,
        body: { ...ada, username: 'admin' },
        ...refused,
      },
      { name: 'nor by a token', as: 'admin', path: SIGNUP, body: ada, ...refused },
    ],
  )
})

describe('signing up refuses', () => {
  const request = { path: SIGNUP }
  testRequests(
    () => harness,
    [
      { name: 'no body', method: 'POST', path: SIGNUP, status: 415 },
      { name: 'an empty object', path: SIGNUP, body: {}, status: 422 },
      { name: 'an array', path: SIGNUP, body: [ada], status: 422 },
      { name: 'to be asked by GET', path: SIGNUP, status: 405 },
      { name: 'a body without end', path: SIGNUP, body: 'x'.repeat(17_000), status: 413 },
      ...userFieldRows(request, ['username', 'email', 'password'], ada),
      ...strangeMemberRows(
        request,
        {
          role: 'admin',
          roles: ['admin'],
          id: 'chosen',
          scope: 'users:write',
          is_admin: true,
          disabled: false,
          password_hash: '$2b$04$x',
          email_verified: true,
        },
        ada,
      ),
      {
        name: 'a user name that is taken, in whatever case',
        path: SIGNUP,
        body: { ...ada, username: 'EVE' },
        status: 409,
        has: { title: 'Name taken' },
      },
    ],
  )
})

describe('who signs up', () => {
  testRequests(
    () => harness,
    [
      {
        name: 'is a viewer',
        path: SIGNUP,
        body: ada,
        status: 201,
        has: { username: 'Ada', role: 'viewer' },
        mustNotContain: [PASSWORD, 'hash', 'example.com'],
        events: ['auth.user_created'],
      },
      {
        name: 'may log in, by the address too',
        path: '/api/v1/auth/login',
        body: { username: 'ADA@example.com', password: PASSWORD },
        status: 200,
        has: { user: { username: 'Ada', role: 'viewer' } },
        events: ['auth.login'],
      },
      {
        name: 'may do so from R',
        path: SIGNUP,
        body: { username: ['rita'], email: {}, password: [PASSWORD] },
        status: 201,
        events: ['auth.user_created'],
      },
    ],
  )

  test('with a taken address gets the same answer, after as many hashes, and not the address', async () => {
    const spy = spyOn(Bun.password, 'hash')
    const answers: object[] = []
    for (const [username, email] of [
      ['free', 'free@example.com'],
      ['late', 'EVE@example.com'],
    ]) {
      spy.mockClear()
      const response = await signUp({ username, email, password: PASSWORD })
      const { id, ...rest } = (await response.json()) as Record<string, string>
      expect(id).toMatch(/^[0-9a-f-]{36}$/)
      expect(rest).toEqual({ username: username!, role: 'viewer' })
      const { status, headers } = response
      const names = [...headers.keys()].toSorted()
      answers.push({ status, names, members: Object.keys(rest), hashes: spy.mock.calls.length })
    }
    spy.mockRestore()
    expect(answers[1]).toEqual(answers[0])
    const token = await harness.logIn('late', PASSWORD)
    const mine = await harness.request({ path: '/api/v1/me', token })
    expect(await mine.json()).toMatchObject({ username: 'late', email: null })
    const eve = await harness.request({
      path: '/api/v1/auth/login',
      body: { username: 'eve@example.com', password: PASSWORD },
    })
    expect(eve.status).toBe(401)
  })

  test('of many at once with one name one gets it', async () => {
    const body = { username: 'sought', password: PASSWORD }
    const answers = await Promise.all(Array.from({ length: 6 }, () => signUp(body)))
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 201)).toHaveLength(1)
    expect(statuses.filter((status) => status === 409)).toHaveLength(5)
  })

  test('of many at once with one address all get an account and one the address', async () => {
    const email = 'shared@example.com'
    const names = ['one', 'two', 'three', 'four']
    const answers = await Promise.all(
      names.map((username) => signUp({ username, email, password: PASSWORD })),
    )
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201])
    const addresses = await Promise.all(
      names.map(async (name) => {
        const token = await harness.logIn(name, PASSWORD)
        const mine = await harness.request({ path: '/api/v1/me', token })
        return ((await mine.json()) as { email: string | null }).email
      }),
    )
    expect(addresses.filter((address) => address !== null)).toEqual([email])
  })
})

test('who tries too often is told to wait', async () => {
  const fresh = await openHarness({ SIGNUP: 'open', RATE_LIMIT_AUTH: '1' })
  await fresh.request({ path: SIGNUP, body: ada })
  expect((await fresh.request({ path: SIGNUP, body: ada })).status).toBe(429)
  await fresh.close()
})
