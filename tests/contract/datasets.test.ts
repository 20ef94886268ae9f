import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import { type Harness, openHarness } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'

const DATASETS = '/api/v1/datasets'
const CSV = { 'content-type': 'text/csv' }
const SALES = 'day,shop,revenue\n2026-03-01,Bern,12.5\n2026-03-02,Bern,\n2026-03-02,Chur,7\n'
const QUOTA_BYTES = 20_000
const UPLOAD_BYTES_MAX = 100_000

let harness: Harness
let ada: string
let eve: string
let viewer: string
beforeAll(async () => {
  harness = await openHarness({
    DATASETS_PER_OWNER_BYTES_MAX: String(QUOTA_BYTES),
    DATASET_UPLOAD_BYTES_MAX: String(UPLOAD_BYTES_MAX),
    DATASET_REJECTED_ROWS_MAX: '1000',
  })
  await harness.addAccount({ username: 'ada', role: 'editor' })
  await harness.addAccount({ username: 'eve', role: 'editor' })
  await harness.addAccount({ username: 'viewer' })
  ada = await harness.logIn('ada')
  eve = await harness.logIn('eve')
  viewer = await harness.logIn('viewer')
})
afterAll(() => harness.close())

const tokens = () => ({ ada, eve, viewer })
const send = (query: string, body: unknown, rest: Partial<Row> & Pick<Row, 'status'>): Row => ({
  name: `upload ${query}`,
  as: 'ada',
  method: 'POST',
  path: `${DATASETS}?${query}`,
  headers: CSV,
  body,
  ...rest,
})
const get = (path: string, rest: Partial<Row> & Pick<Row, 'status'>): Row => ({
  name: `get ${path}`,
  as: 'ada',
  path: `${DATASETS}${path}`,
  ...rest,
})
const ADDED = ['datasets.version_added']

/** Names of files that the server keeps; its own places for work in progress are empty. */
function kept(): string[] {
  const directory = harness.platform.config.DATA_DIR
  const inUse = ['queries', 'dataset-uploads'].flatMap((name) => readdirSync(join(directory, name)))
  expect(inUse).toEqual([])
  const files = readdirSync(join(directory, 'files'), { recursive: true, withFileTypes: true })
  return files
    .filter((entry) => entry.isFile() && entry.parentPath.includes('dataset'))
    .map(({ name }) => name)
}

describe('an upload is refused', () => {
  testRequests(
    () => harness,
    [
      send('name=sales', SALES, { name: 'without a token', as: undefined as never, status: 401 }),
      send('name=sales', SALES, { name: 'to who may only read', as: 'viewer', status: 403 }),
      send('', SALES, { name: 'without a name', status: 422, contains: ['#/query/name'] }),
      send('name=Sales', SALES, { status: 422, contains: ['lower-case'] }),
      send('name=../x', SALES, { status: 422, contains: ['#/query/name'] }),
      send('name=sales&mode=merge', SALES, { status: 422, contains: ['#/query/mode'] }),
      send('name=sales&file=x', SALES, { status: 422, contains: ['file'] }),
      send('name=sales&rejected_max=1001', SALES, { status: 422, contains: ['1000'] }),
      send('name=sales&types=x', SALES, { status: 422, contains: ['#/query/types'] }),
      send('name=sales&types=%7B%22day%22%3A%22TEXT)%3B--%22%7D', SALES, {
        status: 422,
        contains: ['#/query/types/day', 'expected a type'],
      }),
      send('name=sales', SALES, {
        name: 'as a form that curl makes of what it is not told of',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        status: 415,
      }),
      send('name=sales', '', { name: 'that is empty', status: 422, contains: ['empty'] }),
      send('name=sales', 'PAR1', {
        name: 'that is broken Parquet',
        headers: { 'content-type': 'application/vnd.apache.parquet' },
        status: 422,
        mustNotContain: ['/tmp', 'quintet-test', 'dataset-uploads'],
      }),
      send('name=sales', `a,b\n1,2\n${'x\n'.repeat(101)}`, {
        name: 'with many rows that do not fit',
        status: 422,
        contains: ['line 3, has 1 fields'],
        mustNotContain: ['/tmp', 'quintet-test'],
      }),
      send('name=sales', 'x'.repeat(UPLOAD_BYTES_MAX + 1), {
        name: 'that is too large',
        status: 413,
        contains: [`${UPLOAD_BYTES_MAX}`],
      }),
      send('name=sales', '--x\r\ncontent-disposition: form-data; name="file"\r\n', {
        name: 'that breaks off',
        headers: { 'content-type': 'multipart/form-data; boundary=x' },
        status: 400,
      }),
      send('name=sales', '--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n', {
        name: 'without a file in its form',
        headers: { 'content-type': 'multipart/form-data; boundary=x' },
        status: 422,
        contains: ['#/a', 'expected file'],
      }),
      get('', { status: 200, has: { datasets: [], next: null } }),
    ],
    tokens,
  )
  test('and leaves nothing', () => expect(kept()).toEqual([]))
})

describe('a dataset', () => {
  testRequests(
    () => harness,
    [
      send('name=sales', SALES, {
        status: 201,
        events: ADDED,
        answerHeaders: { location: '/api/v1/datasets/sales/versions/1' },
        has: {
          version: 1,
          origin: 'upload',
          rows: 3,
          columns: [
            { name: 'day', type: 'DATE' },
            { name: 'shop', type: 'VARCHAR' },
            { name: 'revenue', type: 'DOUBLE' },
          ],
          rejected_rows: 0,
        },
      }),
      send('name=sales', SALES, { name: 'is not made twice', status: 409 }),
      send('name=sales&mode=append', SALES, {
        name: 'is not told to others',
        as: 'eve',
        status: 409,
        mustNotContain: ['ada'],
      }),
      get('/sales', { name: 'is not there for others', as: 'eve', status: 404 }),
      get('/sales', {
        status: 200,
        has: { name: 'sales', owner: { name: 'ada' }, newest: { version: 1 } },
      }),
      get('/none', { status: 404, contains: ['none'] }),
      get('', { name: 'is listed', status: 200, contains: ['"sales"'] }),
      get('', { name: 'is not listed for others', as: 'eve', status: 200, has: { datasets: [] } }),
      get('/sales/rows?limit=2', {
        status: 200,
        has: {
          version: 1,
          next: 'MS4y',
          rows: 2,
          data: [
            { day: '2026-03-01', shop: 'Bern', revenue: 12.5 },
            { day: '2026-03-02', shop: 'Bern', revenue: null },
          ],
        },
      }),
      get('/sales/rows?limit=2&cursor=MS4y', {
        status: 200,
        has: { next: null, data: [{ day: '2026-03-02', shop: 'Chur', revenue: 7 }] },
      }),
      get('/sales/rows?cursor=x', { status: 422, contains: ['#/query/cursor'] }),
      get('/sales/rows?cursor=MS4y&version=2', { status: 422 }),
      get('/sales/rows?limit=1001', { status: 422 }),
      get('/sales/rows?version=2', { status: 404, contains: ['The newest is 1'] }),
      get('/sales/sample?rows=2&seed=7', { status: 200, has: { rows: 2, version: 1 } }),
      get('/sales/statistics', {
        status: 200,
        has: {
          rows: 3,
          columns: [
            { name: 'day', type: 'DATE', min: '2026-03-01', max: '2026-03-02', nulls: 0 },
            { name: 'shop', type: 'VARCHAR', min: 'Bern', max: 'Chur', nulls: 0 },
            { name: 'revenue', type: 'DOUBLE', min: '7.0', max: '12.5', nulls: 1 },
          ],
        },
      }),
      send('name=sales&mode=append', 'revenue,shop\n3,Bern\nmuch,Bern\n', {
        name: 'takes further rows, by the types that it has',
        status: 201,
        events: ADDED,
        has: {
          version: 2,
          origin: 'append',
          rows: 4,
          rejected: [
            { line: 3, column: 'revenue', reason: '"much" is no DOUBLE', text: 'much,Bern' },
          ],
        },
      }),
      get('/sales/rows?limit=10&cursor=MS4y', {
        name: 'a page of an old version stays',
        status: 200,
        has: { version: 1, rows: 1 },
      }),
      get('/sales/export?format=csv', {
        status: 200,
        contains: [
          'day,shop,revenue\n2026-03-01,Bern,12.5\n2026-03-02,Bern,\n2026-03-02,Chur,7.0\n,Bern,3.0\n',
        ],
        answerHeaders: {
          'content-type': 'text/csv; charset=utf-8',
          'content-disposition': 'attachment; filename="sales.csv"',
          etag: /^".+"$/,
        },
      }),
      get('/sales/export.ndjson?version=1', {
        status: 200,
        contains: ['{"day":"2026-03-02","shop":"Chur","revenue":7.0}\n'],
        answerHeaders: { 'content-type': 'application/x-ndjson' },
      }),
      get('/sales/export', {
        name: 'as what is asked for',
        headers: { accept: 'application/x-ndjson;q=0.5, text/csv' },
        status: 200,
        answerHeaders: { 'content-type': 'text/csv; charset=utf-8' },
      }),
      get('/sales/export', {
        name: 'not as what there is not',
        headers: { accept: 'image/png' },
        status: 406,
        contains: ['application/vnd.apache.parquet'],
      }),
      get('/sales/export.csv', {
        name: 'a part of it',
        headers: { range: 'bytes=0-2' },
        status: 206,
        contains: ['day'],
        answerHeaders: { 'content-range': /^bytes 0-2\/\d+$/ },
      }),
      get('/sales/export.csv', {
        name: 'a part beyond it',
        headers: { range: 'bytes=100000-' },
        status: 416,
      }),
      get('/sales/export.parquet', {
        name: 'its length alone',
        method: 'HEAD',
        status: 200,
        answerHeaders: { 'content-length': /^\d+$/, 'accept-ranges': 'bytes' },
      }),
      get('/sales/export.arrow', {
        status: 200,
        answerHeaders: { 'content-type': 'application/vnd.apache.arrow.stream' },
      }),
      get('/sales/export.xlsx', { status: 404 }),
      get('/sales/export.csv', { name: 'not for others', as: 'eve', status: 404 }),
      get('/sales/versions', { status: 200, contains: ['"version":2', '"version":1'] }),
      get('/sales/versions/1', { status: 200, has: { version: 1, rows: 3 } }),
      get('/sales/versions/01', { status: 404 }),
      {
        ...get('/sales', { name: 'is described otherwise', status: 200 }),
        method: 'PATCH',
        body: { description: 'Shops', versions_kept: 5 },
        has: { description: 'Shops', versions_kept: 5 },
        events: ['datasets.changed'],
      },
      {
        ...get('/sales', { name: 'is not changed to nonsense', status: 422 }),
        method: 'PATCH',
        body: { versions_kept: 0 },
      },
      {
        ...get('/sales/versions/1', { name: 'loses a version', status: 204 }),
        method: 'DELETE',
        events: ['datasets.version_removed'],
      },
      {
        ...get('/sales/versions/2', { name: 'and not the last one', status: 409 }),
        method: 'DELETE',
      },
      get('/sales/rows?limit=10', {
        name: 'what they shared stays',
        status: 200,
        has: { version: 2, rows: 4 },
      }),
      send('name=sales&mode=replace', '{"a":[1,2],"b":["x","y"]}', {
        name: 'becomes another one',
        headers: { 'content-type': 'application/json' },
        status: 201,
        has: {
          version: 3,
          rows: 2,
          columns: [
            { name: 'a', type: 'BIGINT' },
            { name: 'b', type: 'VARCHAR' },
          ],
        },
        events: ADDED,
      }),
      send('name=sales&mode=append', 'a,b\nx,y\nz,w\n', {
        name: 'takes no rows of other types',
        headers: CSV,
        status: 201,
        has: { version: 4, rows: 2, rejected_rows: 2 },
        events: ADDED,
      }),
      {
        ...get('/sales', { name: 'keeps as many versions as it is to', status: 200 }),
        method: 'PATCH',
        body: { versions_kept: 1 },
        events: ['datasets.changed'],
      },
      get('/sales/versions', { name: 'and no more', status: 200, mustNotContain: ['"version":2'] }),
      {
        ...get('/sales', { name: 'goes', status: 204 }),
        method: 'DELETE',
        events: ['datasets.removed'],
      },
      get('/sales', { name: 'and is gone', status: 404 }),
      { ...get('/sales', { name: 'for good', status: 404 }), method: 'DELETE' },
    ],
    tokens,
  )
  test('and its files with it', () => expect(kept()).toEqual([]))
})

describe('forms of an upload', () => {
  const part = (fileName: string, content: string) =>
    `--x\r\ncontent-disposition: form-data; name="file"; filename="${fileName}"\r\n\r\n${content}\r\n--x--\r\n`
  testRequests(
    () => harness,
    [
      send('name=form', part('a.tsv', 'a\tb\n1\tx, y\n'), {
        headers: { 'content-type': 'multipart/form-data; boundary=x' },
        status: 201,
        has: {
          rows: 1,
          columns: [
            { name: 'a', type: 'BIGINT' },
            { name: 'b', type: 'VARCHAR' },
          ],
        },
        events: ADDED,
      }),
      send('name=guessed', '{"a":1}\n{"a":2}\n', {
        headers: { 'content-type': 'application/octet-stream' },
        status: 201,
        has: { rows: 2 },
        events: ADDED,
      }),
      send('name=packed', new Response(gzipSync(SALES)).body, {
        status: 201,
        has: { rows: 3 },
        events: ADDED,
      }),
      send('name=typed&types=%7B%22a%22%3A%22DECIMAL(9,2)%22%7D&null_text=-', 'a;b\n1;-\n', {
        status: 201,
        has: {
          columns: [
            { name: 'a', type: 'DECIMAL(9,2)' },
            { name: 'b', type: 'VARCHAR' },
          ],
        },
        events: ADDED,
      }),
    ],
    tokens,
  )
})

describe('shared', () => {
  testRequests(
    () => harness,
    [
      send('name=shared&team=read', SALES, { status: 201, events: ADDED }),
      get('/shared', { as: 'eve', status: 200 }),
      get('/shared/export.csv', { as: 'viewer', status: 200 }),
      send('name=shared&mode=append', SALES, { as: 'eve', status: 403 }),
      {
        ...get('/shared', { as: 'eve', status: 403, name: 'not to be removed' }),
        method: 'DELETE',
      },
      {
        name: 'granted',
        as: 'ada',
        method: 'PUT',
        path: '/api/v1/grants/dataset/shared',
        body: { team: 'none', principals: [{ username: 'eve', access: 'write' }] },
        status: 200,
        events: ['auth.grants_changed', 'auth.grantee_changed'],
      },
      get('/shared', { as: 'viewer', status: 404, name: 'not to the team any more' }),
      send('name=shared&mode=append', SALES, { as: 'eve', status: 201, events: ADDED }),
    ],
    tokens,
  )
})

describe('a quota', () => {
  const rows = Array.from({ length: 1500 }, () => `${Math.random()}\n`).join('')
  testRequests(
    () => harness,
    [
      send('name=large', `a\n${rows}`, { status: 201, events: ADDED }),
      send('name=large&mode=append', `a\n${rows}`, {
        name: 'is not exceeded',
        status: 413,
        contains: [`may have ${QUOTA_BYTES}`],
      }),
      get('/large', {
        name: 'and what is there stays',
        status: 200,
        has: { newest: { version: 1 } },
      }),
    ],
    tokens,
  )
})

describe('a file that is sent past the server', () => {
  const begin = async (token: string) => {
    const response = await harness.request({
      method: 'POST',
      path: '/api/v1/datasets/uploads',
      token,
    })
    expect(response.status).toBe(201)
    return (await response.json()) as { id: string; url: string }
  }
  const put = ({ url }: { url: string }, body: string) => {
    const { pathname, search } = new URL(url)
    return harness.request({ method: 'PUT', path: pathname + search, body })
  }
  const take = async (query: string, token: string) => {
    const path = `/api/v1/datasets?${query}`
    const response = await harness.request({ method: 'POST', path, token })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  test('is taken in from there, once', async () => {
    const handed = await begin(ada)
    const query = `name=handed&upload=${handed.id}`
    expect(await take(query, ada)).toMatchObject({ status: 422 })
    expect((await put(handed, SALES)).status).toBeLessThan(300)
    expect(await take(query, eve)).toMatchObject({ status: 422 })
    // What is refused may be tried otherwise.
    expect(await take(`${query}&format=parquet`, ada)).toMatchObject({ status: 422 })
    expect(await take(query, ada)).toMatchObject({ status: 201, body: { rows: 3 } })
    expect(await take(`name=again&upload=${handed.id}`, ada)).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '#/query/upload', detail: 'is no file that you have sent' }] },
    })
    expect(await take('name=again&upload=../../x', ada)).toMatchObject({ status: 422 })
  })
})

describe('an address that needs no token', () => {
  const read = (url: string, init: RequestInit = {}) => {
    const { pathname, search } = new URL(url)
    return harness.request({ ...(init as object), path: pathname + search })
  }
  test('is read as httpfs does, until it expires', async () => {
    const asked = { path: `${DATASETS}/form/links`, token: ada, body: { expires_in_seconds: 60 } }
    const made = await harness.request(asked)
    expect(made.status).toBe(201)
    const { url, version } = (await made.json()) as { url: string; version: number }
    expect(version).toBe(1)
    const head = await read(url, { method: 'HEAD' })
    const bytes = Number(head.headers.get('content-length'))
    expect([head.status, head.headers.get('accept-ranges')]).toEqual([200, 'bytes'])
    const footer = await read(url, { headers: { range: `bytes=${bytes - 8}-${bytes - 1}` } })
    expect(footer.status).toBe(206)
    expect((await footer.text()).endsWith('PAR1')).toBe(true)
    expect((await read(url.replace(/signature=.{3}/, 'signature=AAA'))).status).toBe(403)
    expect(
      (await harness.request({ method: 'PUT', path: new URL(url).pathname, body: 'x' })).status,
    ).toBe(422)
    harness.clock.advance(61_000)
    expect((await read(url)).status).toBe(403)
  })

  testRequests(
    () => harness,
    [
      {
        ...get('/form/links', { as: 'eve', status: 404, name: 'not for others' }),
        method: 'POST',
        body: {},
      },
      {
        ...get('/form/links', { status: 422, name: 'not for ever' }),
        method: 'POST',
        body: { expires_in_seconds: 1e9 },
      },
    ],
    tokens,
  )
})
