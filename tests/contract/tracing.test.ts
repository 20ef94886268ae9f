import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { authTables } from '../../src/auth/tables.ts'
import { route } from '../../src/gateway/route.ts'
import { JobRefused, type Jobs } from '../../src/platform/jobs/jobs.ts'
import { type LogContext, logContext } from '../../src/platform/log.ts'
import { type Collector, type ReceivedSpan, startCollector } from '../support/collector.ts'
import { createTestGateway } from '../support/gateway.ts'
import { type Harness, MODELS_DIR, openHarness, PASSWORD } from '../support/harness.ts'

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
    // The very first login makes the secret that refresh tokens hang on, which is another write.
    for (const traceparent of [UNSAMPLED, SAMPLED]) {
      await harness.request({
        path: '/api/v1/auth/login',
        headers: { traceparent },
        body: { username: 'admin', password: PASSWORD },
      })
    }
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

  test('goes to DuckDB: each piece of work, and what models say of its rows', async () => {
    await open({ MODELS_DIR })
    const token = harness.adminToken
    await harness.request({
      path: '/api/v1/datasets?name=stones',
      headers: { 'content-type': 'text/csv', traceparent: UNSAMPLED },
      body: 'carat,depth,table,x,y,z,cut,color,clarity\n0.31,61.5,55,4.35,4.37,2.68,Ideal,E,SI1\n',
      token,
    })
    const priced = await harness.request({
      path: '/api/v1/process/parquet',
      headers: { traceparent: SAMPLED },
      body: { file_path: 'stones', operations: [{ type: 'predict', model: 'regression' }] },
      token,
    })
    expect(priced.status).toBe(200)
    const spans = await sent()
    const server = serverSpanOf(spans)
    const work = spans.filter(({ name }) => name.startsWith('data '))
    expect(work.map(({ name, parentId }) => [name, parentId === server.spanId])).toEqual([
      ['data query', true],
      ['data query', true],
      ['data overview', true],
    ])
    expect(work[0]!.attributes).toEqual({ 'db.system.name': 'duckdb' })
    below(spans, server, 'run regression/1')
    const metrics = await harness.request({ path: '/metrics', token })
    const counted = (await metrics.text()).match(/data_work_seconds_count\{.*/g)
    expect(counted!.toSorted()).toEqual([
      'data_work_seconds_count{engine="answers",task="convert",outcome="done"} 1',
      'data_work_seconds_count{engine="answers",task="overview",outcome="done"} 1',
      'data_work_seconds_count{engine="answers",task="query",outcome="done"} 2',
    ])
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

describe('jobs', () => {
  const enqueue = (jobs: Jobs) =>
    route(
      { method: 'post', path: '/work', access: 'open', tag: '', summary: '', answers: {} },
      async () => {
        const job = { type: 'work', payload: {} }
        return {
          body: { id: await harness.platform.database.write((tx) => jobs.enqueue(tx, job)) },
        }
      },
    )

  /** Enqueues a job behind a gateway, and waits until it has ended. */
  async function work(traceparent: string, run: () => Promise<void>) {
    const { jobs, tracing } = harness.platform
    const contexts: (LogContext | undefined)[] = []
    jobs.handle('work', {
      async run() {
        contexts.push(logContext.getStore())
        await run()
      },
    })
    await jobs.start()
    const gateway = createTestGateway([enqueue(jobs)], {}, tracing)
    const headers = { traceparent }
    const response = await gateway.request({ method: 'POST', path: '/work', headers })
    const { id } = (await response.json()) as { id: string }
    while ((await jobs.get(id))?.finishedAt === null) await Bun.sleep(5)
    await jobs.stop(1000)
    return contexts
  }
  const writeSomething = () =>
    harness.platform.database.write(async (tx) => {
      const { sessions } = authTables(harness.platform.database.kit)
      await tx.delete(sessions).where(eq(sessions.id, 'none'))
    })

  test('are in the trace of the request that enqueued them, with what they write', async () => {
    await open()
    await work(SAMPLED, writeSomething)
    const spans = await sent()
    const server = serverSpanOf(spans)
    const enqueued = below(spans, server, 'write')
    below(spans, enqueued, 'insert jobs')
    const [job, ...others] = spans.filter(({ kind }) => kind === 'consumer')
    expect(others).toEqual([])
    // Not within the time of its parent: it is done later.
    expect(job).toMatchObject({
      name: 'job work',
      parentId: enqueued.spanId,
      attributes: { 'job.type': 'work', 'job.attempt': 1 },
    })
    expect(job!.startedAt).toBeGreaterThanOrEqual(enqueued.startedAt)
    const written = below(spans, job!, 'write')
    below(spans, written, 'delete sessions')
    // The queue's own work, that of a process, is no request's: it comes in no trace.
    expect(spans.map(({ name }) => name).filter((name) => name === 'update jobs')).toEqual([])
    expect(spans.filter(({ name }) => name === 'write').length).toBe(2)
  })

  test('that fail are errors, an attempt each, and their log lines are in the trace', async () => {
    await open()
    await work(SAMPLED, () => Promise.reject(new JobRefused('never')))
    const job = (await sent()).find(({ kind }) => kind === 'consumer')
    expect(job).toMatchObject({ isError: true, attributes: { 'error.type': 'JobRefused' } })
    const lines = harness.lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    const line = lines.find(({ message }) => message === 'a job failed')
    expect(line).toMatchObject({ 'trace.id': TRACE, 'span.id': job!.spanId })
  })

  test('are not recorded where the request is not, and known by its trace in the log', async () => {
    await open()
    const [context] = await work(UNSAMPLED, writeSomething)
    expect(context?.['trace.id']).toBe(TRACE)
    expect(await sent()).toEqual([])
  })

  test('are known by the trace also where nothing is recorded at all', async () => {
    harness = await openHarness()
    const [context] = await work(SAMPLED, writeSomething)
    expect(context).toEqual({ 'trace.id': TRACE, 'span.id': expect.any(String) })
  })
})
