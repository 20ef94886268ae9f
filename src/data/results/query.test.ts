import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { DuckDBConnection } from '@duckdb/node-api'

import { confine, openInstance } from '../engine/instance.ts'
import { Refused } from '../engine/refused.ts'
import { overview } from './overview.ts'
import { query, type QueryOrder, type ResultFormat } from './query.ts'

const directory = mkdtempSync(join(tmpdir(), 'results-'))
let connection: DuckDBConnection
let close: () => void
beforeAll(async () => {
  const instance = await openInstance({ threads: 2, memoryBytesMax: 2 ** 28 })
  await confine(instance, { directory, readable: [], spillBytesMax: 2 ** 28 })
  ;({ connection, close } = instance)
})
afterAll(() => {
  close()
  rmSync(directory, { recursive: true })
})

let files = 0
async function write(sql: string, format: ResultFormat, more: Partial<QueryOrder> = {}) {
  const path = join(directory, `${(files += 1)}.${format}`)
  const order = { sql, parameters: {}, path, format, bytesMax: 2 ** 26, ...more }
  const result = await query(connection, order)
  return { ...result, path, text: () => Bun.file(path).text() }
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof Refused) return error.message
    throw error
  }
  throw new Error('it was not refused')
}

/** Of each type: what makes it, and what JSON and CSV make of it. */
const values: [sql: string, json: unknown, csv: string][] = [
  ['NULL::INTEGER', null, ''],
  ['true', true, 'true'],
  ['42::TINYINT', 42, '42'],
  ['-7::BIGINT', -7, '-7'],
  ['1.50::DECIMAL(10,2)', 1.5, '1.50'],
  ['0.5::FLOAT', 0.5, '0.5'],
  ['1e300::DOUBLE', 1e300, '1e+300'],
  ["'nan'::DOUBLE", null, 'nan'],
  ["'-inf'::FLOAT", null, '-inf'],
  ['\'é "x"\'', 'é "x"', '"é ""x"""'],
  ["''", '', '""'],
  ["DATE '2026-01-02'", '2026-01-02', '2026-01-02'],
  ["'infinity'::DATE", null, 'infinity'],
  ["TIMESTAMP '2026-01-02 03:04:05'", '2026-01-02T03:04:05', '2026-01-02T03:04:05'],
  ["TIMESTAMP_S '2026-01-02 03:04:05'", '2026-01-02T03:04:05', '2026-01-02T03:04:05'],
  ["TIMESTAMP_MS '2026-01-02 03:04:05.6'", '2026-01-02T03:04:05.6', '2026-01-02T03:04:05.6'],
  [
    "TIMESTAMP_NS '2026-01-02 03:04:05.000000001'",
    '2026-01-02T03:04:05.000000001',
    '2026-01-02T03:04:05.000000001',
  ],
  ["'infinity'::TIMESTAMP", null, ''],
  ["'-infinity'::TIMESTAMPTZ", null, ''],
  [
    "TIMESTAMPTZ '2026-01-02 03:04:05.678+02'",
    '2026-01-02T01:04:05.678Z',
    '2026-01-02T01:04:05.678Z',
  ],
  ["TIME '03:04:05'", '03:04:05', '03:04:05'],
  ["INTERVAL '1 day 2 hours'", '1 day 02:00:00', '1 day 02:00:00'],
  ["'\\x00\\xFF'::BLOB", 'AP8=', 'AP8='],
  [
    "'0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11'::UUID",
    '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
    '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
  ],
  ["'b'::ENUM('a', 'b')", 'b', 'b'],
  ['[1, NULL]', [1, null], '"[1,null]"'],
  ["[1.5::DOUBLE, 'nan']", [1.5, null], '"[1.5,null]"'],
  ['array_value(0.5::FLOAT, 1)', [0.5, 1], '"[0.5,1.0]"'],
  ["{'a': 1, 'b': 'x'}", { a: 1, b: 'x' }, '"{""a"":1,""b"":""x""}"'],
  [
    "{'a b': 'inf'::DOUBLE, 'c': [TIMESTAMPTZ '2026-01-02 00:00:00+00']}",
    { 'a b': null, c: ['2026-01-02T00:00:00Z'] },
    '"{""a b"":null,""c"":[""2026-01-02T00:00:00Z""]}"',
  ],
  ["MAP {'k': 'nan'::DOUBLE}", { k: null }, '"{""k"":null}"'],
  ["MAP {1: 'x'}", { 1: 'x' }, '"{""1"":""x""}"'],
]

test.each(values)('%s is the same in JSON and in CSV', async (sql, json, csv) => {
  const array = await write(`SELECT ${sql} AS v`, 'json')
  expect(JSON.parse(await array.text())).toEqual([{ v: json }])
  const lines = await write(`SELECT ${sql} AS v`, 'ndjson')
  expect((await lines.text()).endsWith('}\n')).toBe(true)
  expect(JSON.parse(await lines.text())).toEqual({ v: json })
  const commas = await write(`SELECT ${sql} AS v`, 'csv')
  expect(await commas.text()).toBe(`v\n${csv}\n`)
})

test('integers beyond doubles are written whole', async () => {
  const sql = 'SELECT 9007199254740993 AS b, 170141183460469231731687303715884105727::HUGEINT AS h'
  const { text } = await write(sql, 'ndjson')
  expect(await text()).toBe('{"b":9007199254740993,"h":170141183460469231731687303715884105727}\n')
})

test('sums of integers stay exact in Parquet', async () => {
  const { path, columns } = await write('SELECT sum(9007199254740993) AS s', 'parquet')
  expect(columns).toEqual([{ name: 's', type: 'HUGEINT' }])
  const again = await connection.runAndReadAll(`SELECT typeof(s), s::VARCHAR FROM '${path}'`)
  expect(again.getRowsJson()).toEqual([['DECIMAL(38,0)', '9007199254740993']])
})

test.each<ResultFormat>(['json', 'ndjson', 'csv'])(
  'the order of rows stays in %s',
  async (format) => {
    // Of a type that is changed on the way, so that the query is inside another.
    const sql = 'SELECT (range * 7919 % 100003)::DOUBLE AS v FROM range(100000) ORDER BY v DESC'
    const { rows, bytes, text } = await write(sql, format)
    const said = await text()
    expect([rows, bytes]).toEqual([100_000, Buffer.byteLength(said)])
    const found = said.match(/\d+(?=\.0)/g)!.map(Number)
    expect(found.length).toBe(100_000)
    expect(found.every((value, at) => at === 0 || value < found[at - 1]!)).toBe(true)
  },
)

test('no rows are an empty array, no lines, or a header', async () => {
  const none = 'SELECT 1.5::DOUBLE AS v WHERE false'
  expect(JSON.parse(await (await write(none, 'json')).text())).toEqual([])
  expect(await (await write(none, 'ndjson')).text()).toBe('')
  expect(await (await write(none, 'csv')).text()).toBe('v\n')
})

test('parameters are bound', async () => {
  const sql = 'SELECT $n::INTEGER + 1 AS n, $t::VARCHAR AS t'
  const { text } = await write(sql, 'ndjson', {
    parameters: { n: { value: 41 }, t: { value: "'; DROP TABLE x" } },
  })
  expect(JSON.parse(await text())).toEqual({ n: 42, t: "'; DROP TABLE x" })
})

test('names may be anything, but not twice the same', async () => {
  const { text } = await write('SELECT 1.5::DOUBLE AS "a ""b", 2 AS "select"', 'ndjson')
  expect(JSON.parse(await text())).toEqual({ 'a "b': 1.5, select: 2 })
  const refusal = await refusalOf(write('SELECT 1 AS a, 2 AS "A"', 'csv'))
  expect(refusal).toBe('Two columns are called "A". Give one of them another name, by AS.')
})

test('a parameter of a type is a value of it', async () => {
  const sql = "SELECT DATE '2026-01-02' > $day AS later, $day::DATE AS day"
  const day = { value: '2026-01-01', type: 'DATE' }
  const { text } = await write(sql, 'ndjson', { parameters: { day } })
  expect(JSON.parse(await text())).toEqual({ later: true, day: '2026-01-01' })
  const refused = await refusalOf(
    write(sql, 'ndjson', { parameters: { day: { ...day, value: 'now or never' } } }),
  )
  expect(refused).toBe('The parameter day is no DATE: now or never.')
})

test('an overview counts all rows, and has the first', async () => {
  const path = join(directory, 'overview.json')
  const order = { sql: 'SELECT range AS n FROM range($n) ORDER BY n DESC', firstRows: 2 }
  const parameters = { n: { value: 1000 } }
  const result = await overview(connection, { ...order, parameters, path, bytesMax: 2 ** 20 })
  expect(result).toMatchObject({ rows: 1000, columns: [{ name: 'n', type: 'BIGINT' }] })
  expect(await Bun.file(path).json()).toEqual([{ n: 999 }, { n: 998 }])
})

test('a parameter that is a column of its own needs a type', async () => {
  const refusal = await refusalOf(
    write('SELECT $a AS a', 'csv', { parameters: { a: { value: 1 } } }),
  )
  expect(refusal).toBe(
    'Column 1 has the type of a parameter, which has none: write $name::INTEGER.',
  )
})

test('a second statement is refused', async () => {
  let said = ''
  await write('SELECT 1 AS a; SELECT 2 AS b', 'csv').catch((error: Error) => (said = error.message))
  expect(said).toContain('multiple statements')
})

test('a result that grows too large is given up', async () => {
  const startedAt = performance.now()
  const sql = 'SELECT range AS a, hash(range) AS b FROM range(2000000000)'
  const refusal = await refusalOf(write(sql, 'ndjson', { bytesMax: 2 ** 20 }))
  expect(refusal).toBe(
    'The result has more than 1048576 bytes. Ask for fewer rows, or for less of them.',
  )
  expect(performance.now() - startedAt).toBeLessThan(3000)
  const small = await refusalOf(write('SELECT range AS a FROM range(99)', 'csv', { bytesMax: 9 }))
  expect(small).toContain('more than 9 bytes')
})
