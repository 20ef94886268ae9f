import { afterAll, beforeAll, expect, test } from 'bun:test'

import { generateSync } from 'otplib'

import { PASSWORD } from '../support/harness.ts'
import { startServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  // As a newcomer starts it, who has not set PUBLIC_URL: the port is not the one that it names.
  server = await startServer()
  expect(new URL(server.url).port).not.toBe('8080')
})
afterAll(() => server.stop())

/** What a browser keeps, and what it sends of itself: an old one, that knows no Sec-Fetch-Site. */
function createBrowser(at = server) {
  const jar = new Map<string, string>()

  async function visit(path: string, fields?: Record<string, string>): Promise<Response> {
    const response = await fetch(at.url + path, {
      redirect: 'manual',
      method: fields === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'text/html',
        'user-agent': 'Firefox',
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(fields === undefined ? {} : { origin: at.url }),
      },
      ...(fields === undefined ? {} : { body: new URLSearchParams(fields) }),
    })
    for (const { name, value, maxAge } of response.headers.getSetCookie().map(Bun.Cookie.parse)) {
      if (maxAge === 0) jar.delete(name)
      else jar.set(name, value)
    }
    const location = response.headers.get('location')
    return response.status === 303 ? visit(location!) : response
  }
  return { jar, visit }
}

test('sign in, use the API and the account by cookie, sign out, and nothing is left of it', async () => {
  const { jar, visit } = createBrowser()
  expect((await visit('/api/v1/me')).status).toBe(401)

  const asked = await (await visit('/account')).text()
  const action = /<form method="post" action="([^"]+)"/.exec(asked)![1]!
  expect(action).toBe('/sign-in?return_to=%2Faccount')

  const wrong = await visit(action, { username: 'admin', password: 'wrong' })
  expect([wrong.status, await wrong.text()]).toEqual([401, expect.stringContaining('role="alert"')])
  expect(jar.size).toBe(0)

  const account = await (await visit(action, { username: 'admin', password: PASSWORD })).text()
  expect(account).toContain('Signed in as <strong>admin</strong>')
  const [[name, secret] = []] = [...jar]
  expect([name, secret]).toEqual(['quintet_session', expect.stringMatching(/^qs_/)])
  expect(await (await visit('/api/v1/me')).json()).toMatchObject({ username: 'admin' })
  expect(await (await visit('/api/v1/models')).json()).toHaveProperty('models')

  const signedOut = await visit('/sign-out', {})
  expect(await signedOut.text()).toContain('<h1>Sign in</h1>')
  expect(jar.size).toBe(0)
  jar.set(name!, secret!)
  expect((await visit('/api/v1/me')).status).toBe(401)
})

test('sign up by the page that the form to sign in leads to, and sign in', async () => {
  const open = await startServer({ SIGNUP: 'open' })
  const { jar, visit } = createBrowser(open)
  const [, path] = /<a href="([^"]+)">Sign up/.exec(await (await visit('/sign-in')).text())!
  const fields = { username: 'grace', email: '', password: PASSWORD }
  const short = await visit(path!, { ...fields, password: 'short' })
  expect([short.status, await short.text()]).toEqual([
    422,
    expect.stringContaining('value="grace"'),
  ])
  const made = await (await visit(path!, fields)).text()
  expect(made).toContain('Your account is made. Sign in to it.')
  expect(jar.size).toBe(0)
  const account = await (await visit('/sign-in', { username: 'grace', password: PASSWORD })).text()
  expect(account).toContain('Signed in as <strong>grace</strong>')
  expect(await (await visit('/sign-in')).text()).toContain('You are signed in as')
  await open.stop()
})

test('signing in again while signed in ends the session before', async () => {
  const browser = createBrowser()
  const form = { username: 'admin', password: PASSWORD }
  await browser.visit('/sign-in', form)
  const before = browser.jar.get('quintet_session')!
  await browser.visit('/sign-in', form)
  expect(browser.jar.get('quintet_session')).not.toBe(before)
  const thief = createBrowser()
  thief.jar.set('quintet_session', before)
  expect((await thief.visit('/api/v1/me')).status).toBe(401)
})

test('a page of another server on this machine can’t sign a browser in or act for it', async () => {
  const { jar, visit } = createBrowser()
  await visit('/sign-in', { username: 'admin', password: PASSWORD })
  const cookie = `quintet_session=${jar.get('quintet_session')}`
  const send = (path: string, headers: Record<string, string>, body: string) =>
    fetch(server.url + path, { method: 'POST', redirect: 'manual', headers, body })
  const elsewhere = { origin: 'http://127.0.0.1:3000', cookie }
  const form = { ...elsewhere, 'content-type': 'application/x-www-form-urlencoded' }
  const password = encodeURIComponent(PASSWORD)
  const answers = await Promise.all([
    send('/sign-in', form, `username=admin&password=${password}`),
    send('/sign-out', form, ''),
    // As text, which needs no leave of CORS.
    send('/api/v1/auth/logout', { ...elsewhere, 'content-type': 'text/plain' }, ''),
  ])
  expect(answers.map(({ status }) => status)).toEqual([403, 403, 403])
  expect(answers.flatMap(({ headers }) => headers.getSetCookie())).toEqual([])
  expect((await visit('/api/v1/me')).status).toBe(200)
})

test('without any script, a code of an app is the second step', async () => {
  const token = await server.logIn()
  const post = async (path: string, body?: object) => {
    const response = await fetch(server.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return (await response.json()) as { secret: string; recovery_codes: string[] }
  }
  const { secret } = await post('/api/v1/me/totp')
  // Each is good once; that of the next step is taken as well, for clocks that are fast.
  const codeAt = (seconds: number) =>
    generateSync({ secret, epoch: Math.floor(Date.now() / 1000) + seconds })
  const confirmed = await post('/api/v1/me/totp/confirmation', { code: codeAt(0) })
  expect(confirmed.recovery_codes).toHaveLength(10)

  const { jar, visit } = createBrowser()
  const form = { username: 'admin', password: PASSWORD }
  const first = await (await visit('/sign-in?return_to=/api/v1/me', form)).text()
  expect([jar.size, first.includes('<h1>Second factor</h1>')]).toEqual([0, true])
  const [, action] = /<form method="post" action="([^"]+)"/.exec(first)!
  const [, ticket] = /name="ticket" value="([^"]+)"/.exec(first)!

  const wrong = await visit(action!, { ticket: ticket!, code: '000000' })
  expect([wrong.status, jar.size]).toEqual([401, 0])
  expect(await wrong.text()).toContain('The code is wrong, or was used.')
  const me = await visit(action!, { ticket: ticket!, code: codeAt(30) })
  expect(await me.json()).toMatchObject({ username: 'admin' })
  expect([...jar.keys()]).toEqual(['quintet_session'])
})
