import { describe, expect, test } from 'bun:test'

import { z } from 'zod'

import { createTestGateway, LATE_MS } from '../../tests/support/gateway.ts'
import { Unavailable } from '../platform/unavailable.ts'
import { type Route, route } from './route.ts'

const documented = { tag: 'test', summary: 'A route of the tests', answers: {} }
const echoBody = z.object({ text: z.string() })

let signals: AbortSignal[] = []
const routes: Route[] = [
  route(
    { ...documented, method: 'get', path: '/open', access: 'open' },
    (_, { address, principal }) => ({
      body: { address, kind: principal.kind },
    }),
  ),
  route(
    { ...documented, method: 'get', path: '/guarded', access: 'signed-in' },
    (_, { principal }) => ({
      body: { id: principal.id },
    }),
  ),
  route(
    { ...documented, method: 'get', path: '/scoped', access: 'predict' },
    (_, { principal }) => ({
      body: { kind: principal.kind, id: principal.id },
    }),
  ),
  route({ ...documented, method: 'get', path: '/admin', access: 'users:write' }, () => ({
    body: {},
  })),
  route(
    {
      ...documented,
      method: 'get',
      path: '/scrape',
      access: 'metrics:read',
      isOpenToLoopback: true,
    },
    () => ({ body: {} }),
  ),
  route({ ...documented, method: 'get', path: '/login', access: 'open', rate: 'auth' }, () => ({
    body: {},
  })),
  route(
    {
      ...documented,
      method: 'post',
      path: '/optional',
      access: 'open',
      body: {
        schema: z.strictObject({ text: z.string().optional() }),
        example: {},
        isOptional: true,
      },
    },
    ({ body }) => ({ body: { taken: body } }),
  ),
  route(
    {
      ...documented,
      method: 'post',
      path: '/form',
      access: 'open',
      bodyBytesMax: 100,
      body: { schema: echoBody, example: {}, isForm: true },
      refusal: ({ kind, message }) => ({
        status: kind.status,
        body: { refused: message },
        headers: { 'x-refused': 'by the route' },
      }),
    },
    ({ body }) => ({ body }),
  ),
  route({ ...documented, method: 'get', path: '/unlimited', access: 'open', rate: 'none' }, () => ({
    body: {},
  })),
  route(
    {
      ...documented,
      method: 'get',
      path: '/things/{id}',
      access: 'open',
      pathParameters: z.object({ id: z.string() }),
    },
    ({ path }) => ({ body: path }),
  ),
  route(
    {
      ...documented,
      method: 'post',
      path: '/echo',
      access: 'open',
      bodyBytesMax: 100,
      body: { schema: echoBody, example: {} },
    },
    ({ body }) => ({ body }),
  ),
  route(
    {
      ...documented,
      method: 'put',
      path: '/raw/{+key}',
      access: 'open',
      // Above BODY_BYTES_MAX, which is for what is held in memory.
      bodyBytesMax: 100,
      pathParameters: z.object({ key: z.string() }),
      query: z.object({ count: z.string().regex(/^\d+$/).transform(Number) }),
      body: 'stream',
    },
    async ({ path, query, body }) => ({
      body: { ...path, ...query, bytes: (await new Response(body).text()).length },
    }),
  ),
  route({ ...documented, method: 'get', path: '/away', access: 'open' }, () => {
    throw new Unavailable('The sun', { retryAfterSeconds: 7, cause: new Error('the secret cause') })
  }),
  route({ ...documented, method: 'get', path: '/bug', access: 'open' }, () => {
    throw new Error('the secret cause', { cause: new Error('deeper') })
  }),
  route(
    { ...documented, method: 'get', path: '/slow', access: 'open', timeoutMs: 20 },
    async (_, { signal }) => {
      signals.push(signal)
      await new Promise(() => {})
      return { body: {} }
    },
  ),
]
const SECURE = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
}

describe('request id', () => {
  const { request } = createTestGateway(routes)
  test('is made where there is none', async () => {
    const response = await request({ path: '/open' })
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  })
  test('is taken over', async () => {
    const response = await request({ path: '/open', headers: { 'x-request-id': 'mine-1' } })
    expect(response.headers.get('x-request-id')).toBe('mine-1')
  })
  test.each(['with space', 'x'.repeat(129), '<script>', 'a:b'])('%p is not', async (given) => {
    const response = await request({ path: '/open', headers: { 'x-request-id': given } })
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  })
})

describe('headers', () => {
  const { request } = createTestGateway(routes)
  test.each([
    ['an answer', '/open', 200],
    ['no route', '/nowhere', 404],
    ['a refusal', '/guarded', 401],
    ['a bug', '/bug', 500],
  ])('%s has them all', async (_, path, status) => {
    const response = await request({ path })
    expect(response.status).toBe(status)
    expect(Object.fromEntries(response.headers)).toMatchObject(SECURE)
    expect(response.headers.get('traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
  })
  test('HTTPS is remembered where the public address is HTTPS', async () => {
    const secure = createTestGateway(routes, { PUBLIC_URL: 'https://api.example.com' })
    const response = await secure.request({ path: '/open' })
    expect(response.headers.get('strict-transport-security')).toContain('max-age=')
    expect((await request({ path: '/open' })).headers.has('strict-transport-security')).toBe(false)
  })
})

describe('trace', () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const { request, lines } = createTestGateway(routes)
  test('is continued, with a span of its own', async () => {
    const traceparent = `00-${traceId}-00f067aa0ba902b7-01`
    const response = await request({ path: '/open', headers: { traceparent } })
    expect(response.headers.get('traceparent')).toMatch(
      new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`),
    )
    expect(response.headers.get('traceparent')).not.toContain('00f067aa0ba902b7')
    expect(lines.at(-1)).toMatchObject({ 'trace.id': traceId })
  })
})

describe('routes that are none', () => {
  const { request, metrics } = createTestGateway(routes)
  test('an unknown path is 404, and its name is no label', async () => {
    const response = await request({ path: '/secret-path' })
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ title: 'Not found', error: 'Not found' })
    const text = await metrics()
    expect(text).toContain('http_requests_total{method="GET",endpoint="unmatched",status="404"} 1')
    expect(text).not.toContain('secret-path')
  })
  test('a wrong method is 405 and says which are right', async () => {
    const response = await request({ method: 'DELETE', path: '/things/7' })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('HEAD, GET')
  })
  test('HEAD answers as GET does, without a body', async () => {
    const response = await request({ method: 'HEAD', path: '/open' })
    expect({ status: response.status, body: await response.text() }).toEqual({
      status: 200,
      body: '',
    })
    const whole = await (await request({ path: '/open' })).text()
    expect(response.headers.get('content-length')).toBe(String(whole.length))
  })
  test('OPTIONS says which methods there are', async () => {
    const response = await request({ method: 'OPTIONS', path: '/echo' })
    expect({ status: response.status, allow: response.headers.get('allow') }).toEqual({
      status: 204,
      allow: 'POST',
    })
  })
})

describe('CORS', () => {
  const origin = 'https://app.example.com'
  const { request } = createTestGateway(routes, {
    CORS_ORIGINS: `${origin}, https://two.example.com`,
  })
  const asking = {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization',
  }

  test('a listed origin may read the answer', async () => {
    const response = await request({ path: '/open', headers: { origin } })
    expect(response.headers.get('access-control-allow-origin')).toBe(origin)
    expect(response.headers.get('vary')).toBe('origin')
  })
  test.each([
    'https://app.example.com.evil.com',
    'http://app.example.com',
    'https://APP.example.com',
    'null',
  ])('%s may not', async (other) => {
    const response = await request({ path: '/open', headers: { origin: other } })
    expect(response.headers.has('access-control-allow-origin')).toBe(false)
    expect(response.headers.get('vary')).toBe('origin')
  })
  test('a preflight of a listed origin is answered', async () => {
    const response = await request({
      method: 'OPTIONS',
      path: '/echo',
      headers: { origin, ...asking },
    })
    expect(response.status).toBe(204)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': expect.stringContaining('authorization'),
    })
  })
  test('a preflight of another origin gets nothing', async () => {
    const headers = { origin: 'https://evil.example.com', ...asking }
    const response = await request({ method: 'OPTIONS', path: '/echo', headers })
    expect(
      [...response.headers.keys()].filter((name) => name.startsWith('access-control')),
    ).toEqual([])
  })
  test('a refusal can be read too', async () => {
    const response = await request({ path: '/guarded', headers: { origin } })
    expect(response.headers.get('access-control-allow-origin')).toBe(origin)
  })
})

describe('body', () => {
  const { request } = createTestGateway(routes)
  const bodyOf = (bytes: number) => `{"text":"${'x'.repeat(bytes - 11)}"}`
  const streamOf = (text: string) =>
    new ReadableStream({
      start(controller) {
        for (const part of text.match(/.{1,7}/g)!)
          controller.enqueue(new TextEncoder().encode(part))
        controller.close()
      },
    })

  test('at the limit', async () => {
    expect((await request({ path: '/echo', body: bodyOf(100) })).status).toBe(200)
    expect((await request({ path: '/echo', body: streamOf(bodyOf(100)) })).status).toBe(200)
  })
  test('one byte above it, announced or not', async () => {
    expect((await request({ path: '/echo', body: bodyOf(101) })).status).toBe(413)
    expect((await request({ path: '/echo', body: streamOf(bodyOf(101)) })).status).toBe(413)
  })
  test('bytes that lie about their length', async () => {
    const headers = { 'content-length': '5' }
    expect((await request({ path: '/echo', body: bodyOf(101), headers })).status).toBe(413)
  })
  test('what is no UTF-8 is refused, announced or not, and not put right in silence', async () => {
    const latin1 = Uint8Array.from(Buffer.from('{"text":"b\u00e9a"}', 'latin1'))
    expect((await request({ path: '/echo', body: latin1 })).status).toBe(400)
    const streamed = await request({ path: '/echo', body: new Blob([latin1]).stream() })
    expect(streamed.status).toBe(400)
    expect(await streamed.json()).toMatchObject({ detail: 'The body is not UTF-8.' })
  })
  test('a byte order mark is passed over, announced or not', async () => {
    const marked = '\uFEFF{"text":"x"}'
    expect((await request({ path: '/echo', body: marked })).status).toBe(200)
    const body = new Blob([marked]).stream()
    expect((await request({ path: '/echo', body })).status).toBe(200)
  })
  test('what is missing, and what is of another type, is said plainly', async () => {
    const faultOf = async (body: string) =>
      ((await (await request({ path: '/echo', body })).json()) as { errors: object[] }).errors
    expect(await faultOf('{}')).toEqual([{ pointer: '#/text', detail: 'is missing' }])
    expect(await faultOf('{"text": 7}')).toEqual([
      { pointer: '#/text', detail: 'expected string, received number' },
    ])
  })
  test('a fault is named by a pointer', async () => {
    const response = await request({ path: '/echo', body: '{"text": 7}' })
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({ errors: [{ pointer: '#/text' }] })
  })
  test.each(['application/json; charset=utf-8', 'application/vnd.api+json', 'Application/JSON'])(
    '%s is JSON',
    async (type) => {
      const headers = { 'content-type': type }
      expect((await request({ path: '/echo', body: '{"text":"x"}', headers })).status).toBe(200)
    },
  )
  test.each(['application/jsonp', 'text/json', ''])('%p is not', async (type) => {
    const headers = { 'content-type': type }
    expect((await request({ path: '/echo', body: '{"text":"x"}', headers })).status).toBe(415)
  })
})

describe('a body that is optional', () => {
  const { request } = createTestGateway(routes)
  const send = (body?: string, headers: Record<string, string> = {}) =>
    request({ method: 'POST', path: '/optional', body, headers })

  test('may be left out, or be empty', async () => {
    for (const response of [await send(), await send(undefined, { 'content-length': '0' })]) {
      expect(await response.json()).toEqual({ taken: {} })
    }
    const json = { 'content-type': 'application/json' }
    expect(await (await send('{"text":"x"}', json)).json()).toEqual({ taken: { text: 'x' } })
  })
  test.each([
    ['of another type', 'text=x', { 'content-type': 'text/plain' }, 415],
    ['without a type', '{}', { 'content-type': '' }, 415],
    ['that is announced', undefined, { 'content-length': '2' }, 415],
    ['that is to come', undefined, { 'transfer-encoding': 'chunked' }, 415],
    ['with a type and nothing else', '', { 'content-type': 'application/json' }, 400],
    ['with what is unknown', '{"role":"x"}', { 'content-type': 'application/json' }, 422],
  ])('%s is refused as any other', async (_, body, headers, status) => {
    expect((await send(body, headers)).status).toBe(status)
  })
})

describe('a form', () => {
  const { request } = createTestGateway(routes)
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const send = (body: string | Uint8Array, more: Record<string, string> = {}) =>
    request({ path: '/form', body, headers: { ...headers, ...more } })

  test('is read as HTML sends it', async () => {
    const response = await send('text=a+b%26%C3%A9')
    expect(await response.json()).toEqual({ text: 'a b&é' })
    const typed = { 'content-type': 'Application/X-WWW-Form-Urlencoded; charset=UTF-8' }
    expect((await send('text=x', typed)).status).toBe(200)
  })
  test.each([
    ['that is JSON', '{"text":"x"}', { 'content-type': 'application/json' }, 415],
    ['that is none', 'text=x', { 'content-type': 'text/plain' }, 415],
    ['that is encoded', 'text=x', { 'content-encoding': 'gzip' }, 415],
    ['that is too long', `text=${'x'.repeat(96)}`, {}, 413],
    ['that is no UTF-8', Uint8Array.from([...Buffer.from('text='), 0xe9]), {}, 400],
    ['with a field twice', 'text=x&text=y', {}, 422],
    ['with the character U+0000', 'text=%00', {}, 422],
    ['without what it must have', 'test=x', {}, 422],
  ])('%s is refused, in the way of the route', async (_, body, more, status) => {
    const response = await send(body, more)
    expect(response.status).toBe(status)
    expect(response.headers.get('x-refused')).toBe('by the route')
    expect(response.headers.get('x-request-id')).not.toBeNull()
    expect(await response.json()).toEqual({ refused: expect.any(String) })
  })
})

describe('a streamed body, a checked query and a key with slashes', () => {
  const { request } = createTestGateway(routes, { BODY_BYTES_MAX: '50' })
  const put = (path: string, body: string, headers?: Record<string, string>) =>
    request({ method: 'PUT', path, body, headers })
  const stream = (bytes: number) =>
    new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes; at += 1) controller.enqueue(new Uint8Array(1))
        controller.close()
      },
    })

  test('are handed over', async () => {
    const response = await put('/raw/a/b%20c/d?count=3', 'x'.repeat(100))
    expect(await response.json()).toEqual({ key: 'a/b c/d', count: 3, bytes: 100 })
    const streamed = await request({ method: 'PUT', path: '/raw/a?count=3', body: stream(100) })
    expect(await streamed.json()).toMatchObject({ bytes: 100 })
    expect(await (await put('/raw/a?count=3', '')).json()).toMatchObject({ bytes: 0 })
  })
  test('one byte above the limit, announced or not', async () => {
    expect((await put('/raw/a?count=1', 'x'.repeat(101))).status).toBe(413)
    const sent = { method: 'PUT', path: '/raw/a?count=1' }
    expect((await request({ ...sent, body: stream(101) })).status).toBe(413)
    const headers = { 'content-length': '101' }
    expect((await request({ ...sent, body: stream(1), headers })).status).toBe(413)
  })
  test('fewer bytes than were announced', async () => {
    expect((await put('/raw/a?count=1', 'x', { 'content-length': '5' })).status).toBe(400)
  })
  test('a body in an encoding', async () => {
    expect((await put('/raw/a?count=1', 'x', { 'content-encoding': 'gzip' })).status).toBe(415)
  })
  test.each(['', '?count=', '?count=x', '?count=1&count=1', '?Count=1'])(
    'the query %p',
    async (query) => {
      const response = await put(`/raw/a${query}`, 'x')
      expect(response.status).toBe(422)
      expect(await response.json()).toMatchObject({ errors: [{ pointer: '#/query/count' }] })
    },
  )
})

const loopback = (headers: Record<string, string>) => ({ peer: '127.0.0.1', headers })

describe('guard', () => {
  const { request } = createTestGateway(routes, { METRICS_TOKEN: 'token-of-the-scraper' })
  test('an account, with its scopes', async () => {
    expect(await (await request({ path: '/guarded', token: 'ada' })).json()).toEqual({
      id: 'id-of-ada',
    })
    expect((await request({ path: '/scoped', token: 'ada' })).status).toBe(200)
  })
  test('403 names the scope that is missing', async () => {
    const response = await request({ path: '/admin', token: 'ada' })
    expect(response.status).toBe(403)
    expect(await response.json()).toMatchObject({ detail: 'This needs the scope users:write.' })
    expect(response.headers.get('www-authenticate')).toContain('insufficient_scope')
  })
  test('an open route minds no token', async () => {
    const response = await request({ path: '/open', token: 'nonsense' })
    expect(await response.json()).toMatchObject({ kind: 'anonymous' })
  })
  test('ANONYMOUS_SCOPES opens what it names, and nothing else', async () => {
    const open = createTestGateway(routes, { ANONYMOUS_SCOPES: 'predict' })
    expect(await (await open.request({ path: '/scoped' })).json()).toMatchObject({
      kind: 'anonymous',
    })
    expect((await open.request({ path: '/admin' })).status).toBe(401)
    expect((await open.request({ path: '/guarded' })).status).toBe(401)
    expect((await open.request({ path: '/scoped', token: 'nonsense' })).status).toBe(401)
  })
  test.each([
    ['a scraper with the token', { token: 'token-of-the-scraper' }, 200],
    ['another token', { token: 'token-of-the-scrapeR' }, 401],
    ['a peer on this machine', { peer: '127.0.0.1' }, 200],
    ['a peer on this machine, by IPv6', { peer: '::1' }, 200],
    [
      'a proxy on this machine',
      { peer: '127.0.0.1', headers: { 'x-forwarded-for': '198.51.100.1' } },
      401,
    ],
    [
      'a proxy that says Forwarded',
      { peer: '127.0.0.1', headers: { forwarded: 'for=198.51.100.1' } },
      401,
    ],
    ['a proxy that says X-Forwarded-Proto', loopback({ 'x-forwarded-proto': 'https' }), 401],
    ['a proxy of a vendor', loopback({ 'cf-connecting-ip': '198.51.100.1' }), 401],
    ['a page by another name of this machine', loopback({ host: 'evil.example' }), 401],
    ['a peer elsewhere', {}, 401],
    ['an account without the scope', { token: 'ada', peer: '127.0.0.1' }, 403],
  ])('metrics for %s', async (_, asking, status) => {
    expect((await request({ path: '/scrape', ...asking })).status).toBe(status)
  })
  test('metrics are not for a proxy on this machine that says nothing', async () => {
    const { request } = createTestGateway(routes, { TRUSTED_PROXIES: '127.0.0.1' })
    expect((await request({ path: '/scrape', peer: '127.0.0.1' })).status).toBe(401)
  })
  test('the scraper may do nothing else', async () => {
    expect((await request({ path: '/scoped', token: 'token-of-the-scraper' })).status).toBe(403)
    expect((await request({ path: '/guarded', token: 'token-of-the-scraper' })).status).toBe(403)
  })
})

describe('rate limit', () => {
  test('the last request that may pass, and the first that may not', async () => {
    const { request } = createTestGateway(routes, { RATE_LIMIT_AUTH: '2' })
    const first = await request({ path: '/login' })
    expect(first.headers.get('ratelimit-policy')).toBe('"auth";q=2;w=60')
    expect(first.headers.get('ratelimit')).toMatch(/^"auth";r=1;t=(60|59)$/)
    expect((await request({ path: '/login' })).status).toBe(200)
    const refused = await request({ path: '/login' })
    expect(refused.status).toBe(429)
    expect(refused.headers.get('ratelimit')).toMatch(/^"auth";r=0;t=/)
    expect(Number(refused.headers.get('retry-after'))).toBeWithin(1, 61)
    expect(await refused.json()).toMatchObject({ title: 'Too many requests' })
  })
  test('another address has its own', async () => {
    const { request } = createTestGateway(routes, { RATE_LIMIT_AUTH: '1' })
    await request({ path: '/login' })
    expect((await request({ path: '/login' })).status).toBe(429)
    expect((await request({ path: '/login', peer: '203.0.113.8' })).status).toBe(200)
  })
  test('an IPv6 network of a customer is one', async () => {
    const { request } = createTestGateway(routes, { RATE_LIMIT_AUTH: '1' })
    expect((await request({ path: '/login', peer: '2001:db8:1:2::1' })).status).toBe(200)
    expect((await request({ path: '/login', peer: '2001:db8:1:2:ffff::2' })).status).toBe(429)
    expect((await request({ path: '/login', peer: '2001:db8:1:3::1' })).status).toBe(200)
  })
  test('principals are counted apart, wherever they call from', async () => {
    const { request } = createTestGateway(routes, { RATE_LIMIT_PRINCIPAL: '1' })
    expect((await request({ path: '/guarded', token: 'ada' })).status).toBe(200)
    expect((await request({ path: '/guarded', token: 'ada', peer: '198.51.100.1' })).status).toBe(
      429,
    )
    expect((await request({ path: '/guarded', token: 'eve' })).status).toBe(200)
  })
  test('guesses at a token are counted', async () => {
    const { request } = createTestGateway(routes, { RATE_LIMIT_PRINCIPAL: '1' })
    const guess = await request({ path: '/guarded', token: 'guess' })
    expect(guess.status).toBe(401)
    expect(guess.headers.get('ratelimit')).toBe('"principal";r=0;t=60')
    expect((await request({ path: '/guarded', token: 'guess again' })).status).toBe(429)
  })
  test('a route may have none', async () => {
    const { request } = createTestGateway(routes, { RATE_LIMIT_PRINCIPAL: '1' })
    const answers = await Promise.all([1, 2, 3].map(() => request({ path: '/unlimited' })))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(answers[0]!.headers.has('ratelimit')).toBe(false)
  })
  test('the client behind a trusted proxy is counted, not the proxy', async () => {
    const { request } = createTestGateway(routes, {
      RATE_LIMIT_AUTH: '1',
      TRUSTED_PROXIES: '10.0.0.0/8',
    })
    const from = (client: string) =>
      request({ path: '/login', peer: '10.0.0.9', headers: { 'x-forwarded-for': client } })
    expect((await from('198.51.100.1')).status).toBe(200)
    expect((await from('1.1.1.1, 198.51.100.1')).status).toBe(429)
    expect((await from('198.51.100.2')).status).toBe(200)
  })
  test('more keys than may be counted: the least recent starts anew', async () => {
    const { request } = createTestGateway(routes, {
      RATE_LIMIT_AUTH: '1',
      RATE_LIMIT_KEYS_MAX: '2',
    })
    for (const peer of ['198.51.100.1', '198.51.100.2', '198.51.100.3']) {
      expect((await request({ path: '/login', peer })).status).toBe(200)
    }
    expect((await request({ path: '/login', peer: '198.51.100.3' })).status).toBe(429)
    expect((await request({ path: '/login', peer: '198.51.100.1' })).status).toBe(200)
  })
})

describe('bugs and deadlines', () => {
  test('a bug says nothing of its cause, and is logged once with it', async () => {
    const { request, lines, metrics } = createTestGateway(routes)
    const response = await request({ path: '/bug' })
    const text = await response.text()
    expect(JSON.parse(text)).toEqual({
      type: '/docs/problems#gateway/internal',
      title: 'Internal error',
      status: 500,
      detail: 'A bug of the server. Its operator finds the cause in the log, by the request’s id.',
      instance: response.headers.get('x-request-id'),
      error: 'Internal error',
    })
    const errors = lines.filter((line) => line['log.level'] === 'error')
    expect(errors).toMatchObject([
      {
        error: { message: 'the secret cause', cause: { message: 'deeper' } },
        'http.request.id': response.headers.get('x-request-id'),
      },
    ])
    expect(await metrics()).toContain(
      'http_requests_total{method="GET",endpoint="/bug",status="500"} 1',
    )
  })
  test('a part that is away is 503, says when to come again, and nothing of its cause', async () => {
    const { request, lines } = createTestGateway(routes)
    const response = await request({ path: '/away' })
    const text = await response.text()
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '7'])
    expect(JSON.parse(text)).toMatchObject({
      type: '/docs/problems#gateway/unavailable',
      detail: 'The sun does not answer. Try again later.',
    })
    expect(text).not.toContain('secret')
    for (let time = 0; time < 100; time += 1) await request({ path: '/away' })
    // Once, however many ask.
    const warnings = lines.filter((line) => line['log.level'] === 'warn')
    expect(warnings).toMatchObject([{ error: { cause: { message: 'the secret cause' } } }])
  })
  test('a route that takes too long is 504, and its signal aborts', async () => {
    signals = []
    const { request } = createTestGateway(routes)
    const response = await request({ path: '/slow' })
    expect(response.status).toBe(504)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  })
  test('who asks has to be known in time too, and nothing is begun after it', async () => {
    let calls = 0
    const { request } = createTestGateway([
      route(
        { ...documented, method: 'get', path: '/hasty', access: 'signed-in', timeoutMs: 20 },
        () => {
          calls += 1
          return { body: {} }
        },
      ),
    ])
    for (const token of ['unheard-of', 'late']) {
      expect((await request({ path: '/hasty', token })).status).toBe(504)
    }
    await Bun.sleep(LATE_MS)
    expect(calls).toBe(0)
    expect((await request({ path: '/hasty', token: 'ada' })).status).toBe(200)
  })
})

describe('what is written down', () => {
  test('the access line, without the query', async () => {
    const { request, lines } = createTestGateway(routes)
    await request({
      path: '/things/7?token=secret',
      token: 'ada',
      headers: { 'x-request-id': 'r-1' },
    })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toEqual({
      '@timestamp': expect.stringMatching(/^\d{4}-.*Z$/),
      'log.level': 'info',
      'ecs.version': '8.10.0',
      'service.name': 'quintet',
      message: 'request',
      'http.request.id': 'r-1',
      'trace.id': expect.stringMatching(/^[0-9a-f]{32}$/),
      'span.id': expect.stringMatching(/^[0-9a-f]{16}$/),
      'http.request.method': 'GET',
      'url.path': '/things/7',
      'http.response.status_code': 200,
      'event.duration': expect.any(Number),
      'client.ip': '203.0.113.7',
    })
  })
  test('who asked', async () => {
    const { request, lines } = createTestGateway(routes)
    await request({ path: '/guarded', token: 'ada' })
    expect(lines[0]).toMatchObject({ 'user.id': 'id-of-ada' })
  })
  test('requests by template, in the buckets of the contract', async () => {
    const { request, metrics } = createTestGateway(routes)
    await request({ path: '/things/7' })
    await request({ path: '/things/8' })
    const text = await metrics()
    expect(text).toContain(
      'http_requests_total{method="GET",endpoint="/things/{id}",status="200"} 2',
    )
    const buckets = [
      ...text.matchAll(
        /http_request_duration_seconds_bucket\{le="([^"]+)",method="GET",endpoint="\/things\/\{id\}"\}/g,
      ),
    ]
    expect(buckets.map(([, le]) => le)).toEqual(['0.001', '0.01', '0.1', '0.5', '1', '5', '+Inf'])
    expect(text).toContain('http_requests_active 0')
  })
})
