import { describe, expect, test } from 'bun:test'

import { FIXTURE_MODELS_DIR } from '../support/harness.ts'
import { startServer } from '../support/server.ts'

const MODELS = { MODELS_DIR: FIXTURE_MODELS_DIR }

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  test('says not ready, finishes what runs, and exits with 0', async () => {
    const server = await startServer({ ...MODELS, DRAIN_DELAY_MS: '400' })
    const token = await server.logIn()
    const stopped = server.stop(signal)
    await Bun.sleep(100)
    const ready = await fetch(`${server.url}/readyz`)
    expect({ status: ready.status, body: await ready.json() }).toMatchObject({
      status: 503,
      body: { status: 'draining' },
    })
    const body = { model_type: 'classification', features: [{ x1: 1, x2: 2 }] }
    expect((await server.post('/api/v1/predict', body, token)).status).toBe(200)
    expect(await stopped).toBe(0)
    expect(
      await fetch(`${server.url}/livez`).then(
        () => 'answered',
        () => 'refused',
      ),
    ).toBe('refused')
  })
})

test('a request in flight gets its answer', async () => {
  const server = await startServer(MODELS)
  // Verifying a password takes long enough to be overtaken by the signal.
  const logins = Array.from({ length: 8 }, () => server.logIn())
  await Bun.sleep(20)
  const stopped = server.stop()
  for (const token of await Promise.all(logins)) expect(token.length).toBeGreaterThan(100)
  expect(await stopped).toBe(0)
})

test('a request that never ends is cut at the deadline', async () => {
  const server = await startServer({ ...MODELS, DRAIN_TIMEOUT_MS: '300' })
  const { hostname, port } = new URL(server.url)
  const socket = await Bun.connect({ hostname, port: Number(port), socket: { data() {} } })
  socket.write(
    'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
  )
  await Bun.sleep(100)
  const startedAt = performance.now()
  expect(await server.stop()).toBe(0)
  expect(performance.now() - startedAt).toBeLessThan(3000)
})

test('a second signal forces', async () => {
  const server = await startServer({ ...MODELS, DRAIN_DELAY_MS: '60000' })
  const stopped = server.stop()
  await Bun.sleep(100)
  server.process.kill('SIGTERM')
  expect(await stopped).toBe(130)
})
