import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { type Harness, openHarness } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'

let harness: Harness
beforeAll(async () => {
  harness = await openHarness({ METRICS_TOKEN: 'token-of-the-scraper', RATE_LIMIT_AUTH: '5' })
})
afterAll(() => harness.close())

describe('health', () => {
  testRequests(
    () => harness,
    [
      {
        name: 'health',
        path: '/health',
        status: 200,
        has: {
          status: 'healthy',
          service: 'quintet',
          timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
        },
      },
      { name: 'liveness', path: '/livez', status: 200, has: { status: 'live' } },
      {
        name: 'readiness',
        path: '/readyz',
        status: 200,
        has: { status: 'ready', checks: { database: 'ok', migrations: 'ok', models: 'ok' } },
      },
    ],
  )

  test('not ready while it drains, yet alive', async () => {
    const draining = await openHarness()
    draining.app.drain()
    const ready = await draining.request({ path: '/readyz' })
    expect({ status: ready.status, body: await ready.json() }).toMatchObject({
      status: 503,
      body: { status: 'draining' },
    })
    expect((await draining.request({ path: '/livez' })).status).toBe(200)
    await draining.close()
  })

  test('not ready without the threads that run models, and it does not say why to strangers', async () => {
    const stopped = await openHarness()
    await stopped.app.stop(0)
    const ready = await stopped.request({ path: '/readyz' })
    expect({ status: ready.status, body: await ready.json() }).toEqual({
      status: 503,
      body: { status: 'not ready', checks: { database: 'ok', migrations: 'ok', models: 'failed' } },
    })
    expect((await stopped.request({ path: '/health' })).status).toBe(503)
    expect(stopped.lines.join('')).toContain('no thread runs the models')
    await stopped.close()
  })

  test('not ready when the database is gone', async () => {
    const closed = await openHarness()
    await closed.platform.database.close()
    const ready = await closed.request({ path: '/readyz' })
    expect(await ready.json()).toMatchObject({
      checks: { database: 'failed', migrations: 'failed' },
    })
    await closed.app.stop(0)
  })
})

describe('open without a token', () => {
  testRequests(
    () => harness,
    [
      { name: 'the landing page, for curl', path: '/', status: 200, has: { service: 'quintet' } },
      {
        name: 'the landing page, for a browser',
        path: '/',
        headers: { accept: 'text/html,*/*;q=0.8' },
        status: 200,
        contains: ['<!doctype html>'],
        answerHeaders: {
          'content-type': 'text/html; charset=utf-8',
          'content-security-policy': /default-src 'none'; script-src 'sha256-/,
        },
      },
      { name: 'the document', path: '/openapi.json', status: 200, has: { openapi: '3.1.0' } },
      {
        name: 'the document, to browse',
        path: '/docs',
        status: 200,
        contains: ['/docs/scalar.js'],
        mustNotContain: ['https://'],
      },
      {
        name: 'the kinds of problems',
        path: '/docs/problems',
        status: 200,
        contains: [
          'id="auth/bad-credentials"',
          'id="gateway/not-found"',
          'id="inference/unknown-model"',
          'Account disabled<td>Ask an administrator.',
          'Mend what <code>errors</code> names.',
        ],
      },
      {
        name: 'the public keys',
        path: '/.well-known/jwks.json',
        status: 200,
        has: { keys: [{ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' }] },
        mustNotContain: ['"d"'],
      },
    ],
  )

  test('the script of the browsable page is served by this process', async () => {
    const response = await harness.request({ path: '/docs/scalar.js' })
    expect(response.headers.get('content-type')).toContain('text/javascript')
    const plain = await response.text()
    expect(plain.length).toBeGreaterThan(1_000_000)
    const small = await harness.request({
      path: '/docs/scalar.js',
      headers: { 'accept-encoding': 'gzip, br' },
    })
    expect(small.headers.get('content-encoding')).toBe('gzip')
    const bytes = new Uint8Array(await small.arrayBuffer())
    expect(bytes.length).toBeLessThan(plain.length / 2)
    expect(Buffer.from(Bun.gunzipSync(bytes)).toString()).toBe(plain)
  })

  test('and nothing else', () => {
    const open = harness.app.routes
      .filter(({ access }) => access === 'open')
      .map(({ path }) => path)
    expect(open.toSorted()).toEqual([
      '/',
      '/.well-known/jwks.json',
      '/.well-known/oauth-authorization-server',
      '/.well-known/openid-configuration',
      '/api/v1/auth/email/verify',
      '/api/v1/auth/login',
      '/api/v1/auth/passkeys/login',
      '/api/v1/auth/passkeys/login/options',
      '/api/v1/auth/password/forgot',
      '/api/v1/auth/password/reset',
      '/api/v1/auth/refresh',
      // These ask for a ticket that a right password gave.
      '/api/v1/auth/second-factor',
      '/api/v1/auth/second-factor/passkey',
      '/api/v1/auth/second-factor/passkey/options',
      '/api/v1/auth/signup',
      '/api/v1/auth/sso',
      '/api/v1/auth/sso/{provider}/callback',
      '/api/v1/auth/sso/{provider}/start',
      '/api/v1/auth/validate',
      // These ask for a signature of their own.
      '/api/v1/files/{+key}',
      '/api/v1/files/{+key}',
      '/docs',
      '/docs/problems',
      '/docs/scalar.js',
      '/forgot-password',
      '/forgot-password',
      '/health',
      '/livez',
      // These ask for a client's secret themselves.
      '/oauth/introspect',
      '/oauth/revoke',
      '/oauth/token',
      '/openapi.json',
      '/readyz',
      '/reset-password',
      '/reset-password',
      '/set-password',
      '/set-password',
      '/sign-in',
      '/sign-in',
      '/sign-in/passkey',
      '/sign-in/second-factor',
      '/sign-in/second-factor',
      '/sign-out',
      '/sign-out',
      '/sign-up',
      '/sign-up',
      '/v2',
      '/v2/health/live',
      '/v2/health/ready',
      '/verify-email',
      '/verify-email',
    ])
  })
})

describe('metrics', () => {
  testRequests(
    () => harness,
    [
      { name: 'a stranger', path: '/metrics', status: 401 },
      { name: 'a viewer', as: 'viewer', path: '/metrics', status: 403 },
      {
        name: 'an administrator',
        as: 'admin',
        path: '/metrics',
        status: 200,
        contains: ['process_cpu_seconds_total'],
      },
      { name: 'the scrape token', as: 'token-of-the-scraper', path: '/metrics', status: 200 },
      {
        name: 'a peer on this machine',
        peer: '127.0.0.1',
        path: '/metrics',
        status: 200,
        answerHeaders: { 'content-type': /^text\/plain; version=0\.0\.4/ },
      },
      {
        name: 'a proxy on this machine',
        peer: '127.0.0.1',
        headers: { 'x-forwarded-for': '198.51.100.1' },
        path: '/metrics',
        status: 401,
      },
    ],
    () => ({ viewer: viewerToken }),
  )
  let viewerToken = ''
  beforeAll(async () => {
    await harness.addAccount({ username: 'vera' })
    viewerToken = await harness.logIn('vera')
  })

  test('the names and labels that dashboards use', async () => {
    const text = await harness.platform.metrics.metrics()
    for (const line of [
      /^http_requests_total\{method="GET",endpoint="\/health",status="200"\} \d+$/m,
      /^http_request_duration_seconds_bucket\{le="0\.001",method="GET",endpoint="\/health"\} \d+$/m,
      /^event_loop_lag_seconds\{quantile="0\.99"\} [\d.e-]+$/m,
      /^process_heap_bytes \d+$/m,
    ]) {
      expect(text).toMatch(line)
    }
  })
})

test('login allows its hundred a minute an address, and says when to come back', async () => {
  // A name each: that one name has to wait is another limit.
  let names = 0
  const attempt = (peer: string) => {
    const body = { username: `vera ${(names += 1)}`, password: 'wrong password' }
    return harness.request({ path: '/api/v1/auth/login', body, peer })
  }
  for (let count = 0; count < 5; count++) expect((await attempt('198.51.100.9')).status).toBe(401)
  const refused = await attempt('198.51.100.9')
  expect(refused.status).toBe(429)
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  expect((await attempt('198.51.100.10')).status).toBe(401)
})
