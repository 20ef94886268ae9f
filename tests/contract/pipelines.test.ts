import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { tableFromIPC } from 'apache-arrow'

import { type Harness, openHarness } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'
import { until } from '../support/until.ts'

const SALES = 'day,shop,revenue\n2026-03-01,Bern,12.5\n2026-03-01,Chur,7\n2026-03-02,Bern,31\n'
const PIPELINES = '/api/v1/pipelines'
const MINUTE_MS = 60_000

let harness: Harness
const tokens: Record<string, string> = {}
beforeAll(async () => {
  harness = await openHarness({ DATA_JOBS_MAX: '1', DATA_JOB_TIMEOUT_MS: '20000' })
  for (const username of ['ada', 'eve']) {
    await harness.addAccount({ username, role: 'editor' })
    tokens[username] = await harness.logIn(username)
  }
  await harness.addAccount({ username: 'vic', role: 'viewer' })
  tokens['vic'] = await harness.logIn('vic')
  await upload('sales', SALES)
})
afterAll(() => harness.close())

interface Asked {
  as?: string
  method?: string
  headers?: Record<string, string>
}

async function ask(path: string, body?: unknown, { as = 'ada', ...rest }: Asked = {}) {
  const method = rest.method ?? (body === undefined ? 'GET' : 'POST')
  const response = await harness.request({ path, body, ...rest, method, token: tokens[as]! })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (isJson ? JSON.parse(text) : {}) as Record<string, unknown>,
  }
}

async function upload(name: string, csv: string, mode = 'create') {
  const headers = { 'content-type': 'text/csv' }
  const { status } = await ask(`/api/v1/datasets?name=${name}&mode=${mode}`, csv, {
    method: 'POST',
    headers,
  })
  expect(status).toBe(201)
}

async function grant(kind: string, id: string, username: string) {
  const body = { team: 'none', principals: [{ username, access: 'read' }] }
  const granted = await ask(`/api/v1/grants/${kind}/${id}`, body, { method: 'PUT' })
  expect(granted.status).toBe(200)
}

const save = (name: string, body: object, asked: Asked = {}) =>
  ask(`${PIPELINES}/${name}`, body, { ...asked, method: 'PUT' })

const rowsOf = async (sql: string) => {
  const { body } = await ask('/api/v1/query', { sql })
  return body['data']
}

async function untilEnded(path: string, as = 'ada') {
  let found: Record<string, unknown> = {}
  await until(async () => {
    found = (await ask(path, undefined, { as })).body
    return !['ready', 'active'].includes(String(found['state']))
  })
  return found
}

async function run(name: string, parameters: object = {}, as = 'ada') {
  const started = await ask(`${PIPELINES}/${name}/runs`, { parameters }, { as })
  expect(started.status).toBe(202)
  return untilEnded(started.headers.get('location')!, as)
}

const takings = {
  source: 'sales',
  operations: [
    { type: 'filter', condition: 'day >= $since' },
    { type: 'aggregate', group_by: 'shop', metrics: 'total = sum(revenue)' },
    { type: 'sort', by: 'shop' },
  ],
  parameters: { since: { type: 'date', default: '2026-03-01' } },
}

describe('an output', () => {
  test('makes a dataset of all rows, by a job', async () => {
    const body = {
      file_path: 'sales',
      operations: [{ type: 'filter', condition: 'revenue > 10' }],
      output: { dataset: 'high', mode: 'create' },
    }
    const started = await ask('/api/v1/process/parquet', body)
    expect(started).toMatchObject({ status: 202, body: { state: 'ready' } })
    const job = await untilEnded(started.headers.get('location')!)
    expect(job).toMatchObject({
      state: 'done',
      type: 'pipelines.run',
      result_url: '/api/v1/datasets/high/versions/1',
    })
    const made = await ask(String(job['result_url']))
    expect(made.body).toMatchObject({
      rows: 2,
      origin: 'pipeline',
      columns: [{ name: 'day' }, {}, {}],
    })
    expect((await ask('/api/v1/process/parquet', body)).status).toBe(409)
  })

  test.each([
    [{ dataset: '/etc/x' }, 422],
    [{ dataset: 'x', mode: 'merge' }, 422],
    [{ dataset: 'x', mode: 'replace', keys: ['a'] }, 422],
    [{ dataset: 'x', mode: 'merge', keys: ['a'], watermark: 'a' }, 422],
    [{ dataset: 'hers' }, 409],
  ])('%p is refused with %d', async (output, status) => {
    const headers = { 'content-type': 'text/csv' }
    const path = '/api/v1/datasets?name=hers'
    await ask(path, 'a\n1\n', { as: 'eve', headers })
    const asked = { file_path: 'sales', operations: [], output }
    expect((await ask('/api/v1/process/parquet', asked)).status).toBe(status)
  })

  test('takes the right to write', async () => {
    await grant('dataset', 'sales', 'vic')
    const output = { dataset: 'mine' }
    const asked = { file_path: 'sales', operations: [], output }
    expect(await ask('/api/v1/process/parquet', asked, { as: 'vic' })).toMatchObject({
      status: 403,
      body: { detail: 'It takes the scope datasets:write.' },
    })
    await harness.request({
      method: 'PUT',
      path: '/api/v1/grants/dataset/sales',
      body: { team: 'none', principals: [] },
      token: tokens['ada']!,
    })
  })

  test('of a step that fails says so in the job', async () => {
    const operations = [{ type: 'cast', columns: { shop: 'INTEGER' } }]
    const output = { dataset: 'failing' }
    const { headers } = await ask('/api/v1/process/parquet', {
      file_path: 'sales',
      operations,
      output,
    })
    const job = await untilEnded(headers.get('location')!)
    expect(job).toMatchObject({ state: 'failed', attempt: 1 })
    expect(String(job['error'])).toContain("Could not convert string 'Bern'")
    expect((await ask('/api/v1/datasets/failing')).status).toBe(404)
  })
})

describe('a pipeline', () => {
  test('is saved, in versions, and found', async () => {
    const first = await save('takings', { ...takings, description: 'What each shop took' })
    expect(first).toMatchObject({
      status: 201,
      body: {
        name: 'takings',
        owner: { name: 'ada' },
        newest: { version: 1, source: 'sales', parameters: { since: { type: 'DATE' } } },
        schedule: null,
        endpoint: null,
      },
    })
    const output = { dataset: 'shop-takings', mode: 'replace' }
    const second = await save('takings', { ...takings, output })
    expect(second).toMatchObject({
      status: 200,
      body: { description: 'What each shop took', newest: { version: 2, output } },
    })
    const { body } = await ask(`${PIPELINES}/takings/versions`)
    expect(body['versions']).toMatchObject([{ version: 2 }, { version: 1, output: null }])
    expect((await ask(PIPELINES)).body).toMatchObject({
      pipelines: [{ name: 'takings' }],
      next: null,
    })
    expect((await ask(PIPELINES, undefined, { as: 'eve' })).body).toMatchObject({ pipelines: [] })
  })

  test('runs into its output, and tells of its runs', async () => {
    expect(await run('takings', { since: '2026-03-02' })).toMatchObject({
      state: 'done',
      version: 2,
      trigger: 'request',
      parameters: { since: '2026-03-02' },
      rows: 1,
      dataset: 'shop-takings',
      dataset_version: 1,
      error: null,
    })
    expect(await run('takings')).toMatchObject({ rows: 2, dataset_version: 2 })
    expect(await rowsOf('SELECT * FROM "shop-takings"')).toEqual([
      { shop: 'Bern', total: 43.5 },
      { shop: 'Chur', total: 7 },
    ])
    const { body } = await ask(`${PIPELINES}/takings/runs?limit=1`)
    expect(body).toMatchObject({ runs: [{ dataset_version: 2 }] })
    const next = await ask(`${PIPELINES}/takings/runs?limit=1&before=${String(body['next'])}`)
    expect(next.body).toMatchObject({ runs: [{ dataset_version: 1 }], next: null })
  })

  test('says what a parameter is not', async () => {
    expect(await run('takings', { since: 'soon' })).toMatchObject({
      state: 'failed',
      rows: null,
      error: 'The parameter since is no DATE: soon.',
    })
  })

  test('runs with the rights of who asks', async () => {
    await grant('pipeline', 'takings', 'eve')
    const refused = await ask(`${PIPELINES}/takings/runs`, {}, { as: 'eve' })
    expect(refused).toMatchObject({ status: 409, body: { title: 'Dataset exists' } })
    await save('elsewhere', { ...takings, output: { dataset: 'of-eve' } })
    await grant('pipeline', 'elsewhere', 'eve')
    const { state, error } = await run('elsewhere', {}, 'eve')
    expect([state, error]).toEqual(['failed', 'There is no dataset "sales".'])
  })

  test('is removed, and what it has made stays', async () => {
    await save('short', { sql: 'SELECT 1 AS a', output: { dataset: 'short-made' } })
    await run('short')
    const events = harness.events.length
    expect((await ask(`${PIPELINES}/short`, undefined, { method: 'DELETE' })).status).toBe(204)
    await harness.published()
    expect(harness.events.slice(events).map(({ type }) => type)).toContain('pipelines.removed')
    expect((await ask(`${PIPELINES}/short`)).status).toBe(404)
    expect(await rowsOf('SELECT * FROM "short-made"')).toEqual([{ a: 1 }])
  })
})

describe('incremental', () => {
  test('append reads what is beyond the watermark', async () => {
    await upload('ticks', 't,v\n1,a\n2,b\n')
    const output = { dataset: 'seen', mode: 'append', watermark: 't' }
    await save('seeing', { source: 'ticks', operations: [], output })
    expect(await run('seeing')).toMatchObject({ rows: 2, dataset_version: 1 })
    expect(await run('seeing')).toMatchObject({ rows: 0, dataset_version: 1 })
    await upload('ticks', 't,v\n2,late\n3,c\n', 'append')
    expect(await run('seeing')).toMatchObject({ rows: 1, dataset_version: 2 })
    expect(await rowsOf('SELECT t, v FROM seen ORDER BY t')).toEqual([
      { t: 1, v: 'a' },
      { t: 2, v: 'b' },
      { t: 3, v: 'c' },
    ])
  })

  test('append in SQL has $watermark', async () => {
    const sql = 'SELECT t, v FROM ticks WHERE $watermark IS NULL OR t > $watermark'
    const output = { dataset: 'seen-too', mode: 'append', watermark: 't' }
    expect((await save('seeing-too', { sql, output })).status).toBe(201)
    expect(await run('seeing-too')).toMatchObject({ rows: 4, dataset_version: 1 })
    await upload('ticks', 't,v\n4,d\n', 'append')
    expect(await run('seeing-too')).toMatchObject({ rows: 1, dataset_version: 2 })
  })

  test('merge replaces the rows with the same keys', async () => {
    await upload('stock', 'shop,n\nBern,1\nChur,2\n,3\n')
    const output = { dataset: 'stocks', mode: 'merge', keys: 'shop' }
    await save('stocking', { source: 'stock', operations: [], output })
    expect(await run('stocking')).toMatchObject({ rows: 3, dataset_version: 1 })
    await upload('stock', 'shop,n\nChur,20\n,30\nArosa,4\n', 'replace')
    expect(await run('stocking')).toMatchObject({ rows: 3, dataset_version: 2 })
    expect(await rowsOf('SELECT * FROM stocks ORDER BY n')).toEqual([
      { shop: 'Bern', n: 1 },
      { shop: 'Arosa', n: 4 },
      { shop: 'Chur', n: 20 },
      { shop: null, n: 30 },
    ])
  })

  test('by a column that is not there says so', async () => {
    const output = { dataset: 'stocks', mode: 'merge', keys: 'store' }
    await save('missing', { source: 'stock', operations: [], output })
    const { state, error } = await run('missing')
    expect([state, error]).toEqual(['failed', 'keys: stocks has no column store.'])
  })
})

describe('a schedule', () => {
  test('runs it when it is time, once, with the rights of its owner', async () => {
    const output = { dataset: 'nightly', mode: 'append' }
    await save('nights', { sql: 'SELECT count(*) AS n FROM sales', output })
    const changed = await ask(
      `${PIPELINES}/nights`,
      { schedule: '*/5 * * * *' },
      { method: 'PATCH' },
    )
    expect(changed).toMatchObject({ status: 200, body: { schedule: '*/5 * * * *' } })
    const due = Date.parse(String(changed.body['due_at']))
    expect(due).toBeGreaterThan(harness.clock.now())
    harness.clock.advance(due - harness.clock.now() + 1000)
    tokens['ada'] = await harness.logIn('ada')
    let runs: { state: string }[] = []
    await until(async () => {
      runs = (await ask(`${PIPELINES}/nights/runs`)).body['runs'] as typeof runs
      return runs[0]?.state === 'done'
    })
    expect(runs).toMatchObject([{ trigger: 'schedule', rows: 1, dataset_version: 1 }])
    harness.clock.advance(MINUTE_MS)
    await Bun.sleep(1500)
    expect((await ask(`${PIPELINES}/nights/runs`)).body['runs']).toHaveLength(1)
    for (const username of ['eve', 'vic']) tokens[username] = await harness.logIn(username)
  })
})

describe('an endpoint', () => {
  const path = '/api/v1/endpoints/takings'

  test('is there when it is published', async () => {
    expect((await ask(path)).status).toBe(404)
    const endpoint = { cache_seconds: 60, requests_per_minute: 1000 }
    expect(await ask(`${PIPELINES}/takings`, { endpoint }, { method: 'PATCH' })).toMatchObject({
      status: 200,
      body: { endpoint },
    })
    expect((await ask('/api/v1/endpoints')).body).toMatchObject({
      endpoints: [{ name: 'takings', parameters: { since: { type: 'DATE' } }, cache_seconds: 60 }],
    })
    expect((await ask(path)).body).toMatchObject({
      rows: 2,
      columns: [{ name: 'shop' }, { name: 'total', type: 'DOUBLE' }],
      data: [{ shop: 'Bern', total: 43.5 }, { shop: 'Chur' }],
    })
  })

  test('takes its parameters from the address, and answers in every form', async () => {
    expect((await ask(`${path}?since=2026-03-02`)).body).toMatchObject({ rows: 1 })
    expect((await ask(`${path}?since=2026-03-02&format=csv`)).text).toBe('shop,total\nBern,31.0\n')
    const lines = await ask(`${path}?since=2026-03-02`, undefined, {
      headers: { accept: 'application/x-ndjson' },
    })
    expect(lines.text).toBe('{"shop":"Bern","total":31.0}\n')
    expect((await ask(`${path}?format=parquet`)).text).toStartWith('PAR1')
    const arrow = await harness.request({ path: `${path}?format=arrow`, token: tokens['ada']! })
    const table = tableFromIPC(await arrow.bytes())
    expect(table.getChild('shop')!.toArray()).toEqual(['Bern', 'Chur'])
  })

  test('keeps an answer until its data have changed', async () => {
    const first = await ask(path)
    const etag = first.headers.get('etag')!
    const again = await ask(path, undefined, { headers: { 'if-none-match': etag } })
    expect([again.status, again.text]).toEqual([304, ''])
    await upload('sales', 'day,shop,revenue\n2026-03-03,Chur,100\n', 'append')
    const changed = await ask(path, undefined, { headers: { 'if-none-match': etag } })
    expect(changed.body).toMatchObject({ data: [{}, { shop: 'Chur', total: 107 }] })
  })

  test('may be asked by who may not see its datasets', async () => {
    expect((await ask(path, undefined, { as: 'vic' })).status).toBe(404)
    await grant('pipeline', 'takings', 'vic')
    expect((await ask(path, undefined, { as: 'vic' })).body).toMatchObject({ rows: 2 })
    expect((await ask('/api/v1/datasets/sales', undefined, { as: 'vic' })).status).toBe(404)
  })

  test('counts its requests', async () => {
    const endpoint = { cache_seconds: 0, requests_per_minute: 2 }
    await ask(`${PIPELINES}/takings`, { endpoint }, { method: 'PATCH' })
    const statuses = []
    for (let n = 0; n < 3; n += 1) statuses.push((await ask(path)).status)
    expect(statuses).toEqual([200, 200, 429])
    const { headers } = await ask(path)
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    await ask(`${PIPELINES}/takings`, { endpoint: null }, { method: 'PATCH' })
    expect((await ask(path)).status).toBe(404)
  })
})

const refusals: Row[] = [
  { name: 'nobody saves', method: 'PUT', path: `${PIPELINES}/a`, body: takings, status: 401 },
  {
    name: 'a viewer saves',
    as: 'vic',
    method: 'PUT',
    path: `${PIPELINES}/a`,
    body: takings,
    status: 403,
  },
  {
    name: 'a name that is none',
    as: 'ada',
    method: 'PUT',
    path: `${PIPELINES}/A%20b`,
    body: takings,
    status: 422,
  },
  {
    name: 'neither steps nor SQL',
    as: 'ada',
    method: 'PUT',
    path: `${PIPELINES}/a`,
    body: {},
    status: 422,
    contains: ['source and operations, sql, or from'],
  },
  {
    name: 'steps and SQL',
    as: 'ada',
    method: 'PUT',
    path: `${PIPELINES}/a`,
    body: { ...takings, sql: 'SELECT 1' },
    status: 422,
  },
  {
    name: 'SQL that is none',
    as: 'ada',
    method: 'PUT',
    path: `${PIPELINES}/a`,
    body: { sql: "COPY (SELECT 1) TO '/tmp/x'" },
    status: 422,
    contains: ['#/sql'],
  },
  {
    name: 'a step that does not fit',
    as: 'ada',
    method: 'PUT',
    path: `${PIPELINES}/a`,
    body: { source: 'sales', operations: [{ type: 'sort', by: 'nothing' }] },
    status: 422,
    contains: ['#/operations/0/by/0'],
  },
  {
    name: 'a parameter that is not declared',
    as: 'ada',
    method: 'PUT',
    path: `${PIPELINES}/a`,
    body: { ...takings, parameters: {} },
    status: 422,
    contains: ['no parameter $since'],
  },
  {
    name: 'a parameter of a type that is none',
    as: 'ada',
    method: 'PUT',
    path: `${PIPELINES}/a`,
    body: { ...takings, parameters: { since: { type: 'DATE); DROP TABLE x' } } },
    status: 422,
  },
  {
    name: 'a parameter that is called watermark',
    as: 'ada',
    method: 'PUT',
    path: `${PIPELINES}/a`,
    body: { ...takings, parameters: { Watermark: { type: 'DATE' } } },
    status: 422,
  },
  {
    name: 'a dataset of somebody else',
    as: 'eve',
    method: 'PUT',
    path: `${PIPELINES}/a`,
    body: takings,
    status: 404,
  },
  {
    name: 'a pipeline of somebody else',
    as: 'eve',
    method: 'PUT',
    path: `${PIPELINES}/takings`,
    body: { sql: 'SELECT 1 AS a' },
    status: 409,
    mustNotContain: ['ada'],
  },
  {
    name: 'one that there is not',
    as: 'ada',
    path: `${PIPELINES}/none`,
    status: 404,
  },
  {
    name: 'a version that there is not',
    as: 'ada',
    path: `${PIPELINES}/takings/runs`,
    body: { version: 99 },
    status: 404,
  },
  {
    name: 'a run without an output',
    as: 'ada',
    path: `${PIPELINES}/takings/runs`,
    body: { version: 1 },
    status: 409,
  },
  {
    name: 'a run with a parameter that nobody declared',
    as: 'ada',
    path: `${PIPELINES}/takings/runs`,
    body: { parameters: { until: '2026-01-01' } },
    status: 422,
    contains: ['#/parameters/until'],
  },
  {
    name: 'a run that there is not',
    as: 'ada',
    path: `${PIPELINES}/takings/runs/none`,
    status: 404,
  },
  {
    name: 'a schedule that is none',
    as: 'ada',
    method: 'PATCH',
    path: `${PIPELINES}/takings`,
    body: { schedule: 'every day' },
    status: 422,
  },
  {
    name: 'a schedule of seconds',
    as: 'ada',
    method: 'PATCH',
    path: `${PIPELINES}/takings`,
    body: { schedule: '* * * * * *' },
    status: 422,
  },
  {
    name: 'a schedule of a date that never comes',
    as: 'ada',
    method: 'PATCH',
    path: `${PIPELINES}/takings`,
    body: { schedule: '0 0 31 2 *' },
    status: 422,
  },
  {
    name: 'nobody asks an endpoint',
    path: '/api/v1/endpoints/takings',
    status: 401,
  },
]
testRequests(
  () => harness,
  refusals,
  () => tokens,
)
