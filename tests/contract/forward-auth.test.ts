import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { authTables } from '../../src/auth/tables.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'

const FORWARD = '/api/v1/auth/forward'
const GRAFANA = 'https://grafana.example.com'
const PUBLIC_URL = 'https://q.example.com'

/** Names that a header can't have as they are, and one that looks like what it is not. */
const names = {
  zoë: 'zo%C3%AB',
  'Ada "L" Byron, Lady': 'Ada "L" Byron, Lady',
  '100%25': '100%2525',
  李雷: '%E6%9D%8E%E9%9B%B7',
  '🔬': '%F0%9F%94%AC',
}

let harness: Harness
const ids: Record<string, string> = {}
const tokens: Record<string, string> = {}
beforeAll(async () => {
  harness = await openHarness({
    RATE_LIMIT_AUTH: '100000',
    PUBLIC_URL,
    COOKIE_DOMAIN: 'example.com',
    FORWARD_AUTH_ORIGINS: GRAFANA,
    // Lets in nobody who has not said who they are.
    ANONYMOUS_SCOPES: 'forward',
  })
  for (const username of Object.keys(names)) await harness.addAccount({ username })
  for (const role of ['viewer', 'editor', 'admin'] as const) {
    ids[role] = await harness.addAccount({ username: `the ${role}`, role })
    tokens[role] = await harness.logIn(`the ${role}`)
  }
})
afterAll(() => harness.close())

/** @returns a key of a new service account. */
async function program(name: string, scopes = ['forward']): Promise<string> {
  const token = tokens['admin']!
  const path = '/api/v1/service-accounts'
  const made = await harness.request({ path, body: { name, scopes }, token })
  const { id } = (await made.json()) as { id: string }
  const body = { name: 'k', scopes }
  const response = await harness.request({ path: `${path}/${id}/api-keys`, body, token })
  return ((await response.json()) as { key: string }).key
}

async function signIn(username: string): Promise<string> {
  const response = await harness.request({
    path: '/sign-in',
    body: new URLSearchParams({ username, password: PASSWORD }).toString(),
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'sec-fetch-site': 'same-origin',
    },
  })
  expect(response.status).toBe(303)
  return response.headers.get('set-cookie')!
}

const nothingSaid = { 'x-user': null, 'x-role': null, 'x-user-id': null }
const original = {
  accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'grafana.example.com',
  'x-forwarded-uri': '/d/1?a=1&b=x%26y',
}
const signInTo = (address: string) =>
  `${PUBLIC_URL}/sign-in?return_to=${encodeURIComponent(address)}`

describe('it is nobody', () => {
  const stranger = (name: string, headers: Record<string, string>): Row => ({
    name,
    path: FORWARD,
    headers,
    status: 401,
    isEmpty: true,
    answerHeaders: { ...nothingSaid, 'www-authenticate': /^(Bearer|Basic)/ },
  })
  testRequests(
    () => harness,
    [
      stranger('without anything', {}),
      stranger('by what it says itself', { 'x-user': 'admin', 'x-role': 'admin' }),
      stranger('by a bad token', { authorization: 'Bearer x' }),
      stranger('by no token', { authorization: 'Basic YWRtaW46YWRtaW4=' }),
      stranger('by a made-up cookie', {
        cookie: `__Secure-quintet_session=qs_${'a'.repeat(43)}`,
      }),
      stranger('in a browser too, where no redirect is wanted', original),
      { ...stranger('in a program', { accept: '*/*' }), path: `${FORWARD}?redirect=true` },
    ],
  )
})

describe('a browser is led to sign in, and no further than there is leave for', () => {
  const led = (name: string, headers: Record<string, string>, location: string): Row => ({
    name,
    path: `${FORWARD}?redirect=true`,
    headers: { ...original, ...headers },
    status: 302,
    answerHeaders: { location, ...nothingSaid },
  })
  const nowhere = `${PUBLIC_URL}/sign-in`
  testRequests(
    () => harness,
    [
      led('to where it was', {}, signInTo(`${GRAFANA}/d/1?a=1&b=x%26y`)),
      led(
        'with a session that is over',
        { authorization: 'Bearer x' },
        signInTo(`${GRAFANA}/d/1?a=1&b=x%26y`),
      ),
      led('from another host', { 'x-forwarded-host': 'evil.example' }, nowhere),
      led('from another scheme', { 'x-forwarded-proto': 'http' }, nowhere),
      led('by a host in a path', { 'x-forwarded-uri': '@evil.example/' }, nowhere),
      led('by a host that goes on', { 'x-forwarded-uri': '.evil.example/' }, nowhere),
      led('by a script', { 'x-forwarded-proto': 'javascript' }, nowhere),
      led('by a path that is too long', { 'x-forwarded-uri': `/${'x'.repeat(2048)}` }, nowhere),
    ],
  )

  test('where the proxy does not say where it was', async () => {
    const response = await harness.request({
      path: `${FORWARD}?redirect=true`,
      headers: { accept: 'text/html' },
    })
    expect([response.status, response.headers.get('location')]).toEqual([302, nowhere])
  })
})

describe('it refuses', () => {
  testRequests(
    () => harness,
    [
      { name: 'an unknown role', as: 'admin', path: `${FORWARD}?role=root`, status: 422 },
      { name: 'an unknown word', as: 'admin', path: `${FORWARD}?user=admin`, status: 422 },
      { name: 'two roles', as: 'admin', path: `${FORWARD}?role=admin&role=viewer`, status: 422 },
      { name: 'another redirect', as: 'admin', path: `${FORWARD}?redirect=1`, status: 422 },
      { name: 'POST', as: 'admin', method: 'POST', path: FORWARD, status: 405 },
      ...(
        [
          ['viewer', 'editor'],
          ['viewer', 'admin'],
          ['editor', 'admin'],
        ] as const
      ).map(([as, role]): Row => ({
        name: `${as}s where it is for ${role}s, and does not lead them to sign in again`,
        as,
        path: `${FORWARD}?role=${role}&redirect=true`,
        headers: original,
        status: 403,
        isEmpty: true,
        answerHeaders: nothingSaid,
      })),
    ],
    () => tokens,
  )
})

describe('it says who it is', () => {
  const roles = ['viewer', 'editor', 'admin'] as const
  testRequests(
    () => harness,
    roles.flatMap((role, rank) =>
      ['', ...roles.slice(0, rank + 1).map((least) => `?role=${least}`)].map((query): Row => ({
        name: `of the ${role}, asked ${query || 'plainly'}`,
        as: role,
        path: FORWARD + query,
        status: 200,
        answerHeaders: {
          'x-user': `the ${role}`,
          'x-role': role,
          'content-type': null,
          'set-cookie': null,
          'cache-control': 'no-store',
        },
      })),
    ),
    () => tokens,
  )

  test('by id as well, with no body, to HEAD too', async () => {
    for (const method of ['GET', 'HEAD']) {
      const response = await harness.request({ method, path: FORWARD, token: tokens['editor']! })
      expect([response.status, await response.text()]).toEqual([200, ''])
      expect(response.headers.get('x-user-id')).toBe(ids['editor']!)
    }
  })

  test('of a program as of nobody else, whatever its name', async () => {
    await harness.addAccount({ username: 'nightly é' })
    const answers = await Promise.all(
      [await harness.logIn('nightly é'), await program('nightly é')].map((token) =>
        harness.request({ path: FORWARD, token }),
      ),
    )
    expect(answers.map(({ headers }) => [headers.get('x-user'), headers.get('x-role')])).toEqual([
      ['nightly %C3%A9', 'viewer'],
      ['service-account:nightly %C3%A9', 'service-account'],
    ])
    const other = await harness.request({
      path: FORWARD,
      token: await program('other', ['predict']),
    })
    expect([other.status, other.headers.get('x-user')]).toEqual([403, null])
    const body = { username: 'service-account:nightly é', password: PASSWORD }
    const path = '/api/v1/users'
    expect((await harness.request({ path, body, token: tokens['admin']! })).status).toBe(422)
  })

  test.each(Object.entries(names))('of %s, as %s', async (username, encoded) => {
    const response = await harness.request({ path: FORWARD, token: await harness.logIn(username) })
    const header = response.headers.get('x-user')!
    expect(header).toBe(encoded)
    expect(header).toMatch(/^[\u0020-\u007e]+$/)
    expect(decodeURIComponent(header)).toBe(username)
  })

  test('by cookie, which the domain’s other hosts get too', async () => {
    const set = await signIn('zoë')
    expect(set).toMatch(
      /^__Secure-quintet_session=qs_[\w-]{43}; Max-Age=\d+; Path=\/; Domain=example\.com; Secure; HttpOnly; SameSite=Lax$/,
    )
    const headers = {
      cookie: set.split(';')[0]!,
      // The proxy hands on what the original request said of itself.
      'sec-fetch-site': 'cross-site',
      origin: 'https://evil.example',
    }
    const response = await harness.request({ path: FORWARD, headers })
    expect([response.status, response.headers.get('x-user')]).toEqual([200, 'zo%C3%AB'])
  })

  test('as it is now: a new name and role count within a second, and so does being disabled', async () => {
    const id = await harness.addAccount({ username: 'mallory' })
    const token = await harness.logIn('mallory')
    const said = async () => {
      const { status, headers } = await harness.request({ path: FORWARD, token })
      return [status, headers.get('x-user'), headers.get('x-role')]
    }
    expect(await said()).toEqual([200, 'mallory', 'viewer'])
    const { accounts } = authTables(harness.platform.database.kit)
    const set = (change: object) =>
      harness.platform.database.write(async (tx) => {
        await tx.update(accounts).set(change).where(eq(accounts.id, id))
      })
    await set({ username: 'molly', role: 'editor' })
    harness.clock.advance(1000)
    expect(await said()).toEqual([200, 'molly', 'editor'])
    await set({ disabledAt: new Date(harness.clock.now()) })
    harness.clock.advance(1000)
    expect(await said()).toEqual([401, null, null])
  })
})

test('each account has a limit of its own, though one proxy asks for all', async () => {
  const strict = await openHarness({ RATE_LIMIT_FORWARD: '1', RATE_LIMIT_AUTH: '100000' })
  await strict.addAccount({ username: 'ada' })
  await strict.addAccount({ username: 'eve' })
  const [ada, eve] = [await strict.logIn('ada'), await strict.logIn('eve')]
  const statusFor = async (token?: string) => {
    const response = await strict.request({ path: FORWARD, token })
    expect(await response.text()).toBe('')
    return response.status
  }
  expect([await statusFor(ada), await statusFor(eve), await statusFor()]).toEqual([200, 200, 401])
  expect([await statusFor(ada), await statusFor(eve), await statusFor()]).toEqual([429, 429, 429])
  await strict.close()
})
