import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { FIXTURE_MODELS_DIR } from '../support/harness.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { findPostgres, startPostgres } from '../support/services/postgres.ts'
import type { Service } from '../support/services/service.ts'

const AWAY_MS = 10_000
const ANSWERS_WITHIN_MS = 1000
const points = { model_type: 'classification', features: { x1: [1], x2: [2] } }

describe.skipIf(findPostgres() === undefined)('Postgres is stopped for ten seconds', () => {
  let postgres: Service
  let server: TestServer
  beforeAll(async () => {
    postgres = await startPostgres()
    server = await startServer({ DATABASE_URL: postgres.url, MODELS_DIR: FIXTURE_MODELS_DIR })
  })
  afterAll(async () => {
    await server.stop()
    await postgres.remove()
  })

  async function timed(request: Promise<Response>) {
    const startedAt = performance.now()
    const response = await request
    expect(performance.now() - startedAt).toBeLessThan(ANSWERS_WITHIN_MS)
    return response
  }

  test('who is known goes on predicting, the rest is told to come back, and it comes back', async () => {
    const token = await server.logIn()
    const predict = () => timed(server.post('/api/v1/predict', points, token))
    const logIn = () =>
      timed(
        server.post('/api/v1/auth/login', { username: 'admin', password: 'correct horse battery' }),
      )
    expect((await predict()).status).toBe(200)

    await postgres.stop()
    const stoppedAt = performance.now()
    let predictions = 0
    while (performance.now() - stoppedAt < AWAY_MS) {
      expect((await predict()).status).toBe(200)
      predictions += 1
      await Bun.sleep(100)
    }
    expect(predictions).toBeGreaterThan(50)
    const refused = await logIn()
    expect(refused.status).toBe(503)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject({ title: 'Temporarily unavailable' })
    expect((await timed(fetch(`${server.url}/readyz`))).status).toBe(503)
    expect((await timed(fetch(`${server.url}/livez`))).status).toBe(200)
    expect((await timed(fetch(`${server.url}/metrics`))).status).toBe(200)

    await postgres.start()
    const startedAt = performance.now()
    while ((await logIn()).status !== 200) {
      expect(performance.now() - startedAt).toBeLessThan(ANSWERS_WITHIN_MS)
      await Bun.sleep(20)
    }
    expect((await timed(fetch(`${server.url}/readyz`))).status).toBe(200)
    expect((await predict()).status).toBe(200)
  })
})
