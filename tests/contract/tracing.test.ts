import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { type Collector, type ReceivedSpan, startCollector } from '../support/collector.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const CALLER = '00f067aa0ba902b7'
const SAMPLED = `00-${TRACE}-${CALLER}-01`
const UNSAMPLED = `00-${TRACE}-${CALLER}-00`
const ROWS = { model_type: 'classification', features: [{ x1: 1, x2: 2 }] }

let collector: Collector
let harness: Harness
beforeEach(() => {
  collector = startCollector()
})
afterEach(async () => {
  await harness.close()
  await collector.stop()
})
const open = async (settings: Record<string, string> = {}) => {
  harness = await openHarness({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...settings })
}

/** What the harness has recorded of a trace: all of it is there when its platform is closed. */
async function sent(traceId = TRACE): Promise<ReceivedSpan[]> {
  await harness.platform.tracing.close()
  return collector.spans.filter((span) => span.traceId === traceId)
}

/** The one span of that name, below this one, and within its time. */
function below(spans: ReceivedSpan[], parent: ReceivedSpan, name: string): ReceivedSpan {
  const found = spans.filter((span) => span.name === name && span.parentId === parent.spanId)
  expect({ name, found }).toEqual({ name, found: [expect.anything()] })
  const [span] = found
  expect(span!.startedAt).toBeGreaterThanOrEqual(parent.startedAt)
  expect(span!.endedAt).toBeGreaterThanOrEqual(span!.startedAt)
  expect(span!.endedAt).toBeLessThanOrEqual(parent.endedAt)
  return span!
}

function serverSpanOf(spans: ReceivedSpan[]): ReceivedSpan {
  const [span, ...others] = spans.filter(({ kind }) => kind === 'server')
  expect(others).toEqual([])
  return span!
}

describe('one trace', () => {
  test('goes from the caller through the gateway to the worker thread', async () => {
    await open()
    const before = BigInt(Date.now()) * 1_000_000n
    const response = await harness.request({
      path: '/api/v1/predict',
      token: harness.adminToken,
      headers: { traceparent: SAMPLED, 'user-agent': 'a test' },
      body: ROWS,
    })
    const spans = await sent()
    const server = serverSpanOf(spans)
    expect(server).toMatchObject({
      service: 'quintet',
      name: 'POST /api/v1/predict',
      parentId: CALLER,
      isError: false,
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/api/v1/predict',
        'http.response.status_code': 200,
        'url.path': '/api/v1/predict',
        'url.scheme': 'http',
        'client.address': '203.0.113.7',
        'user_agent.original': 'a test',
      },
    })
    expect(response.headers.get('traceparent')).toBe(`00-${TRACE}-${server.spanId}-01`)
    // A moment of the clock is told in milliseconds.
    expect(server.startedAt).toBeGreaterThan(before - 2_000_000n)
    expect(server.endedAt).toBeLessThan(BigInt(Date.now() + 2) * 1_000_000n)

    const predict = below(spans, server, 'predict classification/1')
    expect(predict.attributes).toEqual({ 'model.key': 'classification/1', rows: 1 })
    const run = below(spans, predict, 'run classification/1')
    expect(run.attributes).toEqual({ 'model.key': 'classification/1', 'batch.rows': 1 })
    expect(run.endedAt - run.startedAt).toBeGreaterThan(10_000n)
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length)
  })

  test('goes to the database: the write, and each of its statements', async () => {
    await open()
    await harness.request({
      path: '/api/v1/auth/login',
      headers: { traceparent: SAMPLED },
      body: { username: 'admin', password: PASSWORD },
    })
    const spans = await sent()
    const server = serverSpanOf(spans)
    const read = below(spans, server, 'select accounts')
    const system = harness.platform.database.driver === 'sqlite' ? 'sqlite' : 'postgresql'
    expect(read).toMatchObject({ kind: 'client', attributes: { 'db.system.name': system } })
    const write = below(spans, server, 'write')
    expect(write.kind).toBe('internal')
    const insert = below(spans, write, 'insert sessions')
    expect(insert.attributes['db.query.text']).toStartWith('insert into "sessions"')
    // With places for the values, and none of the values.
    expect(JSON.stringify(spans.map(({ attributes }) => attributes))).not.toContain('$argon2')
    expect(spans.filter(({ isError }) => isError)).toEqual([])
  })

  test('is that of the log lines', async () => {
    await open()
    await harness.request({ path: '/health', headers: { traceparent: SAMPLED } })
    const lines = harness.lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    const access = lines.find((line) => line['url.path'] === '/health')
    const server = serverSpanOf(await sent())
    expect(access).toMatchObject({ 'trace.id': TRACE, 'span.id': server.spanId })
  })

  test('tells the concurrent requests of one batch apart', async () => {
    await open()
    const traces = Array.from({ length: 8 }, (_, at) => TRACE.slice(0, -1) + String(at))
    await Promise.all(
      traces.map((trace, at) =>
        harness.request({
          path: '/api/v1/predict',
          token: harness.adminToken,
          headers: { traceparent: `00-${trace}-${CALLER}-01` },
          body: { model_type: 'classification', features: [{ x1: at, x2: 2 }] },
        }),
      ),
    )
    await sent()
    for (const trace of traces) {
      const spans = collector.spans.filter(({ traceId }) => traceId === trace)
      const predict = below(spans, serverSpanOf(spans), 'predict classification/1')
      below(spans, predict, 'run classification/1')
    }
  })
})

describe('what is a span', () => {
  test('a refusal is no error of the server, and what is no route has no path in its name', async () => {
    await open()
    await harness.request({ path: '/nothing/here?secret=1', headers: { traceparent: SAMPLED } })
    const server = serverSpanOf(await sent())
    expect(server).toMatchObject({ name: 'GET', isError: false })
    expect(server.attributes).toMatchObject({ 'http.response.status_code': 404 })
    expect(server.attributes['http.route']).toBeUndefined()
    expect(JSON.stringify(server.attributes)).not.toContain('secret')
  })

  test('a failure of the server is an error', async () => {
    await open({ PREDICT_QUEUE_ROWS_MAX: '1', PREDICT_ROWS_MAX: '1' })
    const requests = Array.from({ length: 8 }, (_, x1) =>
      harness.request({
        path: '/api/v1/predict',
        token: harness.adminToken,
        headers: { traceparent: SAMPLED },
        body: { model_type: 'classification', features: [{ x1, x2: 2 }] },
      }),
    )
    const refused = (await Promise.all(requests)).filter(({ status }) => status === 503)
    expect(refused.length).toBeGreaterThan(0)
    const errors = (await sent()).filter(({ isError }) => isError)
    expect(errors.length).toBe(refused.length)
    expect(errors[0]!.attributes['error.type']).toBe('503')
  })
})

describe('what is recorded', () => {
  test('is what the caller says, whatever the share is', async () => {
    await open({ OTEL_TRACES_SAMPLER_ARG: '0' })
    const one = await harness.request({ path: '/health', headers: { traceparent: SAMPLED } })
    const other = await harness.request({ path: '/health', headers: { traceparent: UNSAMPLED } })
    expect(one.headers.get('traceparent')).toEndWith('-01')
    expect(other.headers.get('traceparent')).toEndWith('-00')
    expect((await sent()).length).toBe(1)
  })

  test('is nothing of the traces that begin here with a share of 0', async () => {
    await open({ OTEL_TRACES_SAMPLER_ARG: '0' })
    const response = await harness.request({
      path: '/api/v1/predict',
      token: harness.adminToken,
      body: ROWS,
    })
    expect(response.headers.get('traceparent')).toEndWith('-00')
    await sent()
    expect(collector.spans).toEqual([])
    expect(collector.headers).toEqual([])
  })

  test('is each trace that begins here otherwise, and the answer says so', async () => {
    await open()
    const response = await harness.request({ path: '/health' })
    const [, traceId, spanId, flags] = response.headers.get('traceparent')!.split('-')
    expect(flags).toBe('01')
    const server = serverSpanOf(await sent(traceId))
    expect({ spanId: server.spanId, parentId: server.parentId }).toEqual({
      spanId: spanId!,
      parentId: undefined,
    })
  })
})
