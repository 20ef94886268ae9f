import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { SQL } from 'bun'

import { FIXTURE_MODELS_DIR, PASSWORD } from '../support/harness.ts'
import { openProxy, type Proxy } from '../support/proxy.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { findPostgres, startPostgres } from '../support/services/postgres.ts'
import type { Service } from '../support/services/service.ts'

const SILENT_MS = 6000
const REQUEST_TIMEOUT_MS = 2000
/** Silence is noticed within a second and a bit; the rest is for a machine that is busy. */
const NOTICED_WITHIN_MS = 1500
const AT_ONCE_MS = 400
const BACK_WITHIN_MS = 1000
const DRAIN_TIMEOUT_MS = 1000
const points = { model_type: 'classification', features: { x1: [1], x2: [2] } }

describe.skipIf(findPostgres() === undefined)('Postgres that falls silent', () => {
  let postgres: Service
  let proxy: Proxy
  let server: TestServer
  beforeEach(async () => {
    postgres = await startPostgres()
    proxy = openProxy(postgres.port)
    server = await startServer({
      DATABASE_URL: `postgres://quintet@127.0.0.1:${proxy.port}/postgres`,
      MODELS_DIR: FIXTURE_MODELS_DIR,
      REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS),
      DRAIN_TIMEOUT_MS: String(DRAIN_TIMEOUT_MS),
    })
  })
  afterEach(async () => {
    await server.stop('SIGKILL')
    proxy.close()
    await postgres.remove()
  })

  async function answered(request: Promise<Response>) {
    const startedAt = performance.now()
    const response = await request
    return { response, status: response.status, ms: performance.now() - startedAt }
  }
  async function expectStatus(request: Promise<Response>, status: number, withinMs: number) {
    const answer = await answered(request)
    expect(answer.status).toBe(status)
    expect(answer.ms).toBeLessThan(withinMs)
    return answer.response
  }
  const predict = (token: string) => server.post('/api/v1/predict', points, token)
  const logIn = () =>
    server.post('/api/v1/auth/login', { username: 'admin', password: 'correct horse battery' })
  const get = (path: string) => fetch(`${server.url}${path}`)

  /** All at once, as they come: none may wait behind another. */
  async function expectRefusals(withinMs: number) {
    const [refused] = await Promise.all([
      expectStatus(logIn(), 503, withinMs),
      ...Array.from({ length: 30 }, () => expectStatus(logIn(), 503, withinMs)),
      expectStatus(get('/readyz'), 503, withinMs),
      expectStatus(get('/health'), 503, withinMs),
      expectStatus(get('/metrics'), 200, withinMs),
      expectStatus(get('/livez'), 200, AT_ONCE_MS),
    ])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject({ title: 'Temporarily unavailable' })
  }

  test.each<[string, () => void]>([
    ['thaws', () => proxy.thaw()],
    ['is reached by new connections, and never again by the old ones', () => proxy.bury()],
  ])('is missed by nobody who predicts, and is back at once when it %s', async (_, mend) => {
    const token = await server.logIn()
    expect((await predict(token)).status).toBe(200)
    // Past what is remembered without asking.
    await Bun.sleep(1100)

    proxy.freeze()
    const frozenAt = performance.now()
    const together = Array.from({ length: 50 }, () =>
      expectStatus(predict(token), 200, NOTICED_WITHIN_MS),
    )
    await Promise.all([...together, expectRefusals(NOTICED_WITHIN_MS)])
    while (performance.now() - frozenAt < SILENT_MS) {
      await expectStatus(predict(token), 200, AT_ONCE_MS)
      await Bun.sleep(50)
    }
    await expectRefusals(AT_ONCE_MS)

    mend()
    const mendedAt = performance.now()
    while ((await logIn()).status !== 200) {
      expect(performance.now() - mendedAt).toBeLessThan(BACK_WITHIN_MS)
      await Bun.sleep(20)
    }
    await expectStatus(get('/readyz'), 200, AT_ONCE_MS)
    await expectStatus(predict(token), 200, AT_ONCE_MS)
    const metrics = await (await get('/metrics')).text()
    expect(metrics).toMatch(/^outbox_events \d+$/m)
    expect(await server.stop()).toBe(0)
  })

  test('is no reason to call a token bad that was not seen before', async () => {
    const token = await server.logIn()
    proxy.freeze()
    await expectStatus(predict(token), 503, NOTICED_WITHIN_MS)
    await expectStatus(predict(token), 503, AT_ONCE_MS)
  })

  test('holds up one request of who is known also where only a table is locked, and a revocation counts at last', async () => {
    const token = await server.logIn()
    expect((await predict(token)).status).toBe(200)
    await using administrator = new SQL(postgres.url, { max: 2 })
    await Bun.sleep(1100)
    await administrator.begin(async (tx) => {
      await tx`lock table sessions in access exclusive mode`
      await tx`delete from sessions`
      const lockedAt = performance.now()
      const together = Array.from({ length: 20 }, () => answered(predict(token)))
      const slow = (await Promise.all(together)).filter(({ ms }) => ms > AT_ONCE_MS)
      expect(slow.map(({ status, ms }) => [status, ms < NOTICED_WITHIN_MS])).toEqual([[200, true]])
      // Within the timeout of a statement, and never two: none between two tries.
      const seen = new Set<number>()
      while (performance.now() - lockedAt < 1800) {
        await expectStatus(predict(token), 200, AT_ONCE_MS)
        const [waiting] = await administrator`
          select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock'`
        seen.add((waiting as { n: number }).n)
      }
      expect([...seen].filter((n) => n > 1)).toEqual([])
      expect(seen).toContain(1)
    })
    await Bun.sleep(100)
    await expectStatus(predict(token), 401, AT_ONCE_MS)
  })

  test('holds up one prediction where only the grants are locked, and what was taken away is seen at last', async () => {
    const admin = await server.logIn()
    const viewer = { username: 'viewer', password: PASSWORD }
    expect((await server.post('/api/v1/users', viewer, admin)).status).toBe(201)
    const { token } = (await (await server.post('/api/v1/auth/login', viewer)).json()) as {
      token: string
    }
    expect((await predict(token)).status).toBe(200)
    await using administrator = new SQL(postgres.url, { max: 1 })
    await Bun.sleep(1100)
    await administrator.begin(async (tx) => {
      await tx`lock table grants in access exclusive mode`
      await tx`update grants set access = 'none' where resource_id = 'classification' and principal_id = 'team'`
      const together = Array.from({ length: 20 }, () => answered(predict(token)))
      const slow = (await Promise.all(together)).filter(({ ms }) => ms > AT_ONCE_MS)
      expect(slow.map(({ status, ms }) => [status, ms < NOTICED_WITHIN_MS])).toEqual([[200, true]])
      await expectStatus(predict(token), 200, AT_ONCE_MS)
    })
    await Bun.sleep(1100)
    await expectStatus(predict(token), 404, AT_ONCE_MS)
  })

  test.each([0, 3000])('holds up no shutdown, %d ms after it fell silent', async (ms) => {
    const token = await server.logIn()
    expect((await predict(token)).status).toBe(200)
    proxy.freeze()
    await Bun.sleep(ms)
    // It may be cut.
    const login = logIn().catch(() => {})
    const prediction = predict(token)
    await Bun.sleep(20)
    const startedAt = performance.now()
    expect(await server.stop()).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(DRAIN_TIMEOUT_MS + 3000)
    expect((await prediction).status).toBe(200)
    await login
  })
})
