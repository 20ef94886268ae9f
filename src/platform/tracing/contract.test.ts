import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { Registry } from 'prom-client'

import { type Collector, startCollector } from '../../../tests/support/collector.ts'
import { until } from '../../../tests/support/until.ts'
import { logContext, openLog, recorded } from '../log.ts'
import { createNoTracing } from './none.ts'
import { createOtlpTracing } from './otlp.ts'
import { beginSpan, currentTraceparent, inTrace, type Span, type Tracing } from './tracing.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const SPAN: Span = {
  name: 'work',
  kind: 'internal',
  traceId: TRACE,
  spanId: PARENT,
  parentId: undefined,
  startedAt: 1,
  endedAt: 2,
  attributes: { absent: undefined, present: 1 },
  errorType: undefined,
}
const JOB = { name: 'job', kind: 'consumer', attributes: {} } as const

const drivers: Record<Tracing['driver'], (endpoint: string, share: number) => Tracing> = {
  none: createNoTracing,
  otlp: (endpoint, share) =>
    createOtlpTracing({
      endpoint,
      headers: {},
      serviceName: 'test',
      share,
      log: openLog({ LOG_LEVEL: 'silent' }, { write() {} }).log,
      metrics: new Registry(),
    }),
}

/** What must hold of every driver. */
describe.each(Object.entries(drivers))('%s', (name, create) => {
  let collector: Collector
  let tracing: Tracing
  beforeEach(() => {
    collector = startCollector()
    tracing = create(collector.url, 1)
  })
  afterEach(async () => {
    await tracing.close()
    await collector.stop()
  })

  test('says what it is', () => {
    expect(tracing.driver as string).toBe(name)
  })

  test('samples nothing where the share is 0', () => {
    const { samples } = create(collector.url, 0)
    expect(samples(TRACE)).toBe(false)
    expect(samples('0'.repeat(31) + '1')).toBe(false)
  })

  test('takes spans, also after it was closed, and may be closed twice', async () => {
    tracing.record(SPAN)
    await tracing.close()
    tracing.record(SPAN)
    await tracing.close()
    expect(collector.spans.length).toBe(name === 'none' ? 0 : 1)
  })

  test('begins no span where nothing is recorded', async () => {
    expect(beginSpan(tracing, 'work', 'internal')).toBeUndefined()
    const unrecorded = { 'trace.id': TRACE, 'span.id': PARENT }
    expect(logContext.run(unrecorded, () => beginSpan(tracing, 'work', 'internal'))).toBeUndefined()
  })

  test('work that goes on with a trace is known by it, whether or not it is recorded', async () => {
    const seen = await inTrace(tracing, `00-${TRACE}-${PARENT}-00`, JOB, async () => ({
      context: logContext.getStore(),
      traceparent: currentTraceparent(),
    }))
    expect(seen.context).toEqual({ 'trace.id': TRACE, 'span.id': expect.any(String) })
    expect(seen.context!['span.id']).not.toBe(PARENT)
    expect(seen.traceparent).toBe(`00-${TRACE}-${seen.context!['span.id']}-00`)
    await tracing.close()
    expect(collector.spans).toEqual([])
  })

  test('hands on what work returns and what it throws', async () => {
    const failure = new Error('no')
    const fail = () => Promise.reject(failure)
    expect(await inTrace(tracing, null, JOB, async () => 1)).toBe(1)
    expect(await inTrace(tracing, null, JOB, fail).catch((error: unknown) => error)).toBe(failure)
    const context = { 'trace.id': TRACE, 'span.id': PARENT, [recorded]: true as const }
    await logContext.run(context, async () => {
      const span = beginSpan(tracing, 'work', 'internal')
      if (name === 'none') return expect(span).toBeUndefined()
      expect(await span!.run({}, fail).catch((error: unknown) => error)).toBe(failure)
      return expect(await span!.run({}, async () => 1)).toBe(1)
    })
  })
})

describe('otlp', () => {
  let collector: Collector
  let lines: Record<string, unknown>[]
  let metrics: Registry
  const opened: Tracing[] = []
  beforeEach(() => {
    collector = startCollector()
    lines = []
    metrics = new Registry()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((tracing) => tracing.close()))
    await collector.stop()
  })

  function open(options: Partial<Parameters<typeof createOtlpTracing>[0]> = {}) {
    const tracing = createOtlpTracing({
      endpoint: collector.url,
      headers: {},
      serviceName: 'test',
      share: 1,
      log: openLog(
        { LOG_LEVEL: 'info' },
        { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
      ).log,
      metrics,
      intervalMs: 10,
      exportTimeoutMs: 300,
      closeTimeoutMs: 300,
      ...options,
    })
    opened.push(tracing)
    return tracing
  }
  const count = async (name: string, reason?: string) => {
    const line = (await metrics.metrics())
      .split('\n')
      .find((each) => each.startsWith(name) && (reason === undefined || each.includes(reason)))
    return Number(line?.split(' ')[1] ?? 0)
  }
  const droppedBy = (reason: string) => count('tracing_spans_dropped_total', reason)

  test('sends spans as they are, in batches, with the headers', async () => {
    const tracing = open({ headers: { 'x-api-key': 'a key' }, batchMax: 2 })
    const startedAt = 1_700_000_000_123.456
    const endedAt = startedAt + 1500.25
    tracing.record({ ...SPAN, startedAt, endedAt, parentId: 'b7ad6b7169203331' })
    tracing.record({ ...SPAN, kind: 'client', errorType: 'SQLITE_BUSY' })
    tracing.record({ ...SPAN, attributes: { text: 'é', yes: true, share: 0.5 } })
    await tracing.close()
    expect(collector.headers.map((headers) => headers.get('x-api-key'))).toEqual(['a key', 'a key'])
    const [first, second, third] = collector.spans
    expect(first).toMatchObject({
      service: 'test',
      name: 'work',
      kind: 'internal',
      traceId: TRACE,
      spanId: PARENT,
      parentId: 'b7ad6b7169203331',
      isError: false,
      attributes: { present: 1 },
    })
    // Doubles hold these times to a quarter of a microsecond.
    expect(Number(first!.startedAt - 1_700_000_000_123_456_000n)).toBeWithin(-500, 500)
    expect(Number(first!.endedAt - first!.startedAt)).toBeWithin(1_500_249_000, 1_500_251_000)
    expect(second).toMatchObject({ kind: 'client', isError: true })
    expect(second!.parentId).toBeUndefined()
    expect(second!.attributes).toEqual({ present: 1, 'error.type': 'SQLITE_BUSY' })
    expect(third!.attributes).toEqual({ text: 'é', yes: true, share: 0.5 })
    expect(await count('tracing_spans_exported_total')).toBe(3)
  })

  test.each([0.25, 0.5, 1])('samples a share of %p of the traces, by their ids', (share) => {
    const { samples } = open({ share })
    const ids = Array.from({ length: 4000 }, () =>
      Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex'),
    )
    const sampled = ids.filter(samples)
    expect(sampled.length / ids.length).toBeWithin(share - 0.05, share + 0.05)
    expect(sampled.filter(samples).length).toBe(sampled.length)
    if (share === 1) expect(sampled.length).toBe(ids.length)
  })

  test('a collector that is away is reported once, and once when it is back', async () => {
    const { port } = new URL(collector.url)
    await collector.stop()
    const tracing = open()
    const context = { 'trace.id': TRACE, 'span.id': PARENT }
    logContext.run(context, () => tracing.record(SPAN))
    await until(async () => (await droppedBy('export_failed')) === 1)
    tracing.record(SPAN)
    await until(async () => (await droppedBy('export_failed')) === 2)
    expect(lines.map(({ message }) => message)).toEqual([
      'traces can not be sent: the collector does not take them',
    ])
    // It is not the line of the request in whose wake it came.
    expect(lines[0]!['trace.id']).toBeUndefined()

    collector = startCollector({ port: Number(port) })
    tracing.record(SPAN)
    await until(() => collector.spans.length === 1)
    await until(() => lines.length === 2)
    expect(lines[1]!['message']).toBe('traces are sent again')
  })

  test('a collector that refuses is away too', async () => {
    collector.answer = 400
    const tracing = open()
    tracing.record(SPAN)
    await until(async () => (await droppedBy('export_failed')) === 1)
    expect(lines.length).toBe(1)
  })

  test('what waits for a collector that does not answer is bounded, and counted', async () => {
    collector.answer = 'never'
    const tracing = open({ queueMax: 100, batchMax: 10, exportTimeoutMs: 5000 })
    for (let at = 0; at < 1000; at += 1) tracing.record(SPAN)
    expect(await droppedBy('queue_full')).toBe(900)
    const startedAt = performance.now()
    await tracing.close()
    expect(performance.now() - startedAt).toBeWithin(250, 2000)
    expect(await droppedBy('export_failed')).toBe(100)
    expect(lines).toMatchObject([{ spans: 100 }])
  })
})
