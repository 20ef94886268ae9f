import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createSocketServer } from 'node:net'
import { join } from 'node:path'

import { Provider } from 'oidc-provider'

import { type Browser, createBrowser } from '../support/browser.ts'
import { CLIENT } from '../support/openid-provider.ts'
import { newDirectory, runServer, startServer, type TestServer } from '../support/server.ts'

const KEYS = ['a secret for the cookies of the provider']

/** Who can sign in at the provider, with what is known of them there. */
const people: Record<string, Record<string, unknown>> = {
  ada: { email: 'ada@example.com', email_verified: true, groups: ['staff', 'analysts'] },
  eve: { email: 'eve@example.com', email_verified: false },
  mallory: { email: 'mallory@elsewhere.example', email_verified: true },
}

let issuer: string
let provider: Server
let server: TestServer
const directory = newDirectory()

async function freePort(): Promise<number> {
  const socket = createSocketServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => socket.once('listening', resolve))
  const { port } = socket.address() as { port: number }
  await new Promise((resolve) => socket.close(resolve))
  return port
}

function createProvider(): Provider {
  const client = (id: string) => ({
    ...CLIENT,
    client_id: id,
    redirect_uris: [`${server.url}/api/v1/auth/sso/${id}/callback`],
    response_types: ['code'],
    grant_types: ['authorization_code'],
  })
  const { client_secret: _, ...open } = client('open')
  return new Provider(issuer, {
    clients: [
      client('basic'),
      { ...client('post'), token_endpoint_auth_method: 'client_secret_post' },
      { ...open, token_endpoint_auth_method: 'none' },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['groups'] },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, ...people[id] }),
    }),
    pkce: { required: () => true },
    cookies: { keys: KEYS },
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      Grant: 600,
      IdToken: 600,
      Interaction: 600,
      Session: 600,
    },
  })
}

beforeAll(async () => {
  const providerPort = await freePort()
  const port = await freePort()
  issuer = `http://127.0.0.1:${providerPort}`
  const common = { issuer, domains: ['example.com'], roles: { analysts: 'editor' } }
  const { client_secret } = CLIENT
  await Bun.write(
    join(directory, 'providers.json'),
    JSON.stringify([
      { ...common, id: 'basic', client_id: 'basic', client_secret },
      { ...common, id: 'post', client_id: 'post', client_secret },
      { ...common, id: 'open', client_id: 'open' },
    ]),
  )
  // The provider is away when it starts.
  server = await startServer({
    PORT: String(port),
    PUBLIC_URL: `http://localhost:${port}`,
    SSO_PROVIDERS: `@${join(directory, 'providers.json')}`,
    SSO_TIMEOUT_MS: '2000',
  })
})
afterAll(async () => {
  await server.stop()
  provider.close()
  rmSync(directory, { recursive: true })
})

const start = (id: string, returnTo = '/docs') =>
  `${server.url}/api/v1/auth/sso/${id}/start?return_to=${encodeURIComponent(returnTo)}`
const isBack = ({ origin, pathname }: URL) => origin === server.url && !pathname.startsWith('/api/')

/** Fills in the forms that the provider shows, until the browser is back. */
async function signOn(browser: Browser, who: string, id = 'basic') {
  let { url, response } = await browser.follow(start(id), isBack)
  while (url.origin === issuer && response.status === 200) {
    const page = await response.text()
    const action = /<form[^>]* action="([^"]+)"/.exec(page)?.[1]
    const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1]
    if (action === undefined || prompt === undefined) throw new Error(`no form: ${page}`)
    const form = new URLSearchParams({ prompt, login: who, password: 'any' }).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const sent = await browser.post(action, form, headers)
    const next = new URL(sent.headers.get('location')!, action)
    ;({ url, response } = await browser.follow(next.href, isBack))
  }
  return { url, response }
}

/** Whom the browser's cookie stands for. */
async function me(browser: Browser) {
  const response = await browser.get(`${server.url}/api/v1/me`)
  expect(response.status).toBe(200)
  return (await response.json()) as { id: string; username: string }
}

test('with the provider away the server starts, says so, and lets people in by password', async () => {
  const response = await fetch(start('basic'), { redirect: 'manual' })
  expect(response.status).toBe(503)
  expect(await response.text()).toContain('basic')
  expect(await server.logIn()).toBeString()
})

describe('with a certified provider', () => {
  beforeAll(async () => {
    provider = createServer(createProvider().callback())
    await new Promise<void>((resolve) => {
      provider.listen(Number(new URL(issuer).port), '127.0.0.1', resolve)
    })
  })

  test.each(['basic', 'post', 'open'])(
    'somebody signs in there, as client by %s, and is in here',
    async (id) => {
      const browser = createBrowser()
      const { url } = await signOn(browser, 'ada', id)
      expect(url.pathname).toBe('/docs')
      const account = await me(browser)
      // The first made the account; the others are linked to it by its verified address.
      expect(account).toMatchObject({ username: 'ada', email: 'ada@example.com', role: 'editor' })
    },
  )

  test('who is signed in there already comes straight back', async () => {
    const browser = createBrowser()
    await signOn(browser, 'ada')
    const account = await me(browser)
    const { url } = await browser.follow(start('basic', '/reports'), isBack)
    expect(url.pathname).toBe('/reports')
    expect((await me(browser)).id).toBe(account.id)
  })

  test.each([
    ['eve', 'an address that is not verified', 'does not say that an e-mail address is yours'],
    ['mallory', 'an address elsewhere', 'Ask an administrator'],
  ])('%s, with %s, is told why not', async (who, _, why) => {
    const { response } = await signOn(createBrowser(), who)
    expect(response.status).toBe(403)
    expect(await response.text()).toContain(why)
  })

  test('who changes their mind there is told so', async () => {
    const browser = createBrowser()
    const { url } = await browser.follow(start('basic'))
    const { response } = await browser.follow(`${url.href}/abort`)
    expect(response.status).toBe(403)
    expect(await response.text()).toContain('access_denied')
  })

  test('RFC 9700 §4.5: a code is used up there too', async () => {
    const browser = createBrowser()
    await signOn(browser, 'ada')
    const isCallback = ({ pathname }: URL) => pathname.endsWith('/callback')
    const first = await browser.follow(start('basic'), isCallback)
    expect((await browser.get(first.url.href)).status).toBe(303)
    const second = await browser.follow(start('basic'), isCallback)
    second.url.searchParams.set('code', first.url.searchParams.get('code')!)
    expect((await browser.get(second.url.href)).status).toBe(400)
  })
})

test('faulty providers keep the server from starting, and no secret is shown', async () => {
  const faulty = [
    { id: 'x', issuer: 'http://id.example.com', client_id: 'x', client_secret: ['very-secret'] },
  ]
  const { code, output, errors } = await runServer({
    SSO_PROVIDERS: JSON.stringify(faulty),
    PORT: 'x',
  })
  expect(code).toBe(1)
  expect(errors).toContain('SSO_PROVIDERS: 0.issuer: expected an https address')
  expect(errors).toContain('0.client_secret')
  expect(errors).toContain('PORT')
  expect(output + errors).not.toContain('very-secret')
})
