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
