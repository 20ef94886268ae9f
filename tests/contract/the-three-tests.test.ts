import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { decodeJwt } from 'jose'

import { FIXTURE_MODELS_DIR, type Harness, openHarness } from '../support/harness.ts'
import { startServer, type TestServer } from '../support/server.ts'

/** The old stack's tests, rewritten: an account that was imported with its hash logs in and predicts. */
const account = { username: 'test@example.com', password: 'password123' }

describe('unit', () => {
  let harness: Harness
  beforeAll(async () => {
    harness = await openHarness()
    const passwordHash = await Bun.password.hash(account.password, { algorithm: 'bcrypt', cost: 4 })
    await harness.addAccount({ username: 'test', email: account.username, passwordHash })
  })
  afterAll(() => harness.close())

  test('a login returns a JWT', async () => {
    const response = await harness.request({ path: '/api/v1/auth/login', body: account })
    const { token, user } = (await response.json()) as { token: string; user: { id: string } }
    expect(decodeJwt(token).sub).toBe(user.id)
  })

  test('end to end: log in, then predict with the token', async () => {
    const token = await harness.logIn(account.username, account.password)
    const body = { model_type: 'classification', features: { x1: [1, 2, 3], x2: [4, 5, 6] } }
    const response = await harness.request({ path: '/api/v1/predict', body, token })
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      predictions: [expect.any(String), expect.any(String), expect.any(String)],
      probabilities: expect.any(Array),
      model_version: '1',
      timestamp: expect.any(String),
    })
  })
})

describe('load', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startServer({ MODELS_DIR: FIXTURE_MODELS_DIR, ANONYMOUS_SCOPES: 'predict' })
  })
  afterAll(() => server.stop())

  /** The old stack's profile, each stage a tenth as long. */
  const stages = [
    { users: 100, seconds: 6 },
    { users: 200, seconds: 6 },
  ]

  test('100, then 200 users who predict once a second without a token: none fails', async () => {
    const latencies: number[] = []
    let failed = 0
    const predict = async () => {
      const features = { x1: [Math.random()], x2: [Math.random()] }
      const startedAt = performance.now()
      const response = await server.post('/api/v1/predict', {
        model_type: 'classification',
        features,
      })
      await response.arrayBuffer()
      latencies.push(performance.now() - startedAt)
      if (response.status !== 200) failed += 1
    }
    for (const { users, seconds } of stages) {
      await Promise.all(
        Array.from({ length: users }, async (_, user) => {
          await Bun.sleep((user / users) * 1000)
          for (let second = 0; second < seconds; second++) {
            await Promise.all([predict(), Bun.sleep(1000)])
          }
        }),
      )
    }
    const sorted = latencies.toSorted((a, b) => a - b)
    const quantile = (q: number) => sorted[Math.floor(q * (sorted.length - 1))]!.toFixed(1)
    process.stderr.write(
      `load: ${sorted.length} predictions, p95 ${quantile(0.95)} ms (bar 500), p99 ${quantile(0.99)} ms (bar 1000), ${failed} failed\n`,
    )
    expect(failed).toBe(0)
  }, 60_000)
})
