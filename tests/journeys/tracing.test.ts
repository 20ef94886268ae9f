import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'

import { type Collector, startCollector } from '../support/collector.ts'
import { FIXTURE_MODELS_DIR } from '../support/harness.ts'
import { bareEnvironment, newDirectory, startServer } from '../support/server.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const CALLER = '00f067aa0ba902b7'
const HEADERS = { traceparent: `00-${TRACE}-${CALLER}-01` }
const REQUESTS = 200

let collector: Collector
beforeEach(() => {
  collector = startCollector()
})
afterEach(() => collector.stop())

const start = (settings: Record<string, string> = {}) =>
  startServer({
    MODELS_DIR: FIXTURE_MODELS_DIR,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    ...settings,
  })

test('spans are sent with the headers and the name that are set, and the last of them at the stop', async () => {
  const server = await start({
    OTEL_EXPORTER_OTLP_HEADERS: 'x-api-key=a%20key,x-other=1',
    OTEL_SERVICE_NAME: 'quintet-of-a-test',
  })
  await fetch(`${server.url}/health`, { headers: HEADERS })
  await collector.until((spans) => spans.some(({ traceId }) => traceId === TRACE))
  expect(collector.headers[0]!.get('x-api-key')).toBe('a key')
  expect(collector.headers[0]!.get('x-other')).toBe('1')
  collector.spans.length = 0

  await fetch(`${server.url}/openapi.json`, { headers: HEADERS })
  expect(await server.stop()).toBe(0)
  expect(collector.spans).toMatchObject([
    {
      service: 'quintet-of-a-test',
      name: 'GET /openapi.json',
      traceId: TRACE,
      parentId: CALLER,
      kind: 'server',
    },
  ])
})

describe('a collector that', () => {
  test.each([
    ['is not there', () => collector.stop()],
    [
      'never answers',
      async () => {
        collector.answer = 'never'
      },
    ],
    [
      'fails',
      async () => {
        collector.answer = 503
      },
    ],
  ] as const)('%s slows and breaks no request, nor holds up the stop', async (_, fail) => {
    await fail()
    const server = await start()
    const startedAt = performance.now()
    for (let at = 0; at < REQUESTS; at += 1) {
      expect((await fetch(`${server.url}/health`, { headers: HEADERS })).status).toBe(200)
    }
    expect((performance.now() - startedAt) / REQUESTS).toBeLessThan(50)
    const stoppedAt = performance.now()
    expect(await server.stop()).toBe(0)
    expect(performance.now() - stoppedAt).toBeLessThan(6000)
  })
})

describe('the modules of OpenTelemetry', () => {
  async function loaded(settings: Record<string, string>): Promise<string[]> {
    const directory = newDirectory()
    const child = Bun.spawn(['bun', join(import.meta.dir, '../support/modules.fixture.ts')], {
      env: bareEnvironment({ DATA_DIR: directory, ...settings }),
      stdout: 'pipe',
      stderr: 'inherit',
    })
    const packages = (await new Response(child.stdout).json()) as string[]
    rmSync(directory, { recursive: true })
    return packages
  }

  test('are loaded only where there is a collector', async () => {
    // prom-client brings the interface, and uses it where spans are made by others.
    expect(await loaded({})).toEqual(['api'])
    const packages = await loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    expect(packages).toContain('sdk-trace')
    expect(packages).toContain('exporter-trace-otlp-http')
  })
})
