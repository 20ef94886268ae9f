import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { refusal } from '../support/refusal.ts'
import { testRequests } from '../support/request-table.ts'

const NOBODY = `/api/v1/users/${Bun.randomUUIDv7()}/sessions`

let harness: Harness
let adaId: string
const tokens: Record<string, string> = {}
beforeAll(async () => {
  harness = await openHarness()
  adaId = await harness.addAccount({ username: 'ada' })
  await harness.addAccount({ username: 'eve', role: 'editor' })
  tokens['ada'] = await harness.logIn('ada')
  tokens['eve'] = await harness.logIn('eve')
})
afterAll(() => harness.close())

const sessionsOf = (id: string) => `/api/v1/users/${id}/sessions`

describe('a user’s sessions', () => {
  testRequests(
    () => harness,
    [
      { name: 'are not for everyone to see', path: NOBODY, status: 401 },
      { name: 'are for administrators to see', as: 'eve', path: NOBODY, status: 403 },
      {
        name: 'are for administrators to end',
        as: 'eve',
        method: 'DELETE',
        path: NOBODY,
        status: 403,
      },
      { name: 'of nobody are not seen', as: 'admin', path: NOBODY, status: 404 },
      { name: 'of nobody are not ended', as: 'admin', method: 'DELETE', path: NOBODY, status: 404 },
    ],
    () => tokens,
  )

  test('are listed, without what they could be used by', async () => {
    await harness.logIn('ada')
    const response = await harness.request({ path: sessionsOf(adaId), token: harness.adminToken })
    const text = await response.text()
    expect(response.status).toBe(200)
    expect(JSON.parse(text)).toEqual({
      sessions: Array.from({ length: 2 }, () => ({
        id: expect.any(String),
        created_at: expect.any(String),
        used_at: expect.any(String),
        expires_at: expect.any(String),
        device: null,
        address: '203.0.113.7',
      })),
    })
  })

  test('ASVS 7.4.5: are ended by an administrator, all of them at once and nobody else’s', async () => {
    const second = await harness.logIn('ada')
    const me = (token: string | undefined) => harness.request({ path: '/api/v1/me', token })
    for (const token of [tokens['ada'], second]) expect((await me(token)).status).toBe(200)
    await harness.published()
    const before = harness.events.length
    const ended = await harness.request({
      method: 'DELETE',
      path: sessionsOf(adaId),
      token: harness.adminToken,
    })
    expect(ended.status).toBe(204)
    for (const token of [tokens['ada'], second]) expect((await me(token)).status).toBe(401)
    expect((await me(tokens['eve'])).status).toBe(200)
    await harness.published()
    const told = harness.events.slice(before)
    expect(told.map(({ type }) => type)).toEqual(told.map(() => 'auth.logout'))
    expect(told).toHaveLength(3)
    const left = await harness.request({ path: sessionsOf(adaId), token: harness.adminToken })
    expect(await left.json()).toEqual({ sessions: [] })
  })
})

describe('ASVS 7.4.5: who has the machine', () => {
  let one: Harness
  let other: Harness
  beforeAll(async () => {
    one = await openHarness()
    const { DATA_DIR, DATABASE_URL } = one.platform.config
    other = await openHarness(DATABASE_URL === undefined ? { DATA_DIR } : { DATABASE_URL })
    for (const username of ['ada', 'eve']) await one.addAccount({ username })
  })
  afterAll(async () => {
    await other.close()
    await one.close()
  })

  interface Held {
    token: string
    refresh_token: string
    cookie: string
  }
  /** All that somebody could come back by. */
  async function hold(username: string): Promise<Held> {
    const login = { path: '/api/v1/auth/login', body: { username, password: PASSWORD } }
    const grant = (await (await one.request(login)).json()) as Omit<Held, 'cookie'>
    const page = await one.request({
      path: '/sign-in',
      body: new URLSearchParams({ username, password: PASSWORD }).toString(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        origin: 'http://localhost:8080',
      },
    })
    return { ...grant, cookie: page.headers.get('set-cookie')!.split(';')[0]! }
  }
  /** At the instance that did not do it, where each was known a moment before. */
  async function statusesOf({ token, refresh_token, cookie }: Held): Promise<number[]> {
    const path = '/api/v1/models'
    const answers = [
      await other.request({ path, token }),
      await other.request({ path, headers: { cookie } }),
      await other.request({ path: '/api/v1/auth/refresh', body: { refresh_token } }),
    ]
    return answers.map(({ status }) => status)
  }
  const known = async ({ token, cookie }: Held) => {
    for (const asked of [{ token }, { headers: { cookie } }]) {
      expect((await other.request({ path: '/api/v1/models', ...asked })).status).toBe(200)
    }
  }
  const later = () => {
    for (const { clock } of [one, other]) clock.advance(1000)
  }

  test('ends the sessions of one user, whatever the case, and nobody else’s', async () => {
    const [ada, eve] = [await hold('ada'), await hold('eve')]
    for (const each of [ada, eve]) await known(each)
    expect(await one.app.auth.endSessions({ username: 'ADA' })).toBe(2)
    later()
    expect(await statusesOf(ada)).toEqual([401, 401, 401])
    expect(await statusesOf(eve)).toEqual([200, 200, 200])
  })

  test('ends the sessions of everybody, on every instance, and the audit tells of each', async () => {
    const people = [await hold('ada'), await hold('eve')]
    for (const each of people) await known(each)
    await one.published()
    const before = one.events.length
    const ended = await one.app.auth.endSessions('everybody')
    expect(ended).toBeGreaterThanOrEqual(4)
    later()
    for (const each of people) expect(await statusesOf(each)).toEqual([401, 401, 401])
    const asked = { path: '/api/v1/models', token: one.adminToken }
    expect((await other.request(asked)).status).toBe(401)
    await one.published()
    const told = one.events.slice(before).filter(({ type }) => type === 'auth.logout')
    expect(told).toHaveLength(ended)
    expect(told[0]!.data).toMatchObject({ actor_id: null })
    expect(await one.app.auth.endSessions('everybody')).toBe(0)
    expect((await one.logIn('ada')).length).toBeGreaterThan(100)
  })

  test('is told where there is nobody of that name', async () => {
    expect(String(await refusal(one.app.auth.endSessions({ username: 'nobody' })))).toContain(
      'There is no user "nobody".',
    )
  })
})
