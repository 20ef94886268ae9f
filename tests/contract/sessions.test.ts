import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'
import { decodeJwt } from 'jose'

import { authTables } from '../../src/auth/tables.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'

const LOGIN = '/api/v1/auth/login'
const REFRESH = '/api/v1/auth/refresh'
const LOGOUT = '/api/v1/auth/logout'
const SESSIONS = '/api/v1/auth/sessions'
const DAY_MS = 86_400_000
const INVALID = { title: 'Invalid refresh token', status: 401 }

interface Grant {
  token: string
  refresh_token: string
  expires_in: number
}

let harness: Harness
const opened: Harness[] = []
async function open(settings: Record<string, string> = {}): Promise<Harness> {
  const made = await openHarness({ RATE_LIMIT_AUTH: '100000', ...settings })
  opened.push(made)
  await made.addAccount({ username: 'ada' })
  await made.addAccount({ username: 'eve' })
  return made
}
beforeAll(async () => {
  harness = await open()
})
afterAll(async () => {
  for (const each of opened) await each.close()
})

const tables = () => authTables(harness.platform.database.kit)

async function logIn(username = 'ada', at = harness): Promise<Grant> {
  const response = await at.request({
    path: LOGIN,
    body: { username, password: PASSWORD },
    headers: { 'user-agent': 'httr2/1.1.0' },
  })
  expect(response.status).toBe(200)
  return (await response.json()) as Grant
}
const refresh = (token: string, at = harness) =>
  at.request({ path: REFRESH, body: { refresh_token: token } })
async function refreshed(token: string, at = harness): Promise<Grant> {
  const response = await refresh(token, at)
  expect(response.status).toBe(200)
  return (await response.json()) as Grant
}
async function expectRefused(token: string, at = harness): Promise<void> {
  const response = await refresh(token, at)
  expect(await response.json()).toMatchObject(INVALID)
  expect(response.status).toBe(401)
}
const isAccepted = async (token: string, at = harness) => {
  const { status } = await at.request({ path: '/api/v1/models', token })
  return status === 200
}
async function eventCount(): Promise<number> {
  await harness.published()
  return harness.events.length
}
/** What has happened since. */
async function eventsSince(count: number): Promise<string[]> {
  await harness.published()
  return harness.events.slice(count).map(({ type }) => type)
}

describe('refresh refuses', () => {
  testRequests(
    () => harness,
    [
      { name: 'no body', method: 'POST', path: REFRESH, status: 415 },
      { name: 'no token', path: REFRESH, body: {}, status: 422 },
      { name: 'a number', path: REFRESH, body: { refresh_token: 7 }, status: 422 },
      {
        name: 'an unknown member',
        path: REFRESH,
        body: { refresh_token: 'x', role: 'admin' },
        status: 422,
      },
      {
        name: 'one that is too long',
        path: REFRESH,
        body: { refresh_token: 'x'.repeat(4097) },
        status: 422,
      },
      {
        name: 'what is none',
        path: REFRESH,
        body: { refresh_token: 'qrt_x' },
        status: 401,
        has: INVALID,
      },
      { name: 'by GET', path: REFRESH, status: 405, answerHeaders: { allow: 'POST' } },
    ],
  )

  test('an access token', async () => {
    await expectRefused((await logIn()).token)
  })

  test('a refresh token as a bearer token', async () => {
    expect(await isAccepted((await logIn()).refresh_token)).toBe(false)
  })
})

describe('refresh', () => {
  test('answers a token for 15 minutes and the next refresh token', async () => {
    const first = await logIn()
    expect(first.expires_in).toBe(86_400)
    const response = await refresh(first.refresh_token)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const next = (await response.json()) as Grant
    expect(Object.keys(next).toSorted()).toEqual(['expires_in', 'refresh_token', 'token'])
    expect(next.expires_in).toBe(900)
    const { exp, iat, sid } = decodeJwt(next.token)
    expect(exp! - iat!).toBe(900)
    expect(sid).toBe(decodeJwt(first.token)['sid'])
    expect(next.refresh_token).not.toBe(first.refresh_token)
    expect(await isAccepted(next.token)).toBe(true)
    expect(await isAccepted(first.token)).toBe(true)
  })

  test('takes a length-1 array, as R writes a string', async () => {
    const { refresh_token } = await logIn()
    const body = { refresh_token: [refresh_token] }
    expect((await harness.request({ path: REFRESH, body })).status).toBe(200)
  })

  test('stores hashes only', async () => {
    const first = await logIn()
    const next = await refreshed(first.refresh_token)
    const rows = JSON.stringify(
      await harness.platform.database.read.select().from(tables().sessions),
    )
    for (const token of [first.refresh_token, next.refresh_token]) {
      expect(rows).not.toContain(token.slice(4))
    }
  })

  test('RFC 9700 §4.14.2: of 50 at once by one token gives one next token', async () => {
    const { refresh_token } = await logIn()
    const grants = await Promise.all(Array.from({ length: 50 }, () => refreshed(refresh_token)))
    expect(new Set(grants.map((each) => each.refresh_token)).size).toBe(1)
    await refreshed(grants[0]!.refresh_token)
  })

  test('by the immediate parent gives the same one for 10 seconds', async () => {
    const { refresh_token } = await logIn()
    const next = await refreshed(refresh_token)
    harness.clock.advance(9999)
    expect((await refreshed(refresh_token)).refresh_token).toBe(next.refresh_token)
    await refreshed(next.refresh_token)
  })

  test('RFC 9700 §4.14.2: by a token that was used before ends the session after 10 seconds', async () => {
    const first = await logIn()
    const next = await refreshed(first.refresh_token)
    const before = await eventCount()
    harness.clock.advance(10_000)
    await expectRefused(first.refresh_token)
    expect(await eventsSince(before)).toEqual(['auth.refresh_reused'])
    await expectRefused(next.refresh_token)
    for (const { token } of [first, next]) expect(await isAccepted(token)).toBe(false)
  })

  test('RFC 9700 §4.14.2: by a grandparent ends the session at once, also within the grace', async () => {
    const first = await logIn()
    const second = await refreshed(first.refresh_token)
    const third = await refreshed(second.refresh_token)
    await expectRefused(first.refresh_token)
    await expectRefused(third.refresh_token)
  })

  test('by a made-up token ends nobody’s session', async () => {
    const first = await logIn()
    const changed = first.refresh_token.replace(/.$/, (last) => (last === 'Q' ? 'g' : 'Q'))
    await expectRefused(changed)
    await refreshed(first.refresh_token)
  })

  test('leaves other sessions of the account alone when one ends', async () => {
    const [one, other] = [await logIn(), await logIn()]
    const next = await refreshed(one.refresh_token)
    await refreshed(next.refresh_token)
    await expectRefused(one.refresh_token)
    await refreshed(other.refresh_token)
  })
})

describe('a session ends', () => {
  let short: Harness
  beforeAll(async () => {
    short = await open({ SESSION_TTL_SECONDS: '200000', SESSION_IDLE_SECONDS: '90000' })
  })

  test('RFC 9700 §4.14.2: when it was idle for too long', async () => {
    const { refresh_token } = await logIn('ada', short)
    short.clock.advance(89_999_000)
    const next = await refreshed(refresh_token, short)
    short.clock.advance(90_000_000)
    await expectRefused(next.refresh_token, short)
  })

  test('when its time is over, however often it is refreshed; no token outlives it', async () => {
    let grant = await logIn('ada', short)
    for (const ms of [80_000_000, 80_000_000, 39_990_000]) {
      short.clock.advance(ms)
      grant = await refreshed(grant.refresh_token, short)
    }
    expect(grant.expires_in).toBeWithin(1, 11)
    short.clock.advance(10_000)
    await expectRefused(grant.refresh_token, short)
    expect(await isAccepted(grant.token, short)).toBe(false)
  })

  test('when the account is disabled, also for a token that is remembered', async () => {
    const { token, refresh_token } = await logIn('eve')
    expect(await isAccepted(token)).toBe(true)
    const disabledAt = new Date(harness.clock.now())
    const { accounts } = tables()
    const disable = (since: Date | null) =>
      harness.platform.database.write(async (tx) => {
        await tx.update(accounts).set({ disabledAt: since }).where(eq(accounts.username, 'eve'))
      })
    await disable(disabledAt)
    harness.clock.advance(1000)
    expect(await isAccepted(token)).toBe(false)
    await expectRefused(refresh_token)
    const logInAgain = async (password: string) =>
      (await harness.request({ path: LOGIN, body: { username: 'eve', password } })).status
    expect(await logInAgain(PASSWORD)).toBe(403)
    expect(await logInAgain('wrong password')).toBe(401)
    await disable(null)
  })

  test('RFC 9700 §4.14.2: when the password is changed, but for the one that changed it', async () => {
    const made = await open()
    const [mine, other] = [await logIn('ada', made), await logIn('ada', made)]
    const body = { current_password: PASSWORD, password: 'another long password' }
    const changed = await made.request({ path: '/api/v1/me/password', token: mine.token, body })
    expect(changed.status).toBe(204)
    await refreshed(mine.refresh_token, made)
    await expectRefused(other.refresh_token, made)
  })

  test('when there are too many of an account, the oldest first', async () => {
    const made = await open({ SESSIONS_PER_ACCOUNT_MAX: '3' })
    const grants: Grant[] = []
    for (let n = 0; n < 5; n++) {
      grants.push(await logIn('ada', made))
      made.clock.advance(1)
    }
    const eve = await logIn('eve', made)
    for (const { refresh_token } of grants.slice(0, 2)) await expectRefused(refresh_token, made)
    for (const { refresh_token } of [...grants.slice(2), eve]) await refreshed(refresh_token, made)
  })
})

describe('logging out', () => {
  testRequests(
    () => harness,
    [
      { name: 'without a token', method: 'POST', path: LOGOUT, status: 401 },
      { name: 'with a token that is none', method: 'POST', path: LOGOUT, as: 'x', status: 401 },
    ],
  )

  test('ends the session at once, and no other', async () => {
    const [mine, other] = [await logIn(), await logIn()]
    const next = await refreshed(mine.refresh_token)
    const before = await eventCount()
    const response = await harness.request({ method: 'POST', path: LOGOUT, token: next.token })
    expect(response.status).toBe(204)
    expect(await eventsSince(before)).toEqual(['auth.logout'])
    for (const { token } of [mine, next]) expect(await isAccepted(token)).toBe(false)
    await expectRefused(next.refresh_token)
    expect(await isAccepted(other.token)).toBe(true)
  })
})

describe('my sessions', () => {
  let mine: Grant
  let other: Grant
  let eves: Grant
  const idOf = ({ token }: Grant) => decodeJwt(token)['sid'] as string
  beforeEach(async () => {
    await harness.platform.database.write(async (tx) => {
      await tx.delete(tables().sessions)
    })
    other = await logIn()
    harness.clock.advance(1)
    mine = await logIn()
    eves = await logIn('eve')
  })
  const list = async (token: string) => {
    const response = await harness.request({ path: SESSIONS, token })
    expect(response.status).toBe(200)
    return ((await response.json()) as { sessions: Record<string, unknown>[] }).sessions
  }
  const end = async (token: string, id: string) =>
    (await harness.request({ method: 'DELETE', path: `${SESSIONS}${id}`, token })).status

  test('are listed with device and last use, and nobody else’s', async () => {
    const time = new Date(harness.clock.now()).toISOString()
    expect(await list(mine.token)).toEqual([
      {
        id: idOf(mine),
        created_at: time,
        used_at: time,
        expires_at: new Date(harness.clock.now() + 30 * DAY_MS).toISOString(),
        device: 'httr2/1.1.0',
        address: '203.0.113.7',
        current: true,
      },
      expect.objectContaining({ id: idOf(other), current: false }),
    ])
  })

  test('are ended one by one, and only mine', async () => {
    expect(await end(mine.token, `/${idOf(eves)}`)).toBe(404)
    expect(await isAccepted(eves.token)).toBe(true)
    expect(await end(mine.token, '/none')).toBe(404)
    expect(await end(mine.token, `/${idOf(other)}`)).toBe(204)
    expect(await isAccepted(other.token)).toBe(false)
    expect(await list(mine.token)).toHaveLength(1)
  })

  test('are ended all but the one that asks', async () => {
    const before = await eventCount()
    expect(await end(mine.token, '')).toBe(204)
    expect(await eventsSince(before)).toEqual(['auth.logout'])
    expect(await isAccepted(other.token)).toBe(false)
    for (const { token } of [mine, eves]) expect(await isAccepted(token)).toBe(true)
  })

  test('make room for newer ones, which the audit tells from a logout', async () => {
    const limited = await openHarness({ SESSIONS_PER_ACCOUNT_MAX: '1' })
    const first = limited.adminToken
    const token = await limited.logIn('admin')
    const list = await limited.request({ path: '/api/v1/audit?type=auth.logout', token })
    expect(await list.json()).toMatchObject({
      entries: [{ actor: { kind: 'server' }, details: { reason: 'evicted' } }],
    })
    expect((await limited.request({ path: '/api/v1/me', token: first })).status).toBe(401)
    await limited.close()
  })

  test('show a name of a device that is no longer than it may be', async () => {
    const response = await harness.request({
      path: LOGIN,
      body: { username: 'ada', password: PASSWORD },
      headers: { 'user-agent': 'x'.repeat(1000) },
    })
    const [newest] = await list(((await response.json()) as Grant).token)
    expect(newest!['device']).toBe('x'.repeat(256))
  })
})

test('LOGIN_TOKEN=short makes a token from login live as long as one from a refresh', async () => {
  const made = await open({ LOGIN_TOKEN: 'short', REFRESHED_TOKEN_TTL_SECONDS: '600' })
  const { refresh_token, expires_in } = await logIn('ada', made)
  expect([expires_in, (await refreshed(refresh_token, made)).expires_in]).toEqual([600, 600])
})
