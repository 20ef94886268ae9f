import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { FIXTURE_MODELS_DIR } from '../support/harness.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { findPostgres, startPostgres } from '../support/services/postgres.ts'
import type { Service } from '../support/services/service.ts'

const AWAY_MS = 10_000
const ANSWERS_WITHIN_MS = 1000
/** What the one process asks; it is told to let so many by. */
const PLENTY = '100000'
const REMEMBERED_MS = 1500
const points = { model_type: 'classification', features: { x1: [1], x2: [2] } }

interface Operation {
  requestBody?: { content: Record<string, { example: unknown }> }
  responses: Record<string, unknown>
}

/** Each documented operation by the example in the document. */
function requestsOf(document: { paths: Record<string, Record<string, Operation>> }, token: string) {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody, responses }]) => {
      const [content] = Object.entries(requestBody?.content ?? {})
      const [type, { example }] = content ?? ['', { example: undefined }]
      const isForm = type === 'application/x-www-form-urlencoded'
      const form = () => new URLSearchParams(example as Record<string, string>).toString()
      return {
        name: `${method} ${path}`,
        path: path.replaceAll(/\{\w+\}/g, '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11'),
        documented: Object.keys(responses),
        init: {
          method: method.toUpperCase(),
          headers: {
            authorization: `Bearer ${token}`,
            ...(content === undefined ? {} : { 'content-type': type }),
          },
          ...(content === undefined ? {} : { body: isForm ? form() : JSON.stringify(example) }),
        },
      }
    }),
  )
}

describe.skipIf(findPostgres() === undefined)('Postgres is stopped for ten seconds', () => {
  let postgres: Service
  let server: TestServer
  beforeAll(async () => {
    postgres = await startPostgres()
    server = await startServer({
      DATABASE_URL: postgres.url,
      MODELS_DIR: FIXTURE_MODELS_DIR,
      RATE_LIMIT_AUTH: PLENTY,
    })
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

  test('each operation answers what the API document says that it may', async () => {
    const token = await server.logIn()
    const document = await (await fetch(`${server.url}/openapi.json`)).json()
    const requests = requestsOf(document as Parameters<typeof requestsOf>[0], token)
    await postgres.stop()
    // Longer than anybody is remembered.
    await Bun.sleep(REMEMBERED_MS)
    const answered = await Promise.all(
      requests.map(async ({ name, path, documented, init }) => {
        const { status, headers } = await fetch(server.url + path, { ...init, redirect: 'manual' })
        const isTold = status !== 503 || headers.has('retry-after') || /health|readyz/.test(path)
        return { name, status: String(status), documented, isTold }
      }),
    )
    await postgres.start()
    expect(answered.filter(({ status }) => status === '503').length).toBeGreaterThan(40)
    const surprising = answered.filter(
      ({ status, documented, isTold }) => !isTold || !documented.includes(status),
    )
    expect(surprising).toEqual([])
  })
})
