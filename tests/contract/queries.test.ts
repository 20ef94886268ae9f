import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { hostileQueries } from '../../src/data/expressions/hostile.fixture.ts'
import { type Harness, openHarness } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'

const QUERY = '/api/v1/query'
const MEBIBYTE = 2 ** 20
const SALES = 'day,shop,revenue\n2026-03-01,Bern,12.5\n2026-03-01,Chur,7\n2026-03-02,Bern,31\n'

let harness: Harness
let ada: string
let eve: string
beforeAll(async () => {
  harness = await openHarness({
    DATA_MEMORY_BYTES_MAX: String(128 * MEBIBYTE),
    DATA_SPILL_BYTES_MAX: String(64 * MEBIBYTE),
    DATA_QUERY_TIMEOUT_MS: '5000',
  })
  await harness.addAccount({ username: 'ada', role: 'editor' })
  await harness.addAccount({ username: 'eve', role: 'editor' })
  ada = await harness.logIn('ada')
  eve = await harness.logIn('eve')
  for (const [name, body] of [
    ['sales', SALES],
    ['shop-list', 'shop,canton\nBern,BE\nChur,GR\n'],
  ]) {
    const path = `/api/v1/datasets?name=${name}`
    const headers = { 'content-type': 'text/csv' }
    expect((await harness.request({ path, body, headers, token: ada })).status).toBe(201)
  }
})
afterAll(() => harness.close())

const ask = (sql: string, rest: Partial<Row> & Pick<Row, 'status'> & { more?: object }): Row => {
  const { more, ...row } = rest
  return { name: sql.slice(0, 80), as: 'ada', path: QUERY, body: { sql, ...more }, ...row }
}

describe('queries', () => {
  testRequests(
    () => harness,
    [
      { ...ask('SELECT 1', { status: 401 }), as: undefined as never, name: 'without a token' },
      { ...ask('', { status: 422 }), body: {}, contains: ['#/sql'], name: 'without SQL' },
      { ...ask('', { status: 422 }), body: { sql: 'SELECT 1', x: 1 }, name: 'with what is no key' },
      ask('SELECT 1', {
        status: 422,
        more: { parameters: { 'a b': 1 } },
        name: 'a parameter of no name',
      }),
      ask('SELECT 1', {
        status: 422,
        more: { parameters: { a: [1] } },
        name: 'a parameter of no value',
      }),
      ask('SELECT shop, sum(revenue) AS revenue FROM sales GROUP BY shop ORDER BY 2 DESC', {
        status: 200,
        has: {
          columns: [
            { name: 'shop', type: 'VARCHAR' },
            { name: 'revenue', type: 'DOUBLE' },
          ],
          rows: 2,
          processing_time: expect.any(Number),
          data: [
            { shop: 'Bern', revenue: 43.5 },
            { shop: 'Chur', revenue: 7 },
          ],
        },
      }),
      ask(
        'SELECT canton, count(*) AS n FROM sales JOIN "shop-list" USING (shop) GROUP BY 1 ORDER BY 1',
        {
          status: 200,
          has: {
            data: [
              { canton: 'BE', n: 2 },
              { canton: 'GR', n: 1 },
            ],
          },
        },
      ),
      ask('SELECT shop FROM sales WHERE day = $day::DATE AND revenue > $least ORDER BY 1', {
        status: 200,
        more: { parameters: { day: '2026-03-01', least: 8 } },
        has: { data: [{ shop: 'Bern' }] },
      }),
      ask('SELECT $x::VARCHAR AS x FROM sales LIMIT 1', {
        name: 'a parameter is a value, whatever it looks like',
        status: 200,
        more: { parameters: { x: "'); DROP TABLE sales; --" } },
        has: { data: [{ x: "'); DROP TABLE sales; --" }] },
      }),
      ask('SELECT $x AS x', {
        name: 'a parameter alone has no type',
        status: 422,
        more: { parameters: { x: 1 } },
        contains: ['$name::INTEGER'],
      }),
      ask('SELECT * FROM sales ORDER BY day, shop', {
        name: 'as CSV',
        status: 200,
        headers: { accept: 'text/csv' },
        contains: ['day,shop,revenue\n2026-03-01,Bern,12.5\n'],
        answerHeaders: { 'content-type': 'text/csv; charset=utf-8' },
      }),
      ask('SELECT 1 AS a', {
        status: 200,
        more: { format: 'ndjson' },
        contains: ['{"a":1}\n'],
        name: 'as NDJSON',
      }),
      ask('SELECT 1 AS a', {
        status: 200,
        more: { format: 'parquet' },
        contains: ['PAR1'],
        name: 'as Parquet',
      }),
      ask('SELECT 1 AS a', {
        status: 200,
        headers: { accept: 'application/vnd.apache.arrow.stream' },
        answerHeaders: { 'content-type': 'application/vnd.apache.arrow.stream' },
        name: 'as Arrow',
      }),
      ask('SELECT 1 AS a', { status: 406, headers: { accept: 'image/png' }, name: 'as a picture' }),
      ask('SELECT * FROM sales', {
        status: 404,
        as: 'eve',
        contains: ['There is no dataset'],
        name: 'what is not theirs is not there',
      }),
      ask('SELECT * FROM sales', {
        status: 404,
        more: { versions: { sales: 7 } },
        contains: ['no version 7'],
        name: 'a version that is not there',
      }),
      ask('SELECT revenu FROM sales', { status: 422, contains: ['revenu', 'revenue'] }),
      ask('SELECT filename FROM sales', {
        status: 422,
        mustNotContain: ['/files/', 'quintet-test'],
      }),
      ask('SELECT shop::INTEGER FROM sales', {
        status: 422,
        contains: ['Bern'],
        mustNotContain: ['/files/', 'quintet-test'],
      }),
      ask('SELECT 1 AS a, 2 AS A', { status: 422, contains: ['called'] }),
    ],
    () => ({ ada, eve }),
  )

  test('a word that is refused is named, with its place', async () => {
    const body = { sql: 'SELECT\n  getenv(1)' }
    const response = await harness.request({ path: QUERY, body, token: ada })
    expect(await response.json()).toMatchObject({
      status: 422,
      errors: [{ pointer: '#/sql', position: 10, detail: expect.stringContaining('getenv') }],
    })
  })
})

describe('hostile queries', () => {
  test('none is run, and none is told anything of the server', async () => {
    const { DATA_DIR: directory } = harness.platform.config
    for (const [sql, says] of hostileQueries) {
      const response = await harness.request({ path: QUERY, body: { sql }, token: ada })
      const text = await response.text()
      const { status } = response
      expect({
        sql: sql.slice(0, 60),
        status,
        isRefused: [400, 404, 413, 422].includes(status),
      }).toMatchObject({ isRefused: true })
      if (response.status === 422 && !text.includes('#/sql: Too big')) {
        expect((JSON.parse(text) as { detail: string }).detail).toMatch(says)
      }
      expect(text).not.toContain(directory)
      expect(text).not.toMatch(/root:|\/tmp\/|node_modules/)
    }
    expect(readdirSync(join(directory, 'queries'))).toEqual([])
  }, 60_000)

  /** Admitted, and much too much. */
  const heavy: [sql: string, status: number[]][] = [
    [
      'SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c WHERE a.range + b.range = c.range',
      [504],
    ],
    ['SELECT list(a.range) FROM range(1000000) a, range(1000) b', [422, 504]],
    [
      "SELECT string_agg(a.range::VARCHAR || 'xxxxxxxxxxxxxxxxxxxx', '') FROM range(1000000) a, range(1000) b",
      [422, 504],
    ],
    [
      'SELECT a.range, b.range, hash(a.range * b.range) AS h FROM range(1000000) a, range(100) b ORDER BY h',
      [422, 504],
    ],
    ['SELECT * FROM range(1000000) a(x), range(1000) b(y)', [422, 504]],
    [
      "SELECT regexp_replace(string_agg(x::VARCHAR, ''), '(a|aa)+$', 'b', 'g') FROM range(1000000) r(x)",
      [200, 422, 504],
    ],
  ]
  test.each(heavy)('%p is given up, and others are answered', async (sql, status) => {
    const startedAt = performance.now()
    const response = await harness.request({ path: QUERY, body: { sql }, token: ada })
    const text = await response.text()
    expect({
      text: text.slice(0, 200),
      isExpected: status.includes(response.status),
    }).toMatchObject({ isExpected: true })
    expect(performance.now() - startedAt).toBeLessThan(20_000)
    const after = await harness.request({ path: QUERY, body: { sql: 'SELECT 1 AS a' }, token: ada })
    expect(after.status).toBe(200)
  })
})
