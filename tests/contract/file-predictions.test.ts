import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { tableFromIPC, tableToIPC } from 'apache-arrow'

import { type Harness, MODELS_DIR, openHarness } from '../support/harness.ts'

const PARQUET = 'application/vnd.apache.parquet'
const ARROW = 'application/vnd.apache.arrow.stream'
const ARROW_FILE = 'application/vnd.apache.arrow.file'
const CSV = 'text/csv'
const DIAMONDS = '/api/v1/models/regression/predict'
const PENGUINS = '/api/v1/models/classification/predict'
const CO2 = '/api/v1/models/forecast/predict'
const UPLOAD_BYTES_MAX = 200_000

const directory = mkdtempSync(join(tmpdir(), 'file-predictions-'))
let harness: Harness
let connection: DuckDBConnection
beforeAll(async () => {
  connection = await (await DuckDBInstance.create()).connect()
  harness = await openHarness({
    MODELS_DIR,
    DATASET_UPLOAD_BYTES_MAX: String(UPLOAD_BYTES_MAX),
  })
})
afterAll(async () => {
  await harness.close()
  connection.closeSync()
  rmSync(directory, { recursive: true })
})

let files = 0
async function parquetOf(sql: string): Promise<Uint8Array> {
  const path = join(directory, `${(files += 1)}.parquet`)
  await connection.run(`COPY (${sql}) TO '${path}' (FORMAT parquet)`)
  return readFileSync(path)
}

async function rowsOf(content: Uint8Array, columns = '*'): Promise<Record<string, unknown>[]> {
  const path = join(directory, `${(files += 1)}.parquet`)
  await Bun.write(path, content)
  const read = await connection.runAndReadAll(`SELECT ${columns} FROM '${path}'`)
  return read.getRowObjectsJson()
}

const ask = (path: string, body: Uint8Array | string, type: string, accept?: string) =>
  harness.request({
    path,
    body: new Blob([body]).stream(),
    token: harness.adminToken,
    headers: { 'content-type': type, ...(accept === undefined ? {} : { accept }) },
  })

async function answered(...asked: Parameters<typeof ask>): Promise<Uint8Array> {
  const response = await ask(...asked)
  const content = await response.bytes()
  const problem = response.status === 200 ? '' : new TextDecoder().decode(content)
  expect({ status: response.status, problem }).toEqual({ status: 200, problem: '' })
  expect(response.headers.get('content-type')).toStartWith(asked[3] ?? asked[2])
  return content
}

const text = (content: Uint8Array) => new TextDecoder().decode(content)

/** So many that they are several chunks of a model. */
const DIAMONDS_SQL = `SELECT (9007199254740993 + n)::BIGINT AS id, 0.2 + n / 1000 AS carat, 61.5 AS depth,
  55 AS "table", 4.35 AS x, CASE WHEN n % 7 > 0 THEN 4.37 END AS y, 2.68::FLOAT AS z, 'Ideal' AS cut,
  'E'::ENUM('E', 'F') AS color, 'SI1' AS clarity, DATE '2026-01-02' + n::INTEGER AS sold
  FROM range(1200) AS r(n)`

async function csvOf(sql: string): Promise<string> {
  const path = join(directory, `${(files += 1)}.csv`)
  await connection.run(`COPY (${sql}) TO '${path}' (FORMAT csv, HEADER)`)
  return readFileSync(path, 'utf8')
}

test('a file is answered by a file, with what the same rows as text are answered by', async () => {
  const csv = await csvOf(DIAMONDS_SQL)
  const lines = text(await answered(DIAMONDS, csv, CSV))
    .trim()
    .split('\r\n')
  const expected = lines.slice(1).map((line) => ({ price: Number(line) }))
  expect(expected.length).toBe(1200)
  const parquet = await parquetOf(DIAMONDS_SQL)
  expect(await rowsOf(await answered(DIAMONDS, parquet, PARQUET))).toEqual(expected)
  expect(await rowsOf(await answered(DIAMONDS, csv, CSV, PARQUET))).toEqual(expected)
  expect(
    text(await answered(DIAMONDS, parquet, PARQUET, CSV))
      .trim()
      .split('\r\n'),
  ).toEqual(lines)
})

test('Arrow comes as a file or a stream, and leaves as a stream', async () => {
  const csv = await csvOf(DIAMONDS_SQL)
  const lines = text(await answered(DIAMONDS, csv, CSV))
    .trim()
    .split('\r\n')
  const stream = await answered(DIAMONDS, await parquetOf(DIAMONDS_SQL), PARQUET, ARROW)
  const prices = tableFromIPC(stream)
  expect(prices.schema.fields.map(({ name, type }) => `${name} ${String(type)}`)).toEqual([
    'price Float64',
  ])
  expect([...prices.getChild('price')!]).toEqual(lines.slice(1).map(Number))
  const asked = await answered(
    `${DIAMONDS}?include=inputs`,
    await parquetOf(DIAMONDS_SQL),
    PARQUET,
    ARROW,
  )
  for (const [type, kind] of [
    [ARROW, 'stream'],
    [ARROW_FILE, 'file'],
  ] as const) {
    const again = await ask(DIAMONDS, tableToIPC(tableFromIPC(asked), kind), type)
    expect([again.status, again.headers.get('content-type')]).toEqual([200, ARROW])
    expect([...tableFromIPC(await again.bytes()).getChild('price')!]).toEqual([
      ...prices.getChild('price')!,
    ])
  }
})

test('from file to file the inputs keep their types and all their digits', async () => {
  const content = await answered(
    `${DIAMONDS}?include=inputs`,
    await parquetOf(DIAMONDS_SQL),
    PARQUET,
  )
  const rows = await rowsOf(
    content,
    'id, color, sold, y::DOUBLE AS y, typeof(id) AS type, typeof(z) AS z',
  )
  expect(rows.length).toBe(1200)
  expect([rows[0], rows[8]]).toEqual([
    { id: '9007199254740993', z: 'FLOAT', color: 'E', sold: '2026-01-02', y: null, type: 'BIGINT' },
    { id: '9007199254741001', z: 'FLOAT', color: 'E', sold: '2026-01-10', y: 4.37, type: 'BIGINT' },
  ])
})

test('the inputs of a text become columns of the model’s types', async () => {
  const csv = 'carat,depth,table,x,y,z,cut,color,clarity,shop\n'
  const row = '0.31,61.5,55,4.35,NA,2.68,Ideal,E,SI1,007\n'
  const content = await answered(`${DIAMONDS}?include=inputs`, csv + row, CSV, PARQUET)
  expect(await rowsOf(content, 'carat, y, cut, shop, price > 0 AS isPriced')).toEqual([
    { carat: 0.31, y: null, cut: 'Ideal', shop: '007', isPriced: true },
  ])
})

test('a table with the truth in it keeps it', async () => {
  const parquet = await parquetOf(`SELECT 1 AS price, * FROM (${DIAMONDS_SQL}) LIMIT 2`)
  const content = await answered(`${DIAMONDS}?include=inputs`, parquet, PARQUET)
  const rows = await rowsOf(content, 'price, "predicted.price" > 1 AS isPredicted')
  expect(rows).toEqual([
    { price: 1, isPredicted: true },
    { price: 1, isPredicted: true },
  ])
})

test('labels, probabilities and steps are columns', async () => {
  const penguin = await parquetOf(`SELECT 39.1 AS bill_length_mm, 18.7 AS bill_depth_mm,
    181 AS flipper_length_mm, 3750 AS body_mass_g, 'Torgersen' AS island, 'male' AS sex, 2007 AS "year"`)
  const [row] = await rowsOf(await answered(PENGUINS, penguin, PARQUET))
  expect(row).toMatchObject({ species: 'Adelie', 'probability.Adelie': expect.any(Number) })
  const co2 = await parquetOf('SELECT [315.0 + n / 10 FOR n IN range(48)] AS history')
  const [steps] = await rowsOf(await answered(CO2, co2, PARQUET))
  expect(steps).toMatchObject({ 'co2.1': expect.any(Number), 'co2.2': expect.any(Number) })
})

test('of no rows there are columns', async () => {
  const parquet = await parquetOf(`${DIAMONDS_SQL} LIMIT 0`)
  expect(await rowsOf(await answered(DIAMONDS, parquet, PARQUET))).toEqual([])
  const described = await rowsOf(
    await answered(`${DIAMONDS}?include=inputs`, parquet, PARQUET),
    'count(*)::INTEGER AS rows, count(price)::INTEGER AS prices, count(sold)::INTEGER AS sold',
  )
  expect(described).toEqual([{ rows: 0, prices: 0, sold: 0 }])
})

const fixture = (path: string) => readFileSync(join(import.meta.dir, '../fixtures', path))

interface Refusal {
  name: string
  path?: string
  body: () => Uint8Array | string | Promise<Uint8Array>
  type?: string
  status: number
  detail: RegExp
}
const refusals: Refusal[] = [
  {
    name: 'a model that is not there',
    path: '/api/v1/models/nothing/predict',
    body: () => parquetOf('SELECT 1 AS a'),
    status: 404,
    detail: /nothing/,
  },
  {
    name: 'too large a table',
    body: () => parquetOf('SELECT hash(range) AS a, hash(range + 1) AS b FROM range(20000)'),
    status: 413,
    detail: /200000/,
  },
  {
    name: 'no column of the model',
    body: () => parquetOf('SELECT 1 AS carat'),
    status: 422,
    detail: /depth/,
  },
  {
    name: 'a row that is none, behind many that are some',
    body: () =>
      parquetOf(
        `SELECT * REPLACE (CASE WHEN sold = DATE '2028-01-02' THEN 'Odd' ELSE cut END AS cut) FROM (${DIAMONDS_SQL})`,
      ),
    status: 422,
    detail: /#\/730\/cut/,
  },
  {
    name: 'text that is called Parquet',
    body: () => 'carat\n1\n',
    status: 422,
    detail: /It is no Parquet/,
  },
  {
    name: 'Parquet that is called Arrow',
    body: () => fixture('parquet/pandas.parquet'),
    type: ARROW,
    status: 422,
    detail: /looks like Parquet/,
  },
  {
    name: 'a file that breaks off',
    body: () => fixture('arrow/pandas.feather').subarray(0, 900),
    type: ARROW_FILE,
    status: 422,
    detail: /The Arrow file is damaged: it ends too early\./,
  },
]

test.each(refusals.map((row) => [row.name, row] as const))('%s is refused', async (_, row) => {
  const { path = DIAMONDS, body, type = PARQUET, status, detail } = row
  const response = await ask(path, await body(), type)
  const problem = await response.text()
  expect({ status: response.status, problem }).toEqual({
    status,
    problem: expect.stringMatching(detail),
  })
  expect(problem).not.toContain(tmpdir())
})

test('nothing is left of any of them', () => {
  const left = ['tables', 'queries'].flatMap((name) => {
    const path = join(harness.platform.config.DATA_DIR, name)
    return existsSync(path) ? readdirSync(path) : []
  })
  expect(left).toEqual([])
})
