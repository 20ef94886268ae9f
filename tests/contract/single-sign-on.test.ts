import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setSystemTime,
  test,
} from 'bun:test'

import { eq } from 'drizzle-orm'

import { foldName } from '../../src/auth/accounts/names.ts'
import { authTables } from '../../src/auth/tables.ts'
import type { Role } from '../../src/gateway/scopes.ts'
import { type Browser, createBrowser } from '../support/browser.ts'
import { type Github, startGithub } from '../support/github.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import {
  CLIENT,
  type Lies,
  type OpenIdProvider,
  startOpenIdProvider,
} from '../support/openid-provider.ts'
import { testRequests } from '../support/request-table.ts'
import { until } from '../support/until.ts'

const ORIGIN = 'http://localhost:8080'
const SSO = '/api/v1/auth/sso'
const ME = '/api/v1/me'
const TIMEOUT_MS = 300
const START = `${ORIGIN}${SSO}/company/start`

interface Problem {
  title: string
  detail: string
  status: number
}

let harness: Harness
let company: OpenIdProvider
let partner: OpenIdProvider
let github: Github
let setting: string

beforeAll(async () => {
  company = await startOpenIdProvider()
  partner = await startOpenIdProvider()
  github = startGithub()
  setting = JSON.stringify([
    {
      id: 'company',
      title: 'Example Ltd',
      issuer: company.url,
      ...CLIENT,
      domains: ['example.com'],
      roles: { analysts: 'editor', 'it staff': 'admin' },
    },
    { id: 'partner', issuer: partner.url, ...CLIENT },
    { id: 'github', preset: 'github', url: github.url, ...CLIENT, domains: ['example.com'] },
  ])
  harness = await openBrowserHarness({
    SSO_PROVIDERS: setting,
    SSO_TIMEOUT_MS: String(TIMEOUT_MS),
    RATE_LIMIT_AUTH: '100000',
  })
})
afterAll(async () => {
  await harness.close()
  await company.stop()
  await partner.stop()
  await github.stop()
})
/** Of a name that no test before has used. */
let count = 0
let name: string
beforeEach(() => {
  name = `person-${++count}`
  company.person = {
    sub: `subject of ${name}`,
    email: `${name}@example.com`,
    email_verified: true,
    preferred_username: name,
  }
  partner.person = { ...company.person }
  github.user = { id: 1000 + count, login: name }
  github.emails = [{ email: `${name}@example.com`, primary: true, verified: true }]
})
afterEach(() => {
  company.lies = {}
  partner.lies = {}
  github.emailsStatus = 200
  github.tokenError = undefined
  github.issuer = undefined
})

/** What looks like a cookie is sent as one, as by a page of this server. */
async function openBrowserHarness(settings: Record<string, string>): Promise<Harness> {
  const opened = await openHarness(settings)
  return {
    ...opened,
    request(request) {
      const { token, headers, ...rest } = request
      if (token?.startsWith('qs_') !== true) return opened.request(request)
      const cookie = `quintet_session=${token}`
      return opened.request({
        ...rest,
        headers: { cookie, 'sec-fetch-site': 'same-origin', ...headers },
      })
    },
  }
}

const browserOf = (of: Harness): Browser =>
  createBrowser({
    origin: ORIGIN,
    send: (url, { method = 'GET', body, headers }) =>
      of.request({
        method,
        path: url.pathname + url.search,
        headers,
        ...(body === undefined ? {} : { body: body as string }),
      }),
  })
/** What a page says is wrong. */
async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text()
  const read = (pattern: RegExp) => pattern.exec(text)?.[1]?.replaceAll('&#39;', "'") ?? ''
  return {
    title: read(/<h1>([^<]*)<\/h1>/),
    detail: read(/role="alert"[^>]*>([^<]*)</),
    status: response.status,
  }
}
const isOurCallback = (url: URL) => url.origin === ORIGIN && url.pathname.endsWith('/callback')
const isBack = (url: URL) => url.origin === ORIGIN && !url.pathname.startsWith('/api/')

const tables = () => authTables(harness.platform.database.kit)
const everything = async () => {
  const { accounts, identities, sessions } = tables()
  const { read } = harness.platform.database
  const rows = await Promise.all([
    read.select().from(accounts),
    read.select().from(identities),
    read.select().from(sessions),
  ])
  return rows.map((each) => each.length)
}
const accountCalled = async (username: string) => {
  const { accounts } = tables()
  const [row] = await harness.platform.database.read
    .select()
    .from(accounts)
    .where(eq(accounts.usernameFolded, foldName(username)))
  return row
}
const addVerified = async (account: { username: string; email: string; role?: Role }) => {
  const id = await harness.addAccount(account)
  await set(id, { emailVerifiedAt: new Date() })
  return id
}
const set = (id: string, columns: Partial<ReturnType<typeof tables>['accounts']['$inferInsert']>) =>
  harness.platform.database.write(async (tx) => {
    const { accounts } = tables()
    await tx.update(accounts).set(columns).where(eq(accounts.id, id))
  })
const lastEvent = async (type: string) => {
  await harness.published()
  const event = harness.events.findLast((each) => each.type === type)
  return event?.data as Record<string, unknown> | undefined
}

/** Through the provider and back. @returns as `token` what the browser's cookie holds then. */
async function signOn(id = 'company', browser = browserOf(harness)) {
  const start = `${ORIGIN}${SSO}/${id}/start?return_to=/reports%3Fpage%3D2%23top`
  const { url, response } = await browser.follow(start, isBack)
  const token = browser.cookies.get('localhost:8080')?.get('quintet_session')
  return { browser, url, response, token }
}
/** Begun, and stopped before the answer of the provider is brought back. */
async function toCallback(id = 'company', browser = browserOf(harness)) {
  const { url } = await browser.follow(`${ORIGIN}${SSO}/${id}/start`, isOurCallback)
  return { browser, url }
}
async function refused(
  response: Response,
  expected: { status: number; title: string; reason: string; detail?: string },
) {
  const { status, title, detail } = await problemOf(response)
  expect({ status, title, http: response.status }).toEqual({
    status: expected.status,
    title: expected.title,
    http: expected.status,
  })
  if (expected.detail !== undefined) expect(detail).toContain(expected.detail)
  expect(await lastEvent('auth.login_failed')).toMatchObject({ reason: expected.reason })
}

describe('the routes', () => {
  testRequests(
    () => harness,
    [
      {
        name: 'list the providers, and nothing that is secret or inner',
        path: SSO,
        status: 200,
        has: {
          providers: [
            { id: 'company', title: 'Example Ltd' },
            { id: 'partner', title: 'partner' },
            { id: 'github', title: 'GitHub' },
          ],
        },
        mustNotContain: ['secret', CLIENT.client_id, 'issuer'],
      },
      {
        name: 'know no other provider',
        path: `${SSO}/unheard-of/start`,
        status: 404,
        isPage: true,
      },
      {
        name: 'know no other provider to come back from',
        path: `${SSO}/unheard-of/callback?code=x&state=y`,
        status: 404,
        isPage: true,
      },
      {
        name: 'RFC 9700 §2.1: a callback without a cookie is refused',
        path: `${SSO}/company/callback?code=x&state=y`,
        status: 400,
        isPage: true,
        contains: ['Invalid sign-on', 'href="/sign-in"'],
        events: ['auth.login_failed'],
      },
      {
        name: 'a callback with a cookie that says nothing is refused',
        path: `${SSO}/company/callback?code=x&state=y`,
        headers: { cookie: 'quintet_sso=%E0%A4%A; x' },
        status: 400,
        isPage: true,
        events: ['auth.login_failed'],
      },
      {
        name: 'a parameter that comes twice is refused',
        path: `${SSO}/company/callback?code=x&code=y&state=z`,
        status: 422,
        isPage: true,
      },
    ],
  )

  test('say who asks too often to wait', async () => {
    const fresh = await openBrowserHarness({ SSO_PROVIDERS: setting, RATE_LIMIT_AUTH: '1' })
    const path = `${SSO}/company/callback?code=x&state=y`
    expect((await fresh.request({ path })).status).toBe(400)
    const refusal = await fresh.request({ path })
    expect(refusal.status).toBe(429)
    expect(refusal.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(refusal.headers.get('content-type')).toBe('text/html; charset=utf-8')
    await fresh.close()
  })
})

describe('a sign-on', () => {
  test('OpenID Core §3.1.2.1, RFC 9700 §2.1.1: asks for a code, by PKCE with S256, state and nonce', async () => {
    const { browser, url } = await toCallback()
    const asked = Object.fromEntries(company.authorization)
    expect(asked).toEqual({
      response_type: 'code',
      client_id: CLIENT.client_id,
      scope: 'openid profile email',
      redirect_uri: `${ORIGIN}${SSO}/company/callback`,
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
    })
    const secret = browser.cookies.get('localhost:8080')!.get('quintet_sso')!
    // What goes through addresses does not tell what the browser holds.
    expect(new Set([...Object.values(asked), secret]).size).toBe(9)
    expect(url.href).not.toContain(secret)
  })

  test('is bound by a cookie that scripts can not read, and other sites do not send', async () => {
    const response = await browserOf(harness).get(START)
    expect(response.headers.get('set-cookie')).toMatch(
      /^quintet_sso=qt_[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/,
    )
    expect(response.headers.get('cache-control')).toBe('no-store')
  })

  test('under https, by one that no other host can set', async () => {
    const secure = await openBrowserHarness({
      SSO_PROVIDERS: setting,
      PUBLIC_URL: 'https://api.example.com',
    })
    const response = await secure.request({
      path: `${SSO}/company/start`,
      headers: { host: 'evil.example', 'x-forwarded-host': 'evil.example' },
    })
    expect(response.headers.get('set-cookie')).toMatch(
      /^__Host-quintet_sso=qt_[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
    )
    // Made of PUBLIC_URL, whatever the request says of itself.
    const location = new URL(response.headers.get('location')!)
    expect(location.searchParams.get('redirect_uri')).toBe(
      'https://api.example.com/api/v1/auth/sso/company/callback',
    )
    await secure.close()
  })

  test('leads to where it was to, and to a session', async () => {
    const { url, token } = await signOn()
    expect(url.pathname + url.search + url.hash).toBe('/reports?page=2#top')
    expect(url.origin).toBe(ORIGIN)
    const me = await harness.request({ path: ME, token })
    expect(await me.json()).toMatchObject({ username: name, email: `${name}@example.com` })
    const event = await lastEvent('auth.login')
    expect(event).toMatchObject({ methods: ['single_sign_on'], session_id: expect.any(String) })
  })

  test('leaves no token in an address, in the log or in the database', async () => {
    const { url, token } = await signOn()
    const { tickets } = tables()
    const kept = JSON.stringify(await harness.platform.database.read.select().from(tickets))
    for (const secret of ['access-token-there', token!, CLIENT.client_secret]) {
      expect(url.href).not.toContain(secret)
      expect(harness.lines.join('\n')).not.toContain(secret)
      expect(kept).not.toContain(secret)
    }
  })

  test('finds the account of before by the subject, whatever else has changed there', async () => {
    await signOn()
    const before = await everything()
    company.person = { sub: company.person['sub'], email: 'moved@elsewhere.example' }
    const { token } = await signOn()
    const me = await harness.request({ path: ME, token })
    expect(await me.json()).toMatchObject({ username: name, email: `${name}@example.com` })
    expect((await everything()).slice(0, 2)).toEqual(before.slice(0, 2))
  })

  test('counts no subject of another provider as the same', async () => {
    await signOn()
    partner.person = { sub: company.person['sub'] }
    const { response } = await signOn('partner')
    await refused(response, { status: 403, title: 'Sign-on refused', reason: 'email_unverified' })
  })

  test('reads keys again that the provider has changed, once a minute at most', async () => {
    const known = harness
    const rotating = await startOpenIdProvider()
    rotating.person = { ...company.person }
    const provider = { id: 'company', issuer: rotating.url, ...CLIENT, domains: ['example.com'] }
    harness = await openBrowserHarness({ SSO_PROVIDERS: JSON.stringify([provider]) })
    const asked = () => rotating.asked.filter((path) => path === '/jwks').length
    expect((await signOn()).token).toBeString()
    expect((await signOn()).token).toBeString()
    expect(asked()).toBe(1)
    await rotating.rotateKey()
    // Else whoever has a token with a made-up `kid` could have us ask without end.
    const { response } = await signOn()
    await refused(response, { status: 502, title: 'Identity provider failed', reason: 'provider' })
    expect(asked()).toBe(1)
    setSystemTime(Date.now() + 61_000)
    expect((await signOn()).token).toBeString()
    expect(asked()).toBe(2)
    setSystemTime()
    await harness.close()
    await rotating.stop()
    harness = known
  })
})

describe('a browser', () => {
  const invalid = { status: 400, title: 'Invalid sign-on', reason: 'sign_on' }

  test('RFC 9700 §4.7: with the cookie of another is refused (login CSRF), and nothing is taken', async () => {
    const attacker = await toCallback()
    const victim = await toCallback()
    await refused(await victim.browser.get(attacker.url.href), invalid)
    const response = await victim.browser.get(victim.url.href)
    expect(response.status).toBe(303)
  })

  test('RFC 9700 §4.7: without a cookie is refused', async () => {
    const { url } = await toCallback()
    await refused(await browserOf(harness).get(url.href), invalid)
  })

  test('OpenID Core §3.1.2.7: with another state, or none, is refused', async () => {
    const { browser, url } = await toCallback()
    const other = new URL(url)
    other.searchParams.set('state', 'A'.repeat(43))
    await refused(await browser.get(other.href), invalid)
    other.searchParams.delete('state')
    await refused(await browser.get(other.href), invalid)
  })

  test('comes back once', async () => {
    const { browser, url } = await toCallback()
    expect((await browser.get(url.href)).status).toBe(303)
    await refused(await browser.get(url.href), invalid)
  })

  test('that comes back twice at once is let in once', async () => {
    const { browser, url } = await toCallback()
    const answers = await Promise.all(Array.from({ length: 5 }, () => browser.get(url.href)))
    const statuses = answers.map(({ status }) => status)
    expect(statuses.toSorted((a, b) => a - b)).toEqual([303, 400, 400, 400, 400])
  })

  test('that takes longer than ten minutes begins again', async () => {
    const { browser, url } = await toCallback()
    harness.clock.advance(600_000)
    await refused(await browser.get(url.href), invalid)
  })

  test('RFC 9700 §4.4.2: brings the answer of one provider to the address of another in vain', async () => {
    const { browser, url } = await toCallback('partner')
    const mixed = url.href.replace('/sso/partner/', '/sso/company/')
    const asked = company.asked.length
    await refused(await browser.get(mixed), invalid)
    expect(company.asked.slice(asked)).not.toContain('/token')
  })
})

describe('an address that only folds alike', () => {
  const refusedAs = { status: 403, title: 'Sign-on refused', reason: 'account_unverified' }
  test.each([
    ['ada@strasse.example', 'ada@stra\u00dfe.example'],
    ['mike@example.net', 'm\u0131ke@example.net'],
    ['kim@example.net', '\u212aim@example.net'],
    ['s@example.net', '\u017f@example.net'],
  ])('of %s lets nobody in who has %s', async (kept, asserted) => {
    const username = `owner of ${kept.replace('@', ' at ')}`
    await addVerified({ username, email: kept, role: 'admin' })
    company.person = { sub: `subject of ${kept}`, email: asserted, email_verified: true }
    const { response, token } = await signOn()
    expect(token).toBeUndefined()
    await refused(response, refusedAs)
  })

  test('is of no domain that is listed', async () => {
    company.person = { sub: 'who', email: 'who@example.\u212aom', email_verified: true }
    const { token } = await signOn()
    expect(token).toBeUndefined()
  })

  test('in another case of ASCII is the same', async () => {
    const id = await addVerified({ username: 'cased', email: 'Cased@Example.net' })
    company.person = { sub: 'cased', email: 'cASED@example.NET', email_verified: true }
    const me = await harness.request({ path: ME, token: (await signOn()).token })
    expect(await me.json()).toMatchObject({ id })
  })
})

test('an account with a second factor is linked by who logs in with it, and not by its address', async () => {
  const id = await addVerified({ username: name, email: `${name}@example.com` })
  const { totp } = tables()
  const now = new Date()
  await harness.platform.database.write(async (tx) => {
    await tx.insert(totp).values({
      accountId: id,
      secret: 'sealed',
      createdAt: now,
      confirmedAt: now,
      lastStep: 0,
      failures: 0,
    })
  })
  const { response, token } = await signOn()
  expect(token).toBeUndefined()
  await refused(response, { status: 403, title: 'Sign-on refused', reason: 'second_factor' })
})

describe('the session of a sign-on', () => {
  test('RFC 9700 §4.11: leads nowhere but here, whatever the link says', async () => {
    for (const path of ['//evil.example', '/\\evil.example', 'https://evil.example', '/\t/evil']) {
      const start = `${START}?return_to=${encodeURIComponent(path)}`
      const { url } = await browserOf(harness).follow(start, isBack)
      expect(url.href).toBe(`${ORIGIN}/account`)
    }
  })

  test('is a new one (session fixation), ends the one before, and forgets the sign-on', async () => {
    const browser = browserOf(harness)
    const first = await signOn('company', browser)
    const second = await signOn('company', browser)
    expect(second.token).not.toBe(first.token)
    expect((await harness.request({ path: ME, token: first.token })).status).toBe(401)
    expect((await harness.request({ path: ME, token: second.token })).status).toBe(200)
    expect([...browser.cookies.get('localhost:8080')!.keys()]).toEqual(['quintet_session'])
  })

  test('is not given to who was disabled meanwhile', async () => {
    await signOn()
    await set((await accountCalled(name))!.id, { disabledAt: new Date() })
    const { response, token } = await signOn()
    expect(token).toBeUndefined()
    await refused(response, {
      status: 403,
      title: 'Account disabled',
      reason: 'disabled',
      detail: 'Ask an administrator.',
    })
  })
})

describe('a provider that lies', () => {
  const failed = { status: 502, title: 'Identity provider failed' }
  const away = { status: 503, title: 'Temporarily unavailable' }
  const in1970 = 86_400

  const lies: [name: string, Lies, typeof failed, says?: string][] = [
    [
      'OpenID Core §3.1.3.7 no. 11: another nonce',
      { claims: (all) => ({ ...all, nonce: 'other' }) },
      failed,
      'unexpected ID Token "nonce"',
    ],
    [
      'OpenID Core §3.1.3.7 no. 11: no nonce',
      { claims: ({ nonce: _, ...all }) => all },
      failed,
      '"nonce" (nonce) claim missing',
    ],
    [
      'OpenID Core §3.1.3.7 no. 2: another issuer',
      { claims: (all) => ({ ...all, iss: partner.url }) },
      failed,
      'unexpected JWT "iss"',
    ],
    [
      'OpenID Core §3.1.3.7 no. 3: another audience',
      { claims: (all) => ({ ...all, aud: 'another' }) },
      failed,
      'unexpected JWT "aud"',
    ],
    [
      'OpenID Core §3.1.3.7 no. 4: another authorized party',
      { claims: (all) => ({ ...all, aud: [CLIENT.client_id, 'another'], azp: 'another' }) },
      failed,
      'unexpected ID Token "azp"',
    ],
    [
      'OpenID Core §3.1.3.7 no. 9: an expired token',
      { claims: (all) => ({ ...all, exp: in1970 }) },
      failed,
      'expiration is past',
    ],
    [
      'OpenID Core §2: a token that never expires',
      { claims: ({ exp: _, ...all }) => all },
      failed,
      '"exp" (expiration time) claim missing',
    ],
    [
      'OpenID Core §2: no subject',
      { claims: ({ sub: _, ...all }) => all },
      failed,
      '"sub" (subject) claim missing',
    ],
    [
      'OpenID Core §2: an empty subject',
      { claims: (all) => ({ ...all, sub: '' }), userinfo: (all) => ({ ...all, sub: '' }) },
      failed,
      '"sub" property must not be empty',
    ],
    [
      'OpenID Core §2: a subject of 256 characters',
      {
        claims: (all) => ({ ...all, sub: 'x'.repeat(256) }),
        userinfo: (all) => ({ ...all, sub: 'x'.repeat(256) }),
      },
      failed,
      '1 to 255 ASCII',
    ],
    [
      'OpenID Core §2: a subject that is a number',
      { claims: (all) => ({ ...all, sub: 5 }) },
      failed,
      'unexpected JWT "sub" (subject) claim type',
    ],
    [
      'OpenID Core §3.1.3.3: no ID token',
      { withoutIdToken: true },
      failed,
      '"id_token" property must be a string',
    ],
    [
      'OpenID Core §5.3.2: another subject when asked',
      { userinfo: (all) => ({ ...all, sub: 'another' }) },
      failed,
      'unexpected "response" body "sub"',
    ],
    [
      'OpenID Core §5.3.2: no subject when asked',
      { userinfo: ({ sub: _, ...all }) => all },
      failed,
      '"sub" property must be a string',
    ],
    ['RFC 8725 §3.2: alg none', { signedBy: 'none' }, failed, 'unexpected JWT "alg"'],
    [
      'RFC 8725 §3.2: alg none, said to be the custom there',
      {
        signedBy: 'none',
        metadata: (all) => ({ ...all, id_token_signing_alg_values_supported: ['none', 'ES256'] }),
      },
      failed,
      'unsupported JWS "alg"',
    ],
    [
      'RFC 8725 §2.1: HS256 with the public key',
      { signedBy: 'public key' },
      failed,
      'unexpected JWT "alg"',
    ],
    [
      'RFC 8725 §2.1: HS256 with the public key, said to be the custom there',
      {
        signedBy: 'public key',
        metadata: (all) => ({ ...all, id_token_signing_alg_values_supported: ['HS256', 'ES256'] }),
      },
      failed,
      'unsupported JWS algorithm',
    ],
    [
      'RFC 8725 §3.3: the signature of another',
      { signedBy: 'stranger' },
      failed,
      'signature verification failed',
    ],
    [
      'RFC 8725 §3.3: no signature',
      { signedBy: 'nobody' },
      failed,
      'signature verification failed',
    ],
    [
      'RFC 9207 §2.4: another issuer in the answer',
      { answer: (query) => query.set('iss', 'https://evil.example') },
      failed,
      'unexpected "iss"',
    ],
    [
      'RFC 9207 §2.4: no issuer in the answer, though it says that there is one',
      { answer: (query) => query.delete('iss') },
      failed,
      '"iss" (issuer) missing',
    ],
    ['the keys lead elsewhere', { trouble: { keys: 'elsewhere' } }, failed, 'unexpected HTTP'],
    [
      'the token endpoint leads elsewhere',
      { trouble: { token: 'elsewhere' } },
      failed,
      'unexpected HTTP',
    ],
    [
      'the token endpoint is the sign-in of a network',
      { trouble: { token: 'html' } },
      failed,
      'unexpected response content-type',
    ],
    ['the token endpoint never answers', { trouble: { token: 'never' } }, away],
    ['the token endpoint answers 10 MB', { trouble: { token: 'huge' } }, away],
    ['the token endpoint is broken', { trouble: { token: 'broken' } }, away],
    ['what is known of people never comes', { trouble: { userinfo: 'never' } }, away],
    ['what is known of people has 10 MB', { trouble: { userinfo: 'huge' } }, away],
  ]

  test.each(lies)('%s', async (_, lie, expected, says = 'Example Ltd does not answer') => {
    // A server that has not seen its metadata and keys yet.
    const fresh = await openBrowserHarness({
      SSO_PROVIDERS: setting,
      SSO_TIMEOUT_MS: String(TIMEOUT_MS),
    })
    const known = harness
    harness = fresh
    try {
      company.lies = lie
      const before = await everything()
      const began = performance.now()
      const { response } = await signOn()
      expect(performance.now() - began).toBeLessThan(TIMEOUT_MS + 2_000)
      await refused(response, { ...expected, reason: 'provider' })
      expect(await everything()).toEqual(before)
      const logged = fresh.lines.join('\n')
      for (const secret of ['access-token-there', 'eyJ', CLIENT.client_secret]) {
        expect(logged).not.toContain(secret)
      }
      // It is refused for what it is, and not for what else may be wrong.
      expect(logged.replaceAll('\\"', '"')).toContain(says)
      // It is honest again, and nothing of the lie is remembered but what it said of itself.
      company.lies = {}
      if (lie.metadata === undefined) expect((await signOn()).token).toBeString()
    } finally {
      harness = known
      await fresh.close()
    }
  })

  const metadataLies: [string, Lies, typeof failed][] = [
    [
      'Discovery §4.3: another issuer',
      { metadata: (all) => ({ ...all, issuer: 'https://evil.example' }) },
      failed,
    ],
    [
      'no address to send people to',
      { metadata: ({ authorization_endpoint: _, ...all }) => all },
      failed,
    ],
    ['metadata from elsewhere', { trouble: { metadata: 'elsewhere' } }, failed],
    ['a page in place of metadata', { trouble: { metadata: 'html' } }, failed],
    ['metadata that never come', { trouble: { metadata: 'never' } }, away],
    ['metadata of 10 MB', { trouble: { metadata: 'huge' } }, away],
    ['metadata that are broken', { trouble: { metadata: 'broken' } }, away],
  ]
  test.each(metadataLies)('of itself: %s', async (_, lie, expected) => {
    company.lies = lie
    const fresh = await openBrowserHarness({
      SSO_PROVIDERS: setting,
      SSO_TIMEOUT_MS: String(TIMEOUT_MS),
    })
    const response = await fresh.request({ path: `${SSO}/company/start` })
    expect({ status: response.status, title: (await problemOf(response)).title }).toEqual(expected)
    if (expected === away) expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
    // The other providers go on, and so does this one when it is well again.
    expect((await fresh.request({ path: `${SSO}/partner/start` })).status).toBe(303)
    company.lies = {}
    if (lie.metadata === undefined) {
      expect((await fresh.request({ path: `${SSO}/company/start` })).status).toBe(303)
    }
    await fresh.close()
  })

  test('that is asked for by many at once is asked once, and again after an hour', async () => {
    const fresh = await openBrowserHarness({ SSO_PROVIDERS: setting })
    const asked = () => company.asked.filter((path) => path.includes('well-known')).length
    const before = asked()
    const start = () => fresh.request({ path: `${SSO}/company/start` })
    await Promise.all(Array.from({ length: 10 }, start))
    expect(asked() - before).toBe(1)
    fresh.clock.advance(3_600_000)
    await start()
    expect(asked() - before).toBe(2)
    await fresh.close()
  })

  test('RFC 6749 §4.1.2: takes a code that was used as none', async () => {
    const { browser, url } = await toCallback()
    const code = url.searchParams.get('code')!
    expect((await browser.get(url.href)).status).toBe(303)
    const again = await toCallback()
    again.url.searchParams.set('code', code)
    const response = await again.browser.get(again.url.href)
    await refused(response, { status: 400, title: 'Invalid sign-on', reason: 'provider' })
  })

  test('RFC 9700 §4.5: a code of another browser is no use, by PKCE', async () => {
    const stolen = (await toCallback()).url.searchParams.get('code')!
    const { browser, url } = await toCallback()
    url.searchParams.set('code', stolen)
    const response = await browser.get(url.href)
    await refused(response, { status: 400, title: 'Invalid sign-on', reason: 'provider' })
  })

  test('that says no is heard, and not repeated word by word', async () => {
    const refusal = { status: 403, title: 'Sign-on refused', reason: 'provider' }
    const answer = (error: string) => (query: URLSearchParams) => {
      query.delete('code')
      query.set('error', error)
      query.set('error_description', 'Call 555-0100')
    }
    company.lies = { answer: answer('access_denied') }
    await refused((await signOn()).response, { ...refusal, detail: 'access_denied' })
    company.lies = { answer: answer('<b>Call 555-0100</b>') }
    const { response } = await signOn()
    expect(await response.clone().text()).not.toContain('555')
    await refused(response, refusal)
  })
})

describe('an account', () => {
  const refusal = { status: 403, title: 'Sign-on refused' }

  test('is made for who has an address of a listed domain', async () => {
    const { token } = await signOn()
    const account = await accountCalled(name)
    expect(account).toMatchObject({
      role: 'viewer',
      passwordHash: '',
      email: `${name}@example.com`,
    })
    expect(account!.emailVerifiedAt).not.toBeNull()
    expect(token).toBeString()
    const created = await lastEvent('auth.user_created')
    expect(created).toMatchObject({ user_id: account!.id, actor_id: account!.id })
    expect(await lastEvent('auth.identity_linked')).toMatchObject({
      user_id: account!.id,
      provider: 'company',
    })
  })

  test('that was made so has no password, not even an empty one', async () => {
    await signOn()
    for (const password of ['', 'x', PASSWORD]) {
      const response = await harness.request({
        path: '/api/v1/auth/login',
        body: { username: name, password },
      })
      expect(response.status).toBe(401)
    }
  })

  test('is not made for any other address', async () => {
    for (const email of [
      `${name}@elsewhere.example`,
      `${name}@sub.example.com`,
      `${name}@example.com.evil.example`,
      `${name}@notexample.com`,
    ]) {
      company.person = { ...company.person, email }
      const before = await everything()
      await refused((await signOn()).response, { ...refusal, reason: 'no_account' })
      expect(await everything()).toEqual(before)
    }
  })

  test('is made for an address of the domain in another case', async () => {
    company.person = { ...company.person, email: `${name}@EXAMPLE.com` }
    expect((await signOn()).token).toBeString()
  })

  test.each([
    ['false', { email_verified: false }],
    ['"false"', { email_verified: 'false' }],
    ['1', { email_verified: 1 }],
    ['missing', { email_verified: undefined }],
  ])(
    'OpenID Core §5.1: is neither made nor found where email_verified is %s',
    async (_, claims) => {
      await addVerified({ username: name, email: `${name}@example.com`, role: 'admin' })
      company.person = { ...company.person, ...claims }
      const before = await everything()
      await refused((await signOn()).response, { ...refusal, reason: 'email_unverified' })
      expect(await everything()).toEqual(before)
    },
  )

  test.each([
    ['none', undefined],
    ['no address', 'ada'],
    ['two addresses', 'eve@example.com,ada@example.com'],
    ['no text', ['ada@example.com']],
  ])('is not made where the address is %s', async (_, email) => {
    company.person = { ...company.person, email }
    await refused((await signOn()).response, { ...refusal, reason: 'email_unverified' })
  })

  test('an address that is told when asked is not verified by the token', async () => {
    const { email, email_verified: _, ...rest } = company.person
    company.person = rest
    company.lies = {
      claims: (all) => ({ ...all, email_verified: true }),
      userinfo: (all) => ({ ...all, email }),
    }
    await refused((await signOn()).response, { ...refusal, reason: 'email_unverified' })
  })

  test('is found by its verified address, whatever its case', async () => {
    const id = await addVerified({
      username: name,
      email: `${name.toUpperCase()}@elsewhere.example`,
    })
    company.person = { ...company.person, email: `${name}@Elsewhere.example` }
    const { token } = await signOn()
    const me = await harness.request({ path: ME, token })
    expect(await me.json()).toMatchObject({ id })
    expect(await lastEvent('auth.identity_linked')).toMatchObject({ user_id: id, actor_id: id })
  })

  test('with an address that nobody has verified is not linked: who made it would be let in too', async () => {
    await harness.addAccount({ username: name, email: `${name}@example.com` })
    const before = await everything()
    const { response } = await signOn()
    await refused(response, { ...refusal, reason: 'account_unverified', detail: 'link it' })
    expect(await everything()).toEqual(before)
  })

  test('is not handed on with its address to somebody else there', async () => {
    await signOn()
    company.person = { ...company.person, sub: `successor of ${name}` }
    await refused((await signOn()).response, { ...refusal, reason: 'identity_taken' })
  })

  test('that is disabled stays shut, and says so', async () => {
    await signOn()
    await set((await accountCalled(name))!.id, { disabledAt: new Date() })
    const disabled = {
      status: 403,
      title: 'Account disabled',
      reason: 'disabled',
      detail: 'Ask an administrator.',
    }
    await refused((await signOn()).response, disabled)
    await set(await addVerified({ username: 'x', email: 'x@example.com' }), {
      disabledAt: new Date(),
    })
    company.person = { ...company.person, sub: 'x', email: 'x@example.com' }
    await refused((await signOn()).response, disabled)
  })

  test('gets a name that nobody has', async () => {
    await harness.addAccount({ username: name.toUpperCase() })
    const { token } = await signOn()
    const me = await harness.request({ path: ME, token })
    expect(await me.json()).toMatchObject({ username: `${name}-2` })
  })

  test('of two with one name at once each gets its own', async () => {
    const wish = `twin-of-${name}`
    company.person = { ...company.person, preferred_username: wish }
    github.user = { ...github.user, login: wish.toUpperCase() }
    github.emails = [{ email: `other-${name}@example.com`, primary: true, verified: true }]
    const begun = [await toCallback('company'), await toCallback('github')]
    const answers = await Promise.all(begun.map(({ browser, url }) => browser.get(url.href)))
    expect(answers.map(({ status }) => status)).toEqual([303, 303])
    expect(await accountCalled(wish)).toBeDefined()
    expect(await accountCalled(`${wish}-2`)).toBeDefined()
  })

  test('is one for somebody who comes in by two browsers at once', async () => {
    const begun = [await toCallback(), await toCallback(), await toCallback()]
    const answers = await Promise.all(begun.map(({ browser, url }) => browser.get(url.href)))
    expect(answers.map(({ status }) => status)).toEqual([303, 303, 303])
    expect(await accountCalled(`${name}-2`)).toBeUndefined()
  })

  test('that is deleted leaves no identity behind', async () => {
    await signOn()
    const { id } = (await accountCalled(name))!
    const path = `/api/v1/users/${id}`
    await harness.request({ method: 'DELETE', path, token: harness.adminToken })
    const { identities } = tables()
    const left = await harness.platform.database.read
      .select()
      .from(identities)
      .where(eq(identities.accountId, id))
    expect(left).toEqual([])
    // Who comes again is somebody new.
    await signOn()
    expect((await accountCalled(name))!.id).not.toBe(id)
  })
})

describe('a role', () => {
  const roleOf = async (token: string | undefined) =>
    ((await (await harness.request({ path: ME, token })).json()) as { role: string }).role
  const withGroups = async (groups: unknown) => {
    company.person = { ...company.person, groups }
    return roleOf((await signOn()).token)
  }

  test('is the highest that the groups have, at each sign-on', async () => {
    expect(await withGroups(['analysts', 'others'])).toBe('editor')
    expect(await lastEvent('auth.user_created')).toBeDefined()
    expect(await withGroups(['analysts', 'it staff'])).toBe('admin')
    expect(await lastEvent('auth.user_changed')).toMatchObject({
      changed: ['role'],
      actor_id: null,
    })
    const { audit } = authTables(harness.platform.database.kit)
    const changes = await harness.platform.database.read
      .select()
      .from(audit)
      .where(eq(audit.type, 'auth.user_changed'))
    expect(changes.map(({ actorKind }) => actorKind)).toContain('server')
    expect(changes.map(({ actorKind }) => actorKind)).not.toContain('anonymous')
    expect(await withGroups('analysts')).toBe('editor')
    expect(await withGroups([])).toBe('viewer')
    expect(await withGroups(['analysts'])).toBe('editor')
    expect(await withGroups(undefined)).toBe('viewer')
  })

  test('counts for tokens of before too', async () => {
    company.person = { ...company.person, groups: ['it staff'] }
    const { token } = await signOn()
    expect((await harness.request({ path: '/api/v1/users', token })).status).toBe(200)
    await withGroups([])
    expect((await harness.request({ path: '/api/v1/users', token })).status).toBe(403)
  })

  test('voids links that were made for what the account was before', async () => {
    await withGroups([])
    const { id } = (await accountCalled(name))!
    await harness.request({ path: '/api/v1/auth/password/forgot', body: { username: name } })
    const link = async () => {
      const list = await harness.request({ path: '/api/v1/mail', token: harness.adminToken })
      const { messages } = (await list.json()) as { messages: { id: string; user_id: string }[] }
      return messages.find(({ user_id }) => user_id === id)
    }
    await until(async () => (await link()) !== undefined)
    const path = `/api/v1/mail/${(await link())!.id}`
    const kept = await harness.request({ path, token: harness.adminToken })
    const ticket = /ticket=(qt_[\w-]{43})/.exec(((await kept.json()) as { text: string }).text)![1]
    expect(await withGroups(['it staff'])).toBe('admin')
    const body = { ticket, password: 'a good long one' }
    expect((await harness.request({ path: '/api/v1/auth/password/reset', body })).status).toBe(400)
  })

  test('is none by a name that objects have, or in another case', async () => {
    expect(await withGroups(['constructor', '__proto__', 'IT staff', { role: 'admin' }])).toBe(
      'viewer',
    )
  })

  test('of the last administrator stays', async () => {
    const fresh = await openBrowserHarness({ SSO_PROVIDERS: setting })
    const known = harness
    harness = fresh
    company.person = { ...company.person, groups: ['it staff'] }
    await signOn()
    await set((await accountCalled('admin'))!.id, { disabledAt: new Date() })
    expect(await withGroups([])).toBe('admin')
    expect(fresh.lines.join('\n')).toContain('the last administrator keeps the role')
    await set((await accountCalled('admin'))!.id, { disabledAt: null })
    expect(await withGroups([])).toBe('viewer')
    harness = known
    await fresh.close()
  })

  test('is given here alone where the provider has none', async () => {
    const id = await addVerified({ username: name, email: `${name}@example.com`, role: 'editor' })
    partner.person = { ...partner.person, groups: ['it staff'] }
    expect(await roleOf((await signOn('partner')).token)).toBe('editor')
    expect((await accountCalled(name))!.id).toBe(id)
  })
})

describe('GitHub', () => {
  const refusal = { status: 403, title: 'Sign-on refused' }
  const failed = { status: 502, title: 'Identity provider failed', reason: 'provider' }

  test('is asked by PKCE and state for a name and the addresses', async () => {
    await toCallback('github')
    expect(Object.fromEntries(github.authorization)).toEqual({
      response_type: 'code',
      client_id: CLIENT.client_id,
      scope: 'read:user user:email',
      redirect_uri: `${ORIGIN}${SSO}/github/callback`,
      state: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
    })
  })

  test('lets people in, by their number and not their name', async () => {
    const { token } = await signOn('github')
    const me = await harness.request({ path: ME, token })
    const { id } = (await me.json()) as { id: string }
    github.user = { ...github.user, login: 'renamed' }
    github.emails = []
    const again = await signOn('github')
    expect(await (await harness.request({ path: ME, token: again.token })).json()).toMatchObject({
      id,
    })
    github.user = { id: 999_999 + count, login: name }
    await refused((await signOn('github')).response, { ...refusal, reason: 'email_unverified' })
  })

  test.each([
    [
      'an unverified primary address',
      (email: string) => [{ email, primary: true, verified: false }],
    ],
    ['no primary address', (email: string) => [{ email, primary: false, verified: true }]],
    ['no address', () => []],
    [
      'a verified address beside the primary one',
      (email: string) => [
        { email: 'eve@elsewhere.example', primary: true, verified: false },
        { email, primary: false, verified: true },
      ],
    ],
  ])('with %s lets nobody in', async (_, emails) => {
    await addVerified({ username: name, email: `${name}@example.com`, role: 'admin' })
    github.emails = emails(`${name}@example.com`)
    const before = await everything()
    await refused((await signOn('github')).response, { ...refusal, reason: 'email_unverified' })
    expect(await everything()).toEqual(before)
  })

  test('refuses with 200, and is understood', async () => {
    github.tokenError = 'bad_verification_code'
    const stale = { status: 400, title: 'Invalid sign-on', reason: 'provider' }
    await refused((await signOn('github')).response, stale)
    github.tokenError = 'incorrect_client_credentials'
    const { response } = await signOn('github')
    expect(await response.clone().text()).not.toContain('stranger')
    await refused(response, failed)
    expect(harness.lines.join('\n')).toContain('incorrect_client_credentials')
    expect(harness.lines.join('\n')).not.toContain('stranger')
  })

  test('that keeps the addresses, or says them in another form, is not believed', async () => {
    github.emailsStatus = 404
    await refused((await signOn('github')).response, failed)
    github.emailsStatus = 200
    github.emails = { message: 'moved' }
    await refused((await signOn('github')).response, failed)
    github.emails = []
    github.user = { id: '5', login: name }
    await refused((await signOn('github')).response, failed)
    expect(harness.lines.join('\n')).not.toContain('gho_')
  })

  test('RFC 9207 §2.4: by another name in the answer is not believed', async () => {
    github.issuer = 'https://evil.example/login/oauth'
    await refused((await signOn('github')).response, failed)
  })

  test('RFC 9700 §4.5: takes no code of another browser', async () => {
    const stolen = (await toCallback('github')).url.searchParams.get('code')!
    const { browser, url } = await toCallback('github')
    url.searchParams.set('code', stolen)
    const response = await browser.get(url.href)
    await refused(response, { status: 400, title: 'Invalid sign-on', reason: 'provider' })
  })
})

describe('my identities', () => {
  const MINE = '/api/v1/me/identities'
  let tokens: Record<string, string> = {}
  let othersIdentity: string
  beforeAll(async () => {
    company.person = {
      sub: 'subject of other',
      email: 'other@example.com',
      email_verified: true,
      preferred_username: 'other',
    }
    const { token } = await signOn()
    const listed = await harness.request({ path: MINE, token })
    const { identities } = (await listed.json()) as { identities: { id: string }[] }
    othersIdentity = identities[0]!.id
    await harness.addAccount({ username: 'ada', email: 'ada@example.com' })
    tokens = { other: token!, ada: await harness.logIn('ada') }
  })

  testRequests(
    () => harness,
    [
      { name: 'are for who says who they are', path: MINE, status: 401 },
      { name: 'are none at first', as: 'ada', path: MINE, status: 200, has: { identities: [] } },
      {
        name: 'are listed, without the subject',
        as: 'other',
        path: MINE,
        status: 200,
        has: { identities: [{ provider: 'company', email: 'other@example.com' }] },
        mustNotContain: ['subject of'],
      },
      { name: 'are linked by who has logged in', path: MINE, body: { provider: 'x' }, status: 401 },
      {
        name: 'are at a provider that is there',
        as: 'ada',
        path: MINE,
        body: { provider: 'x' },
        status: 404,
      },
      { name: 'are at a provider', as: 'ada', path: MINE, body: {}, status: 422 },
      {
        name: 'are at a provider with a name',
        as: 'ada',
        path: MINE,
        body: { provider: 'x'.repeat(65) },
        status: 422,
      },
      {
        name: 'are mine, not another’s',
        as: 'ada',
        path: MINE,
        body: { provider: 'company', account_id: 'x' },
        status: 422,
      },
      {
        name: 'RFC 9700 §4.11: do not lead elsewhere',
        as: 'ada',
        path: MINE,
        body: { provider: 'company', return_to: '//evil.example' },
        status: 422,
        has: { errors: [{ pointer: '#/return_to' }] },
      },
      {
        name: 'of others are none',
        as: 'ada',
        method: 'DELETE',
        get path() {
          return `${MINE}/${othersIdentity}`
        },
        status: 404,
      },
      {
        name: 'stay where I could not log in any more',
        as: 'other',
        method: 'DELETE',
        get path() {
          return `${MINE}/${othersIdentity}`
        },
        status: 409,
        has: { title: 'Last way to log in' },
      },
    ],
    () => tokens,
  )

  async function beginLink(token: string, id = 'company') {
    const browser = browserOf(harness)
    const body = { provider: id, return_to: '/account' }
    const headers = token.startsWith('qs_')
      ? { cookie: `quintet_session=${token}`, 'sec-fetch-site': 'same-origin' }
      : { authorization: `Bearer ${token}` }
    const response = await browser.post(`${ORIGIN}${MINE}`, body, headers)
    expect(response.status).toBe(201)
    const { location } = (await response.json()) as { location: string }
    return { browser, location }
  }

  test('are linked whatever their address, by who is at both sides', async () => {
    const id = await harness.addAccount({ username: name })
    const token = await harness.logIn(name)
    company.person = { sub: `subject of ${name}` }
    const { browser, location } = await beginLink(token)
    const { url } = await browser.follow(location, ({ pathname }) => pathname === '/account')
    expect(url.href).toBe(`${ORIGIN}/account`)
    expect(await lastEvent('auth.identity_linked')).toMatchObject({ user_id: id, actor_id: id })
    const signedOn = await signOn()
    const me = await harness.request({ path: ME, token: signedOn.token })
    expect(await me.json()).toMatchObject({ id })

    const listed = await harness.request({ path: MINE, token })
    const { identities } = (await listed.json()) as { identities: { id: string }[] }
    const path = `${MINE}/${identities[0]!.id}`
    const removed = await harness.request({ method: 'DELETE', path, token })
    expect(removed.status).toBe(204)
    expect(await lastEvent('auth.identity_removed')).toMatchObject({
      user_id: id,
      provider: 'company',
    })
    expect((await signOn()).token).toBeUndefined()
  })

  const taken = { status: 409, title: 'Identity taken', reason: 'identity_taken' }

  test('that are another’s are not linked', async () => {
    await harness.addAccount({ username: name })
    company.person = { sub: 'subject of other' }
    const { browser, location } = await beginLink(await harness.logIn(name))
    const { response } = await browser.follow(location)
    await refused(response, { ...taken, detail: 'linked to another account' })
  })

  test('are one at a provider', async () => {
    company.person = { sub: `second of ${name}` }
    const { browser, location } = await beginLink(tokens['other']!)
    const { response } = await browser.follow(location)
    await refused(response, { ...taken, detail: 'somebody else at this provider' })
  })

  test('are not linked in another browser, nor once the session is over', async () => {
    await harness.addAccount({ username: name })
    const token = await harness.logIn(name)
    const { browser, location } = await beginLink(token)
    const elsewhere = await browserOf(harness).follow(location)
    await refused(elsewhere.response, { status: 400, title: 'Invalid sign-on', reason: 'sign_on' })
    await harness.request({ method: 'POST', path: '/api/v1/auth/logout', token })
    const { response } = await browser.follow(location)
    await refused(response, { status: 400, title: 'Invalid sign-on', reason: 'sign_on' })
    const { identities } = tables()
    const all = await harness.platform.database.read.select().from(identities)
    expect(all.some(({ subject }) => subject === company.person['sub'])).toBe(false)
  })

  test('are removed by who has a passkey, since that logs in alone', async () => {
    const { token } = await signOn()
    const { id: accountId } = (await accountCalled(name))!
    const listed = await harness.request({ path: MINE, token })
    const { identities } = (await listed.json()) as { identities: { id: string }[] }
    const remove = () =>
      harness.request({ method: 'DELETE', path: `${MINE}/${identities[0]!.id}`, token })
    expect((await remove()).status).toBe(409)
    await harness.platform.database.write(async (tx) => {
      await tx.insert(tables().passkeys).values({
        id: Bun.randomUUIDv7(),
        accountId,
        credentialId: name,
        publicKey: 'key',
        counter: 0,
        transports: [],
        name: 'This laptop',
        isBackedUp: false,
        createdAt: new Date(),
      })
    })
    expect((await remove()).status).toBe(204)
  })

  test('at a provider that is gone do not let anybody in, so the last that does stays', async () => {
    const { token } = await signOn()
    const { id: accountId } = (await accountCalled(name))!
    const { identities } = tables()
    const now = new Date()
    const row = { accountId, provider: 'gone', subject: name, createdAt: now, usedAt: now }
    await harness.platform.database.write(async (tx) => {
      await tx.insert(identities).values({ id: Bun.randomUUIDv7(), ...row })
    })
    const listed = await harness.request({ path: MINE, token })
    const all = ((await listed.json()) as { identities: { id: string; provider: string }[] })
      .identities
    const remove = (provider: string) => {
      const { id } = all.find((each) => each.provider === provider)!
      return harness.request({ method: 'DELETE', path: `${MINE}/${id}`, token })
    }
    expect((await remove('company')).status).toBe(409)
    expect((await remove('gone')).status).toBe(204)
  })
  test('are void with the password that an administrator voids, and so are keys; not with one that is set', async () => {
    const id = await harness.addAccount({ username: name })
    const token = await harness.logIn(name)
    const { browser, location } = await beginLink(token)
    await browser.follow(location, ({ pathname }) => pathname === '/account')
    const key = { name: 'left behind', scopes: ['models:read'] }
    const made = await harness.request({ path: '/api/v1/api-keys', body: key, token })
    const { key: secret } = (await made.json()) as { key: string }
    const isGood = async () =>
      (await harness.request({ path: '/api/v1/models', token: secret })).status === 200
    const linked = async () => {
      const { identities } = tables()
      const all = await harness.platform.database.read.select().from(identities)
      return all.filter(({ accountId }) => accountId === id).length
    }
    const path = `/api/v1/users/${id}/password`
    const reset = (body: object) => harness.request({ path, body, token: harness.adminToken })

    expect((await reset({ password: 'the given one' })).status).toBe(204)
    expect([await isGood(), await linked()]).toEqual([true, 1])
    expect((await reset({})).status).toBe(200)
    expect([await isGood(), await linked()]).toEqual([false, 0])
    expect(await lastEvent('auth.api_key_deleted')).toMatchObject({ user_id: id })
    expect(await lastEvent('auth.identity_removed')).toMatchObject({ user_id: id })
    // Who signs on by it now is somebody else.
    const { token: later } = await signOn()
    const me = await harness.request({ path: ME, token: later })
    expect(((await me.json()) as { id: string }).id).not.toBe(id)
  })

  // Last: a provider's tokens are not from the time that it is then.
  test('ASVS 7.5.1: are linked and removed by who has just logged in', async () => {
    await harness.addAccount({ username: name })
    const token = await harness.logIn(name)
    harness.clock.advance(601_000)
    const old = { status: 403, title: 'Login not recent' }
    const link = { path: MINE, body: { provider: 'company' }, token }
    expect(await (await harness.request(link)).json()).toMatchObject(old)
    const path = `${MINE}/${othersIdentity}`
    const remove = await harness.request({ method: 'DELETE', path, token })
    expect(await remove.json()).toMatchObject(old)
  })
})
