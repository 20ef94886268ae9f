import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'
import { generateSync } from 'otplib'

import { authTables } from '../../src/auth/tables.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'

const SIGN_IN = '/sign-in'
const SIGN_OUT = '/sign-out'
const ACCOUNT = '/account'
const SESSIONS = '/api/v1/auth/sessions'
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const GRAFANA = 'https://grafana.example.com'
const WRONG = 'The user name or the password is wrong.'

/** What a browser sends with a form of a page of ours. */
const form = {
  'content-type': 'application/x-www-form-urlencoded',
  'sec-fetch-site': 'same-origin',
  'user-agent': 'Firefox',
}
const ofAda = `username=ada&password=${encodeURIComponent(PASSWORD)}`

let harness: Harness
let adaId: string
const opened: Harness[] = []
async function open(settings: Record<string, string> = {}): Promise<Harness> {
  const made = await openHarness({
    RATE_LIMIT_AUTH: '100000',
    FORWARD_AUTH_ORIGINS: GRAFANA,
    ...settings,
  })
  opened.push(made)
  const id = await made.addAccount({ username: 'ada', email: 'ada@example.com' })
  adaId ??= id
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

/** Signs in as a browser does. @returns what it would send as `Cookie` from then on. */
async function signIn(username = 'ada', at = harness, cookie?: string): Promise<string> {
  const response = await at.request({
    path: SIGN_IN,
    body: `username=${username}&password=${encodeURIComponent(PASSWORD)}`,
    headers: { ...form, ...(cookie === undefined ? {} : { cookie }) },
  })
  expect(response.status).toBe(303)
  return response.headers.get('set-cookie')!.split(';')[0]!
}
const ask = (cookie: string, path = SESSIONS, at = harness) =>
  at.request({ path, headers: { cookie } })
const isKnown = async (cookie: string, at = harness) =>
  (await ask(cookie, '/api/v1/models', at)).status === 200
const act = (cookie: string, path: string, body: string, at = harness) =>
  at.request({ path, body, headers: { ...form, cookie } })

interface Listed {
  id: string
  device: string | null
  used_at: string
  current: boolean
}
const sessionsOf = async (cookie: string) =>
  ((await (await ask(cookie)).json()) as { sessions: Listed[] }).sessions

describe('sign-in refuses', () => {
  const refused = (row: Partial<Row> & Pick<Row, 'name' | 'status'>): Row => ({
    path: SIGN_IN,
    body: ofAda,
    headers: form,
    isPage: true,
    mustNotContain: [PASSWORD, encodeURIComponent(PASSWORD), 'set-cookie'],
    ...row,
  })
  const missing = ['Type your user name, or your e-mail address, and your password.']
  testRequests(
    () => harness,
    [
      refused({ name: 'no body', method: 'POST', body: '', status: 422, contains: missing }),
      refused({
        name: 'JSON, which a page of another site could not send, and no form sends',
        body: { username: 'ada', password: PASSWORD },
        headers: { ...form, 'content-type': 'application/json' },
        status: 415,
      }),
      refused({ name: 'no password', body: 'username=ada', status: 422, contains: missing }),
      refused({ name: 'an empty password', body: 'username=ada&password=', status: 422 }),
      refused({ name: 'an empty name', body: 'username=&password=x', status: 422 }),
      refused({ name: 'an unknown field', body: `${ofAda}&role=admin`, status: 422 }),
      refused({ name: 'a field that stands twice', body: `${ofAda}&username=eve`, status: 422 }),
      refused({
        name: 'a name that is too long',
        body: `username=${'x'.repeat(321)}&password=x`,
        status: 422,
      }),
      refused({
        name: 'a form that is too long',
        body: `username=ada&password=${'x'.repeat(17_000)}`,
        status: 413,
      }),
      refused({
        name: 'a wrong password, and shows the name again',
        body: 'username=%3Cada%3E&password=wrong-secret',
        status: 401,
        contains: [WRONG, 'value="&lt;ada&gt;"'],
        mustNotContain: ['wrong-secret', '<ada>', 'set-cookie'],
        events: ['auth.login_failed'],
      }),
      refused({
        name: 'a wrong password of somebody that there is, by the same words',
        body: 'username=ada&password=wrong-secret',
        status: 401,
        contains: [WRONG],
        events: ['auth.login_failed'],
      }),
      refused({
        name: 'a form of another site (login CSRF)',
        headers: { ...form, 'sec-fetch-site': 'cross-site' },
        status: 403,
        contains: ['not sent by a page of this server'],
      }),
      refused({
        name: 'a form of another host of the domain',
        headers: { ...form, 'sec-fetch-site': 'same-site' },
        status: 403,
      }),
      refused({
        name: 'a form of nobody knows where',
        headers: { 'content-type': form['content-type'] },
        status: 403,
      }),
      { name: 'by PUT', method: 'PUT', path: SIGN_IN, status: 405 },
    ],
  )

  test('somebody who is disabled, and says so to who knows the password', async () => {
    const at = await open()
    const { accounts } = authTables(at.platform.database.kit)
    await at.platform.database.write(async (tx) => {
      await tx
        .update(accounts)
        .set({ disabledAt: new Date(at.clock.now()) })
        .where(eq(accounts.username, 'ada'))
    })
    const right = await at.request({ path: SIGN_IN, body: ofAda, headers: form })
    expect([right.status, await right.text()]).toEqual([
      403,
      expect.stringContaining('Account disabled. Ask an administrator.'),
    ])
    expect(right.headers.get('set-cookie')).toBeNull()
    const wrong = await at.request({
      path: SIGN_IN,
      body: 'username=ada&password=wrong',
      headers: form,
    })
    expect([wrong.status, await wrong.text()]).toEqual([401, expect.stringContaining(WRONG)])
  })

  test('too many guesses from one address, with a page that says when to come back', async () => {
    const at = await open({ RATE_LIMIT_AUTH: '1' })
    const guess = () =>
      at.request({ path: SIGN_IN, body: 'username=ada&password=wrong', headers: form })
    expect((await guess()).status).toBe(401)
    const refused = await guess()
    expect([refused.status, refused.headers.get('content-type')]).toEqual([
      429,
      'text/html; charset=utf-8',
    ])
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(await refused.text()).toContain('Try again in')
  })
})

describe('sign-in', () => {
  testRequests(
    () => harness,
    [
      {
        name: 'shows a form that needs no script, and one for passkeys that does',
        path: SIGN_IN,
        status: 200,
        contains: [
          '<form method="post" action="/sign-in"',
          'autocomplete="current-password"',
          '<form method="post" action="/sign-in/passkey" class="stack" hidden',
        ],
        answerHeaders: {
          'content-security-policy': /script-src 'sha256-[^']+';.*form-action 'self';/,
          'cache-control': 'no-store',
          'set-cookie': null,
        },
      },
      {
        name: 'gives a cookie, and leads to the account',
        path: SIGN_IN,
        body: ofAda,
        headers: form,
        status: 303,
        answerHeaders: {
          location: '/account',
          'set-cookie':
            /^quintet_session=qs_[\w-]{43}; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/,
          'cache-control': 'no-store',
        },
        mustNotContain: ['eyJ', 'qrt_'],
        events: ['auth.login'],
      },
      {
        name: 'leads back to where it was asked for',
        path: `${SIGN_IN}?return_to=${encodeURIComponent('/docs?a=1&b=2')}`,
        body: ofAda,
        headers: form,
        status: 303,
        answerHeaders: { location: '/docs?a=1&b=2' },
        events: ['auth.login'],
      },
      {
        name: 'leads to an application behind forward-auth',
        path: `${SIGN_IN}?return_to=${encodeURIComponent(`${GRAFANA}/d/1`)}`,
        body: ofAda,
        headers: form,
        status: 303,
        answerHeaders: { location: `${GRAFANA}/d/1` },
        events: ['auth.login'],
      },
      {
        name: 'lets the form lead there: browsers hold redirects to the same rule',
        path: `${SIGN_IN}?return_to=${encodeURIComponent(`${GRAFANA}/d/1`)}`,
        status: 200,
        contains: ['action="/sign-in?return_to=https%3A%2F%2Fgrafana.example.com%2Fd%2F1"'],
        answerHeaders: { 'content-security-policy': /form-action 'self' https:\/\/grafana/ },
      },
      ...['//evil.example', 'https://evil.example', '/\\evil.example', '/%09/evil.example'].map(
        (address): Row => ({
          name: `is no open redirect to ${address}`,
          path: `${SIGN_IN}?return_to=${address}`,
          body: ofAda,
          headers: form,
          status: 303,
          answerHeaders: { location: '/account' },
          mustNotContain: ['evil'],
          events: ['auth.login'],
        }),
      ),
      {
        name: 'says nothing of a place that it does not lead to',
        path: `${SIGN_IN}?return_to=https://evil.example`,
        status: 200,
        mustNotContain: ['evil'],
      },
      {
        name: 'keeps where to return over a refusal',
        path: `${SIGN_IN}?return_to=/docs`,
        body: 'username=ada',
        headers: form,
        status: 422,
        isPage: true,
        contains: ['action="/sign-in?return_to=%2Fdocs"'],
      },
    ],
  )

  test('over https the cookie is for this host alone, and a domain must be set for more', async () => {
    const https = await open({ PUBLIC_URL: 'https://q.example.com' })
    const cookie = await signIn('ada', https)
    expect(cookie).toStartWith('__Host-quintet_session=')
    expect(await isKnown(cookie, https)).toBe(true)
    expect(await isKnown(cookie.replace('__Host-', ''), https)).toBe(false)
  })

  test('stores a hash only', async () => {
    const cookie = await signIn()
    const rows = await harness.platform.database.read.select().from(tables().sessions)
    const text = JSON.stringify(rows)
    expect(text).not.toContain(cookie.split('=')[1]!)
    expect(harness.lines.join('\n')).not.toContain(cookie.split('=')[1]!)
  })

  test('session fixation: each sign-in gives another secret and ends the session before it', async () => {
    const first = await signIn()
    const second = await signIn('ada', harness, first)
    expect(second).not.toBe(first)
    expect([await isKnown(first), await isKnown(second)]).toEqual([false, true])
    const planted = `quintet_session=qs_${'a'.repeat(43)}`
    expect(await signIn('ada', harness, planted)).not.toBe(planted)
    expect(await isKnown(planted)).toBe(false)
  })

  test('a failed sign-in leaves the session that there is', async () => {
    const cookie = await signIn()
    expect((await act(cookie, SIGN_IN, 'username=ada&password=wrong')).status).toBe(401)
    expect(await isKnown(cookie)).toBe(true)
  })
})

describe('a session by cookie', () => {
  test('stands for somebody who has logged in', async () => {
    const me = await ask(await signIn(), '/api/v1/me')
    expect(await me.json()).toMatchObject({ username: 'ada', role: 'viewer' })
    expect(me.headers.get('set-cookie')).toBeNull()
  })

  test('is in the list with the others, with the browser’s name', async () => {
    const cookie = await signIn('eve')
    const token = await harness.logIn('eve')
    const listed = await sessionsOf(cookie)
    expect(listed.map(({ device, current }) => ({ device, current }))).toEqual([
      { device: null, current: false },
      { device: 'Firefox', current: true },
    ])
    const response = await harness.request({
      method: 'DELETE',
      path: `${SESSIONS}/${listed[1]!.id}`,
      token,
    })
    expect(response.status).toBe(204)
    expect(await isKnown(cookie)).toBe(false)
  })

  test('may change what a page of the same origin asks for, and nothing else', async () => {
    const cookie = await signIn()
    const patch = (headers: Record<string, string>) =>
      harness.request({
        method: 'PATCH',
        path: '/api/v1/me',
        body: { email: 'ada@example.com' },
        headers: { cookie, ...headers },
      })
    expect((await patch({ 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect((await patch({})).status).toBe(403)
    expect((await patch({ 'sec-fetch-site': 'same-origin' })).status).toBe(200)
  })

  test('is no token, neither to send nor to validate nor to refresh', async () => {
    const secret = (await signIn()).split('=')[1]!
    expect((await harness.request({ path: '/api/v1/models', token: secret })).status).toBe(401)
    const validate = { path: '/api/v1/auth/validate', body: { token: secret } }
    expect((await harness.request(validate)).status).toBe(401)
    const refresh = { path: '/api/v1/auth/refresh', body: { refresh_token: secret } }
    expect((await harness.request(refresh)).status).toBe(401)
  })

  test('and a token is no cookie', async () => {
    expect(await isKnown(`quintet_session=${await harness.logIn('ada')}`)).toBe(false)
  })

  test('leaves no refresh token behind that nobody holds', async () => {
    await signIn()
    const rows = await harness.platform.database.read.select().from(tables().sessions)
    const byCookie = rows.filter(({ cookieHash }) => cookieHash !== null)
    expect(byCookie.length).toBeGreaterThan(0)
    expect(byCookie.filter(({ refreshHash }) => refreshHash !== null)).toEqual([])
  })

  test('ends with the password, and when the account is disabled', async () => {
    const at = await open()
    const cookie = await signIn('ada', at)
    const other = await signIn('ada', at)
    const changed = await at.request({
      path: '/api/v1/me/password',
      body: { current_password: PASSWORD, password: 'staple, correct!' },
      headers: { cookie, 'sec-fetch-site': 'same-origin' },
    })
    expect(changed.status).toBe(204)
    expect([await isKnown(cookie, at), await isKnown(other, at)]).toEqual([true, false])
    const { accounts } = authTables(at.platform.database.kit)
    await at.platform.database.write(async (tx) => {
      await tx.update(accounts).set({ disabledAt: new Date(at.clock.now()) })
    })
    // As by another process: it is seen when the database is asked next.
    at.clock.advance(1000)
    expect(await isKnown(cookie, at)).toBe(false)
  })

  test('lives on while it is used, which is written down once a minute, and no longer than 30 days', async () => {
    const at = await open()
    const cookie = await signIn('ada', at)
    const usedAt = async () => {
      const { sessions } = authTables(at.platform.database.kit)
      const rows = await at.platform.database.read.select().from(sessions)
      return rows.find(({ cookieHash }) => cookieHash !== null)!.usedAt!.getTime()
    }
    const atFirst = await usedAt()
    at.clock.advance(MINUTE_MS - 1000)
    expect(await isKnown(cookie, at)).toBe(true)
    expect(await usedAt()).toBe(atFirst)
    at.clock.advance(1000)
    expect(await isKnown(cookie, at)).toBe(true)
    expect(await usedAt()).toBe(atFirst + MINUTE_MS)
    for (let days = 0; days < 29; days++) {
      at.clock.advance(DAY_MS)
      expect(await isKnown(cookie, at)).toBe(true)
    }
    at.clock.advance(DAY_MS)
    expect(await isKnown(cookie, at)).toBe(false)
  })

  test('ends when it is not used for 7 days', async () => {
    const at = await open()
    const cookie = await signIn('ada', at)
    at.clock.advance(7 * DAY_MS)
    expect(await isKnown(cookie, at)).toBe(false)
  })

  test('counts as the others do for how many an account may have', async () => {
    const at = await open({ SESSIONS_PER_ACCOUNT_MAX: '2' })
    const cookies = [await signIn('ada', at), await signIn('ada', at), await signIn('ada', at)]
    at.clock.advance(1000)
    expect(await Promise.all(cookies.map((cookie) => isKnown(cookie, at)))).toEqual([
      false,
      true,
      true,
    ])
  })
})

describe('sign-out', () => {
  testRequests(
    () => harness,
    [
      {
        name: 'shows a button, since a link of another site could open it',
        path: SIGN_OUT,
        status: 200,
        contains: ['<form method="post" action="/sign-out"', '<button>Sign out</button>'],
        answerHeaders: { 'set-cookie': null },
      },
      {
        name: 'takes the cookie of a session that is long over',
        path: SIGN_OUT,
        body: '',
        headers: { ...form, cookie: `quintet_session=qs_${'a'.repeat(43)}` },
        status: 303,
        answerHeaders: {
          location: '/sign-in?notice=signed-out',
          'set-cookie': 'quintet_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax',
        },
      },
      {
        name: 'is not for other sites to ask',
        path: SIGN_OUT,
        body: '',
        headers: { ...form, 'sec-fetch-site': 'cross-site' },
        status: 403,
        isPage: true,
      },
    ],
  )

  test('ends the session, and tells of it', async () => {
    const cookie = await signIn()
    expect(await isKnown(cookie)).toBe(true)
    await harness.published()
    const count = harness.events.length
    expect((await act(cookie, SIGN_OUT, '')).status).toBe(303)
    expect(await isKnown(cookie)).toBe(false)
    await harness.published()
    expect(harness.events.slice(count)).toMatchObject([
      { type: 'auth.logout', data: { user_id: adaId, actor_id: adaId } },
    ])
  })
})

describe('the account', () => {
  testRequests(
    () => harness,
    [
      {
        name: 'asks strangers to sign in',
        path: ACCOUNT,
        status: 303,
        answerHeaders: { location: '/sign-in?return_to=%2Faccount' },
      },
      {
        name: 'asks strangers to sign in before they end anything',
        path: `${ACCOUNT}/sessions`,
        body: 'session=x',
        headers: form,
        status: 303,
        answerHeaders: { location: '/sign-in?return_to=%2Faccount' },
      },
    ],
  )

  test('ends all other sessions at once', async () => {
    const [mine, other] = [await signIn(), await signIn()]
    expect(await (await ask(mine, ACCOUNT)).text()).toContain('End all others')
    expect((await act(mine, `${ACCOUNT}/sessions/others`, '')).status).toBe(303)
    expect([await isKnown(mine), await isKnown(other)]).toEqual([true, false])
    expect(await (await ask(mine, ACCOUNT)).text()).not.toContain('End all others')
  })

  test('changes the password, and says what is wrong with what was typed', async () => {
    await harness.addAccount({ username: 'changer' })
    const [mine, other] = [await signIn('changer'), await signIn('changer')]
    const change = async (current: string, password: string) => {
      const body = new URLSearchParams({ current_password: current, password }).toString()
      const answer = await act(mine, `${ACCOUNT}/password`, body)
      return { status: answer.status, text: await answer.text() }
    }
    for (const [current, password, status, told] of [
      ['wrong password', 'a good long one', 403, 'The current password is wrong.'],
      [PASSWORD, 'short', 422, 'The new password: '],
      [PASSWORD, 'changer1', 422, 'easy to guess here'],
    ] as const) {
      const refused = await change(current, password)
      expect(refused.status).toBe(status)
      expect(refused.text).toContain(told)
      expect(refused.text).not.toContain(password)
    }
    expect(await isKnown(other)).toBe(true)
    const changed = await change(PASSWORD, 'a good long one')
    expect(changed).toMatchObject({ status: 200, text: expect.stringContaining('is changed.') })
    expect([await isKnown(mine), await isKnown(other)]).toEqual([true, false])
  })

  const asEve: Row[] = [
    {
      name: 'a password by an unknown field',
      path: `${ACCOUNT}/password`,
      body: 'current_password=x&password=a+good+long+one&id=y',
      status: 422,
      isPage: true,
    },
    {
      name: 'others by an unknown field',
      path: `${ACCOUNT}/sessions/others`,
      body: 'user=y',
      status: 422,
      isPage: true,
    },
    { name: 'no session', path: `${ACCOUNT}/sessions`, body: '', status: 422, isPage: true },
    {
      name: 'an unknown field',
      path: `${ACCOUNT}/sessions`,
      body: 'session=x&user=y',
      status: 422,
      isPage: true,
    },
    {
      name: 'a session that there is not',
      path: `${ACCOUNT}/sessions`,
      body: 'session=x',
      status: 404,
      isPage: true,
      contains: ['You have no such session.'],
    },
    {
      name: 'an overlong one',
      path: `${ACCOUNT}/sessions`,
      body: `session=${'x'.repeat(65)}`,
      status: 422,
      isPage: true,
    },
  ]
  describe('refuses to end', () => {
    const headers: Record<string, string> = { ...form }
    beforeAll(async () => {
      headers['cookie'] = await signIn('eve')
    })
    testRequests(
      () => harness,
      asEve.map((row) => ({ ...row, headers })),
    )

    test('a session of somebody else', async () => {
      const ada = await signIn()
      const { id } = (await sessionsOf(ada)).find(({ current }) => current)!
      const response = await act(headers['cookie']!, `${ACCOUNT}/sessions`, `session=${id}`)
      expect([response.status, await isKnown(ada)]).toEqual([404, true])
    })

    test('what a page of another site asks for', async () => {
      const { id } = (await sessionsOf(headers['cookie']!)).find(({ current }) => current)!
      const response = await harness.request({
        path: `${ACCOUNT}/sessions`,
        body: `session=${id}`,
        headers: { ...headers, 'sec-fetch-site': 'cross-site' },
      })
      expect(response.status).toBe(403)
    })
  })

  test('says who I am, and ends another session of mine', async () => {
    const cookie = await signIn()
    const other = await signIn()
    const page = await (await ask(cookie, ACCOUNT)).text()
    for (const part of ['<strong>ada</strong>', 'ada@example.com', 'Firefox', 'This browser']) {
      expect(page).toContain(part)
    }
    const { id } = (await sessionsOf(other)).find(({ current }) => current)!
    expect(page).toContain(`value="${id}"`)
    const ended = await act(cookie, `${ACCOUNT}/sessions`, `session=${id}`)
    expect([ended.status, ended.headers.get('location')]).toEqual([303, ACCOUNT])
    expect([await isKnown(cookie), await isKnown(other)]).toEqual([true, false])
  })

  test('is shown to who asks with a token as well', async () => {
    const token = await harness.logIn('ada')
    const response = await harness.request({ path: ACCOUNT, token })
    expect(response.status).toBe(200)
  })
})

describe('the second step', () => {
  const STEP = '/sign-in/second-factor'
  const NO_TICKET = `qt_${'x'.repeat(43)}`
  let secret: string
  let recoveryCodes: string[]
  beforeAll(async () => {
    await harness.addAccount({ username: 'tina' })
    const token = await harness.logIn('tina')
    const post = async (path: string, body?: object) => {
      const response = await harness.request({ method: 'POST', path, token, body })
      return (await response.json()) as { secret: string; recovery_codes: string[] }
    }
    secret = (await post('/api/v1/me/totp')).secret
    recoveryCodes = (await post('/api/v1/me/totp/confirmation', { code: codeNow() })).recovery_codes
  })
  /** Each is good once, so time goes on. */
  function codeNow(): string {
    harness.clock.advance(30_000)
    return generateSync({ secret, epoch: Math.floor(harness.clock.now() / 1000) })
  }
  async function begin(path = SIGN_IN) {
    const body = `username=tina&password=${encodeURIComponent(PASSWORD)}`
    const response = await harness.request({ path, body, headers: form })
    const text = await response.text()
    return { response, text, ticket: /name="ticket" value="([^"]+)"/.exec(text)?.[1] ?? '' }
  }
  const send = (fields: Record<string, string>, path = STEP) =>
    harness.request({ path, body: new URLSearchParams(fields).toString(), headers: form })

  testRequests(
    () => harness,
    [
      {
        name: 'is no page to begin at',
        path: STEP,
        status: 303,
        answerHeaders: { location: SIGN_IN },
      },
      {
        name: 'leads to the beginning with where to return, and nowhere else',
        path: `${STEP}?return_to=/docs`,
        status: 303,
        answerHeaders: { location: `${SIGN_IN}?return_to=%2Fdocs` },
      },
      {
        name: 'is no open redirect',
        path: `${STEP}?return_to=//evil.example`,
        status: 303,
        answerHeaders: { location: SIGN_IN },
      },
      ...(
        [
          ['nothing', '', 422],
          ['no ticket', 'code=123456', 422],
          ['no code', `ticket=${NO_TICKET}`, 422],
          ['both kinds of code', `ticket=${NO_TICKET}&code=1&recovery_code=2`, 422],
          ['a long code', `ticket=${NO_TICKET}&code=${'1'.repeat(65)}`, 422],
          ['an unknown field', `ticket=${NO_TICKET}&code=1&role=admin`, 422],
          ['a ticket that is none', `ticket=${NO_TICKET}&code=123456`, 401],
        ] as const
      ).map(([name, body, status]) => ({
        name: `refuses ${name}`,
        method: 'POST',
        path: STEP,
        body,
        headers: form,
        status,
        isPage: true as const,
        contains: ['action="/sign-in"', 'Sign in again.'],
        mustNotContain: ['Type your user name', 'set-cookie'],
      })),
      {
        name: 'is not for other sites to send',
        path: STEP,
        body: `ticket=${NO_TICKET}&code=123456`,
        headers: { ...form, 'sec-fetch-site': 'cross-site' },
        status: 403,
        isPage: true,
      },
    ],
  )

  test('follows on the password, and a code of the app lets in', async () => {
    const { response, text, ticket } = await begin(`${SIGN_IN}?return_to=/docs`)
    expect(response.status).toBe(200)
    expect(response.headers.get('set-cookie')).toBeNull()
    expect(text).toContain(`action="${STEP}?return_to=%2Fdocs"`)
    expect(text).not.toContain(PASSWORD)
    const done = await send({ ticket, code: codeNow() }, `${STEP}?return_to=/docs`)
    expect(done.status).toBe(303)
    expect(done.headers.get('location')).toBe('/docs')
    const cookie = done.headers.get('set-cookie')!.split(';')[0]!
    expect((await ask(cookie)).status).toBe(200)
  })

  test('takes a recovery code, once', async () => {
    const [recovery_code] = recoveryCodes as [string]
    const first = await begin()
    expect((await send({ ticket: first.ticket, recovery_code })).status).toBe(303)
    const second = await begin()
    const again = await send({ ticket: second.ticket, recovery_code })
    expect(again.status).toBe(401)
    const text = await again.text()
    expect(text).toContain('<details open')
    expect(text).not.toContain(recovery_code)
  })

  test('is shown again after a wrong code, with the same ticket, and without the code', async () => {
    const { ticket } = await begin()
    const wrong = await send({ ticket, code: '000000' })
    expect(wrong.status).toBe(401)
    const text = await wrong.text()
    expect(text).toContain('role="alert"')
    expect(text).toContain(`value="${ticket}"`)
    expect(text).not.toContain('000000')
    expect((await send({ ticket, code: codeNow() })).status).toBe(303)
  })

  test('says when to come back after many wrong codes', async () => {
    const guess = async () => send({ ticket: (await begin()).ticket, code: '000000' })
    let answer = await guess()
    for (let count = 0; count < 10 && answer.status !== 429; count++) answer = await guess()
    expect(answer.status).toBe(429)
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(await answer.text()).toContain('recovery code')
    harness.clock.advance(7_200_000)
  })

  test('begins anew where the ticket is too old', async () => {
    const { ticket } = await begin()
    harness.clock.advance(300_000)
    const late = await send({ ticket, code: codeNow() })
    expect(late.status).toBe(401)
    const text = await late.text()
    expect(text).toContain('action="/sign-in"')
    expect(text).toContain('That took too long')
  })

  test('begins anew where the ticket was tried too often, also with what is right', async () => {
    const { ticket } = await begin()
    for (let count = 0; count < 5; count++) {
      const wrong = await send({ ticket, recovery_code: 'aaaaa-bbbbb' })
      expect([wrong.status, (await wrong.text()).includes('<details open')]).toEqual([401, true])
    }
    const right = await send(
      { ticket, recovery_code: recoveryCodes[1]! },
      `${STEP}?return_to=/docs`,
    )
    expect([right.status, right.headers.get('set-cookie')]).toEqual([401, null])
    const text = await right.text()
    expect(text).toContain('action="/sign-in?return_to=%2Fdocs"')
    expect(text).toContain('tried too often. Sign in again.')
  })

  test('ends the session before it (session fixation)', async () => {
    const before = await signIn()
    const { ticket } = await begin()
    const done = await harness.request({
      path: STEP,
      body: new URLSearchParams({ ticket, recovery_code: recoveryCodes[2]! }).toString(),
      headers: { ...form, cookie: before },
    })
    const after = done.headers.get('set-cookie')!.split(';')[0]!
    expect([await isKnown(before), await isKnown(after)]).toEqual([false, true])
  })
})

describe('a passkey', () => {
  const PASSKEY = '/sign-in/passkey'
  const unknown = JSON.stringify({
    id: 'eA',
    rawId: 'eA',
    type: 'public-key',
    response: { clientDataJSON: 'eA', authenticatorData: 'eA', signature: 'eA' },
  })
  const refused = { path: PASSKEY, headers: form, isPage: true as const }
  testRequests(
    () => harness,
    [
      { name: 'is not sent by GET', path: PASSKEY, status: 405 },
      { name: 'is not nothing', ...refused, method: 'POST', body: '', status: 422 },
      { name: 'is JSON', ...refused, body: 'response=x', status: 422 },
      { name: 'is what a browser says', ...refused, body: 'response=%7B%7D', status: 422 },
      { name: 'comes alone', ...refused, body: 'response=%7B%7D&role=admin', status: 422 },
      {
        name: 'is short',
        ...refused,
        body: `response=${encodeURIComponent(JSON.stringify('x'.repeat(17_000)))}`,
        status: 413,
      },
      {
        name: 'is known',
        ...refused,
        body: `response=${encodeURIComponent(unknown)}`,
        status: 401,
        contains: ['The passkey is not known here'],
        events: ['auth.login_failed'],
      },
      {
        name: 'is not for other sites to send',
        ...refused,
        headers: { ...form, 'sec-fetch-site': 'same-site' },
        body: `response=${encodeURIComponent(unknown)}`,
        status: 403,
      },
    ],
  )
})
