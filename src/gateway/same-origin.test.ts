import { describe, expect, test } from 'bun:test'

import { z } from '@hono/zod-openapi'

import { ADAS_COOKIE, createTestGateway, OLD_COOKIE } from '../../tests/support/gateway.ts'
import { type Route, route } from './route.ts'

const spec = { tag: 'test', summary: 'A test', answers: { 200: { description: 'Done' } } } as const
const routes: Route[] = [
  ...(['get', 'post', 'put', 'patch', 'delete'] as const).map((method) =>
    route({ ...spec, method, path: '/thing', access: 'models:read' }, (_, { principal }) => ({
      body: principal.id,
    })),
  ),
  route({ ...spec, method: 'post', path: '/form', access: 'open', isPage: true }, () => ({
    body: 'done',
  })),
  route({ ...spec, method: 'post', path: '/api', access: 'open' }, () => ({ body: 'done' })),
  route(
    {
      ...spec,
      method: 'get',
      path: '/forward',
      access: 'signed-in',
      rate: 'forward',
      query: z.object({}),
    },
    () => ({ body: 'done' }),
  ),
]
const plain = createTestGateway(routes, { CORS_ORIGINS: 'https://app.example.com' })
const secure = createTestGateway(routes, { PUBLIC_URL: 'https://q.example.com' })
const adas = { cookie: `quintet_session=${ADAS_COOKIE}` }
const adasSecure = { cookie: `__Host-quintet_session=${ADAS_COOKIE}`, host: 'q.example.com' }

type Headers = Record<string, string>
const statusOf = async (headers: Headers, method = 'POST', path = '/thing', gateway = plain) =>
  (await gateway.request({ method, path, headers })).status

describe('forged: a request with the cookie from a page of somewhere else is refused', () => {
  test.each<[string, Headers]>([
    ['a form of another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
    [
      'a form of another host of the domain, which SameSite lets pass',
      { 'sec-fetch-site': 'same-site', origin: 'https://blog.example.com' },
    ],
    [
      'a fetch with credentials, of an origin that may call the API',
      { 'sec-fetch-site': 'cross-site', origin: 'https://app.example.com' },
    ],
    ['an unknown word', { 'sec-fetch-site': 'SAME-ORIGIN', origin: 'http://localhost' }],
    [
      'an origin that is right where the browser says it is not',
      { 'sec-fetch-site': 'cross-site', origin: 'http://localhost:8080' },
    ],
    ['neither header', {}],
    ['Origin: null, as of a sandboxed frame', { origin: 'null' }],
    ['another origin', { origin: 'https://evil.example' }],
    ['another port of this machine', { origin: 'http://localhost:3000' }],
    ['a name that begins alike', { origin: 'http://localhost.evil.example' }],
    ['https where it is http', { origin: 'https://localhost' }],
    ['a referrer alone', { referer: 'http://localhost:8080/' }],
  ])('%s', async (_, headers) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      expect(await statusOf({ ...adas, ...headers }, method)).toBe(403)
    }
    // Nor may it set a cookie: somebody would go on in another's account (login CSRF).
    expect(await statusOf(headers, 'POST', '/form')).toBe(403)
  })

  test('a refusal says where the pages are', async () => {
    const response = await plain.request({ method: 'POST', path: '/thing', headers: adas })
    expect(await response.json()).toMatchObject({
      status: 403,
      title: 'Forbidden',
      detail: expect.stringContaining('http://localhost:8080 (PUBLIC_URL)'),
    })
  })

  test.each<[string, Headers]>([
    ['its own Host over http', { origin: 'http://q.example.com' }],
    ['its own Host at another port', { origin: 'https://q.example.com:8443' }],
    ['another host', { origin: 'https://evil.example', host: 'evil.example' }],
  ])('where PUBLIC_URL is https: %s', async (_, headers) => {
    expect(await statusOf({ ...adasSecure, ...headers }, 'POST', '/thing', secure)).toBe(403)
  })

  test('a WebSocket, which any page may open and read', async () => {
    const upgrade = { ...adas, upgrade: 'websocket', connection: 'upgrade' }
    const evil = { ...upgrade, origin: 'https://evil.example' }
    expect(await statusOf(evil, 'GET')).toBe(403)
    expect(await statusOf({ ...upgrade, origin: 'http://localhost' }, 'GET')).toBe(200)
    // Whether that may be, the application behind the proxy knows.
    expect(await statusOf(evil, 'GET', '/forward')).toBe(200)
  })
})

describe('passed', () => {
  test.each<[string, Headers]>([
    ['a page of this server', { 'sec-fetch-site': 'same-origin', origin: 'http://any.example' }],
    ['the user, by no page', { 'sec-fetch-site': 'none' }],
    ['PUBLIC_URL, of a browser that says no more', { origin: 'http://localhost:8080' }],
    [
      'the address that it was sent to, on a server that nobody has told its own',
      { origin: 'http://192.168.1.7:9000', host: '192.168.1.7:9000' },
    ],
  ])('%s', async (_, headers) => {
    expect(await statusOf({ ...adas, ...headers })).toBe(200)
    expect(await statusOf(headers, 'POST', '/form')).toBe(200)
  })

  test('PUBLIC_URL over https', async () => {
    const headers = { ...adasSecure, origin: 'https://q.example.com' }
    expect(await statusOf(headers, 'POST', '/thing', secure)).toBe(200)
  })

  test('what only reads, from wherever: its answer is for pages of the same origin', async () => {
    const headers = { ...adas, 'sec-fetch-site': 'cross-site', origin: 'https://app.example.com' }
    const response = await plain.request({ path: '/thing', headers })
    expect(response.status).toBe(200)
    // Without this no page of another origin gets an answer that a cookie has asked for.
    expect(response.headers.get('access-control-allow-credentials')).toBeNull()
  })

  test('a token, which no browser sends by itself, and then the cookie does not count', async () => {
    const headers = { ...adas, 'sec-fetch-site': 'cross-site', authorization: 'Bearer eve' }
    const response = await plain.request({ method: 'POST', path: '/thing', headers })
    expect(await response.json()).toBe('id-of-eve')
    const bad = { ...adas, authorization: 'Bearer nobody' }
    expect(await statusOf(bad, 'GET')).toBe(401)
  })

  test('an open route of the API, which no cookie changes', async () => {
    expect(await statusOf({ 'sec-fetch-site': 'cross-site' }, 'POST', '/api')).toBe(200)
  })
})

describe('the cookie stands for', () => {
  test('whose it is', async () => {
    const response = await plain.request({ path: '/thing', headers: adas })
    expect(await response.json()).toBe('id-of-ada')
  })

  test('nobody once its session is over, where strangers may not ask', async () => {
    const old = { cookie: `quintet_session=${OLD_COOKIE}` }
    expect(await statusOf(old, 'GET')).toBe(401)
  })

  test('a stranger then, where strangers may', async () => {
    const open = createTestGateway(routes, { ANONYMOUS_SCOPES: 'models:read' })
    const ask = async (secret: string) => {
      const headers = { cookie: `quintet_session=${secret}` }
      return (await open.request({ path: '/thing', headers })).json()
    }
    expect([await ask(OLD_COOKIE), await ask(ADAS_COOKIE)]).toEqual(['203.0.113.7', 'id-of-ada'])
  })

  test('nothing as a token, nor a token as a cookie', async () => {
    expect(await statusOf({ authorization: `Bearer ${ADAS_COOKIE}` }, 'GET')).toBe(401)
    expect(await statusOf({ cookie: 'quintet_session=ada' }, 'GET')).toBe(401)
  })

  test('a guess at one is counted', async () => {
    const strict = createTestGateway(routes, { RATE_LIMIT_PRINCIPAL: '2' })
    const headers = { cookie: `quintet_session=${OLD_COOKIE}` }
    const statuses = [1, 2, 3].map(async () => statusOf(headers, 'GET', '/thing', strict))
    expect(await Promise.all(statuses)).toEqual([401, 401, 429])
  })

  test('a guess that a proxy hands on is counted with what proxies ask', async () => {
    const strict = createTestGateway(routes, { RATE_LIMIT_PRINCIPAL: '1', RATE_LIMIT_FORWARD: '2' })
    const statuses = [1, 2, 3].map(async () => statusOf({}, 'GET', '/forward', strict))
    expect(await Promise.all(statuses)).toEqual([401, 401, 429])
  })
})
