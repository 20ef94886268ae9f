import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import { type Harness, openHarness } from '../support/harness.ts'
import { until } from '../support/until.ts'

const UPLOAD_BYTES_MAX = 100_000
const MINUTE_MS = 60_000

/** What stands for the machines of others. */
let elsewhere: ReturnType<typeof Bun.serve>
let base: string
const asked: string[] = []
let rows = 'day,shop,revenue\n2026-03-01,Bern,12.5\n2026-03-02,Chur,7\n'
let failures = 0

const answers: Record<string, () => Response | Promise<Response>> = {
  '/sales.csv': () => new Response(rows, { headers: { 'content-type': 'text/plain' } }),
  '/sales.csv.gz': () => new Response(gzipSync(rows)),
  '/unknown': () => new Response('{"a":1}\n{"a":2}\n'),
  '/odd.csv': () => new Response('a,b\n1,2\n1,2,3\n'),
  '/picture.csv': () => new Response(Buffer.from('89504e470d0a1a0a', 'hex')),
  '/large.csv': () => new Response(`a\n${'1\n'.repeat(UPLOAD_BYTES_MAX)}`),
  '/private': () => Response.redirect('https://10.0.0.1/sales.csv', 302),
  '/away.csv': () => Response.redirect('/sales.csv', 301),
  '/gone.csv': () => new Response('secret words', { status: 410 }),
  '/flaky.csv': () => {
    failures += 1
    return failures % 2 === 1 ? new Response('', { status: 503 }) : new Response(rows)
  },
  '/never': () => new Promise(() => {}),
}

let harness: Harness
let token: string
beforeAll(async () => {
  elsewhere = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch({ url }) {
      const { pathname, search } = new URL(url)
      asked.push(`${pathname}${search}`)
      return answers[pathname]?.() ?? new Response('nothing', { status: 404 })
    },
  })
  base = `http://127.0.0.1:${elsewhere.port}`
  harness = await openHarness({
    EGRESS_ALLOW: '127.0.0.1',
    DATASET_UPLOAD_BYTES_MAX: String(UPLOAD_BYTES_MAX),
  })
  await harness.addAccount({ username: 'ada', role: 'editor' })
  await harness.addAccount({ username: 'vic', role: 'viewer' })
  token = await harness.logIn('ada')
})
afterAll(async () => {
  await harness.close()
  await elsewhere.stop(true)
})

async function ask(path: string, body?: unknown, method = body === undefined ? 'GET' : 'POST') {
  const response = await harness.request({ path, method, body, token })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true
  return {
    status: response.status,
    location: response.headers.get('location'),
    text,
    body: (isJson ? JSON.parse(text) : {}) as Record<string, unknown>,
  }
}

async function fetched(from: object, output: object) {
  const started = await ask('/api/v1/datasets/imports', { from, output })
  expect({ status: started.status, text: started.text }).toMatchObject({ status: 202 })
  return untilEnded(started.location!)
}

async function untilEnded(path: string): Promise<Record<string, unknown>> {
  let job: Record<string, unknown> = {}
  await until(async () => {
    job = (await ask(path)).body
    // What is done again is not done at once.
    if (job['state'] === 'ready') harness.clock.advance(1000)
    return ['done', 'failed', 'cancelled'].includes(String(job['state']))
  }, MINUTE_MS)
  return job
}

const nothingIsLeft = () =>
  readdirSync(join(harness.platform.config.DATA_DIR, 'pipelines')).length === 0

describe('a file', () => {
  test('becomes a dataset, as if it had been uploaded', async () => {
    const job = await fetched({ url: `${base}/sales.csv` }, { dataset: 'sales' })
    expect(job).toMatchObject({ state: 'done', result_url: '/api/v1/datasets/sales/versions/1' })
    expect((await ask('/api/v1/datasets/sales')).body).toMatchObject({
      owner: { name: 'ada' },
      newest: {
        rows: 2,
        origin: 'import',
        columns: [
          { name: 'day', type: 'DATE' },
          { name: 'shop', type: 'VARCHAR' },
          { name: 'revenue', type: 'DOUBLE' },
        ],
      },
    })
  })

  test.each([
    ['sales.csv.gz', 2],
    ['unknown', 2],
    ['away.csv', 2],
  ])('is known by what it is: %s', async (file, count) => {
    const dataset = file.replaceAll('.', '-')
    await fetched({ url: `${base}/${file}` }, { dataset })
    expect((await ask(`/api/v1/datasets/${dataset}`)).body).toMatchObject({
      newest: { rows: count },
    })
  })

  test('goes behind what is there, as what that is', async () => {
    await ask('/api/v1/query', { sql: 'SELECT 1 AS a' })
    const first = await fetched({ url: `${base}/sales.csv` }, { dataset: 'grown' })
    expect(first['state']).toBe('done')
    rows = 'day,shop,revenue\n2026-03-03,7,1\n'
    const output = { dataset: 'grown', mode: 'append' }
    expect(await fetched({ url: `${base}/sales.csv` }, output)).toMatchObject({ state: 'done' })
    const sql = 'SELECT shop, revenue FROM grown ORDER BY day'
    expect((await ask('/api/v1/query', { sql })).body).toMatchObject({
      data: [{ shop: 'Bern' }, { shop: 'Chur' }, { shop: '7', revenue: 1 }],
    })
  })

  test('may have rows that do not fit, where that is said', async () => {
    const from = { url: `${base}/odd.csv` }
    const refused = await fetched(from, { dataset: 'odd' })
    expect(refused).toMatchObject({ state: 'failed', error: expect.stringContaining('1 row') })
    expect(await fetched({ ...from, rejected_max: 5 }, { dataset: 'odd' })).toMatchObject({
      state: 'done',
    })
    expect((await ask('/api/v1/datasets/odd/versions/1')).body).toMatchObject({
      rows: 1,
      rejected_rows: 1,
      rejected: [{ line: 3 }],
    })
  })

  test('that was away is fetched once more', async () => {
    const job = await fetched({ url: `${base}/flaky.csv` }, { dataset: 'flaky' })
    expect(job).toMatchObject({ state: 'done', attempt: 2 })
  })
})

describe('refused', () => {
  test.each([
    ['https://10.0.0.1/x', 422, /private network/],
    ['https://169.254.169.254/latest', 422, /private network/],
    ['http://example.com/x.csv', 422, /https/],
    ['file:///etc/passwd', 422, /https/],
    ['/etc/passwd', 422, /no address/],
    ['https://ada:secret@example.com/x', 422, /user and a password/],
  ])('%s, at once', async (url, status, detail) => {
    const from = { url }
    const once = await ask('/api/v1/datasets/imports', { from, output: { dataset: 'x' } })
    const body = { from, output: { dataset: 'x' } }
    const saved = await ask('/api/v1/pipelines/stray', body, 'PUT')
    for (const { status: is, text } of [once, saved]) {
      expect({ status: is, text }).toEqual({ status, text: expect.stringMatching(detail) })
    }
  })

  test.each([
    ['private', /10\.0\.0\.1 is of a private network/],
    ['picture.csv', /picture/],
    ['large.csv', /at most 100000 bytes/],
    ['gone.csv', /answers with 410/],
  ])('%s, by the job, which leaves nothing', async (file, detail) => {
    const job = await fetched({ url: `${base}/${file}` }, { dataset: 'not-there' })
    expect(job).toMatchObject({ state: 'failed', error: expect.stringMatching(detail) })
    expect(JSON.stringify(job)).not.toContain('secret words')
    expect((await ask('/api/v1/datasets/not-there')).status).toBe(404)
    expect(nothingIsLeft()).toBe(true)
  })

  test('by who may not write, and of names that others have', async () => {
    const vic = await harness.logIn('vic')
    const response = await harness.request({
      path: '/api/v1/datasets/imports',
      body: { from: { url: `${base}/sales.csv` }, output: { dataset: 'x' } },
      token: vic,
    })
    expect(response.status).toBe(403)
    const output = { dataset: 'sales', mode: 'create' }
    const from = { url: `${base}/sales.csv` }
    expect((await ask('/api/v1/datasets/imports', { from, output })).status).toBe(409)
  })

  test.each([
    [{ from: { url: 'https://example.com/x' } }],
    [{ from: { url: 'https://example.com/x' }, sql: 'SELECT 1 AS a', output: { dataset: 'x' } }],
    [
      {
        from: { url: 'https://example.com/x' },
        output: { dataset: 'x', mode: 'append', watermark: 'day' },
      },
    ],
    [
      {
        from: { url: 'https://example.com/x' },
        output: { dataset: 'x' },
        parameters: { since: { type: 'DATE' } },
      },
    ],
  ])('as a pipeline that makes no sense: %j', async (body) => {
    expect((await ask('/api/v1/pipelines/stray', body, 'PUT')).status).toBe(422)
  })

  test('as an endpoint', async () => {
    const from = { url: `${base}/sales.csv` }
    await ask('/api/v1/pipelines/shown', { from, output: { dataset: 'shown' } }, 'PUT')
    const changed = await ask('/api/v1/pipelines/shown', { endpoint: {} }, 'PATCH')
    expect(changed).toMatchObject({ status: 422, text: expect.stringContaining('no endpoint') })
    expect((await ask('/api/v1/endpoints/shown')).status).toBe(404)
  })
})

test('one that nobody wants any more ends at once', async () => {
  const output = { dataset: 'never' }
  const started = await ask('/api/v1/datasets/imports', { from: { url: `${base}/never` }, output })
  await until(() => asked.includes('/never'), MINUTE_MS)
  await ask(started.location!, undefined, 'DELETE')
  expect(await untilEnded(started.location!)).toMatchObject({ state: 'cancelled' })
  expect(nothingIsLeft()).toBe(true)
})

test('a pipeline fetches by its schedule, and does not show what opens the address', async () => {
  const signed = `${base}/sales.csv?signature=abcdef`
  const saved = await ask(
    '/api/v1/pipelines/hourly',
    { from: { url: signed }, output: { dataset: 'hourly' } },
    'PUT',
  )
  expect(saved).toMatchObject({
    status: 201,
    body: { newest: { from: { url: `${base}/sales.csv?…`, rejected_max: 0 } } },
  })
  await ask('/api/v1/pipelines/hourly', { schedule: '0 * * * *' }, 'PATCH')
  harness.clock.advance(61 * MINUTE_MS)
  token = await harness.logIn('ada')
  await until(async () => (await ask('/api/v1/datasets/hourly')).status === 200, MINUTE_MS)
  expect(asked).toContain('/sales.csv?signature=abcdef')
  const everything = [
    '/api/v1/pipelines/hourly',
    '/api/v1/pipelines/hourly/versions',
    '/api/v1/pipelines/hourly/runs',
    '/api/v1/jobs',
  ].map(async (path) => (await ask(path)).text)
  expect((await Promise.all(everything)).join('')).not.toContain('abcdef')
})
