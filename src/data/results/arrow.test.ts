import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { DuckDBConnection } from '@duckdb/node-api'
import { tableFromIPC } from 'apache-arrow'

import { confine, openInstance } from '../engine/instance.ts'
import { Refused } from '../engine/refused.ts'
import { query } from './query.ts'

const directory = mkdtempSync(join(tmpdir(), 'arrow-'))
let connection: DuckDBConnection
let close: () => void
beforeAll(async () => {
  const instance = await openInstance({ threads: 2, memoryBytesMax: 2 ** 29 })
  await confine(instance, { directory, readable: [], spillBytesMax: 2 ** 28 })
  ;({ connection, close } = instance)
})
afterAll(() => {
  close()
  rmSync(directory, { recursive: true })
})

let files = 0
async function written(sql: string, bytesMax = 2 ** 28) {
  const path = join(directory, `${(files += 1)}.arrow`)
  const order = { sql, parameters: {}, path, format: 'arrow' as const, bytesMax }
  const { rows, bytes } = await query(connection, order)
  const content = readFileSync(path)
  expect(bytes).toBe(content.length)
  return { rows, table: tableFromIPC(content) }
}

/** As the reader of Arrow's own project shows it. */
const shown = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, each: unknown) =>
      typeof each === 'bigint' ? `${each}n` : each instanceof Uint8Array ? [...each] : each,
    ) ?? 'null',
  )

const values: [sql: string, type: string, value: unknown][] = [
  ['true', 'Bool', true],
  ['(-7)::TINYINT', 'Int8', -7],
  ['65535::USMALLINT', 'Uint16', 65_535],
  ['42::BIGINT', 'Int64', '42n'],
  ['18446744073709551615::UBIGINT', 'Uint64', '18446744073709551615n'],
  ['0.5::FLOAT', 'Float32', 0.5],
  ['1e300::DOUBLE', 'Float64', 1e300],
  ["'é'", 'Utf8', 'é'],
  ["''", 'Utf8', ''],
  ["repeat('long ', 100)", 'Utf8', 'long '.repeat(100)],
  ["'\\x00\\xFF'::BLOB", 'Binary', [0, 255]],
  ["'b'::ENUM('a', 'b')", 'Utf8', 'b'],
  ["'0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11'::UUID", 'Utf8', '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11'],
  ["DATE '2026-01-02'", 'Date32<DAY>', Date.UTC(2026, 0, 2)],
  ["'infinity'::DATE", 'Date32<DAY>', null],
  ["TIMESTAMP '1969-12-31 23:59:59'", 'Timestamp<MICROSECOND>', -1000],
  ["TIMESTAMPTZ '2026-01-02 03:04:05+02'", 'Timestamp<MICROSECOND, UTC>', 1_767_315_845_000],
  ["'-infinity'::TIMESTAMP", 'Timestamp<MICROSECOND>', null],
  ['[1, NULL, 3]', 'List<Int32>', [1, null, 3]],
  ['[]::INTEGER[]', 'List<Int32>', []],
  ['NULL::INTEGER[]', 'List<Int32>', null],
  ['array_value(0.5::FLOAT, 1)', 'FixedSizeList[2]<Float32>', [0.5, 1]],
  ["{'a': 1, 'b': ['x', NULL]}", 'Struct<{a:Int32, b:List<Utf8>}>', { a: 1, b: ['x', null] }],
  ["MAP {'k': [1]}", 'Map<{key:Utf8, value:List<Int32>}>', { k: [1] }],
]

test.each(values.map((each) => [each[0], each] as const))(
  '%s is read back',
  async (_, [sql, type, value]) => {
    // Beside a null before it and one behind it, which move what is in memory.
    const { table } = await written(
      `SELECT v FROM (VALUES (0, NULL), (1, ${sql}), (2, NULL)) AS t(n, v) ORDER BY n`,
    )
    const column = table.getChild('v')!
    expect(String(column.type)).toBe(type)
    expect([0, 2].map((at) => column.get(at) as unknown)).toEqual([null, null])
    expect(shown(column.get(1))).toEqual(value)
  },
)

test('large integers and decimals keep all their digits', async () => {
  const { table } = await written(
    "SELECT 170141183460469231731687303715884105::HUGEINT AS h, '-12345678901234.5678'::DECIMAL(18,4) AS d",
  )
  expect(table.schema.fields.map(({ type }) => String(type))).toEqual([
    'Decimal[38e0]',
    'Decimal[18e+4]',
  ])
  const digits = table.schema.fields.map(({ name }) => String(table.getChild(name)!.get(0)))
  expect(digits).toEqual(['170141183460469231731687303715884105', '-123456789012345678'])
})

test('many rows are several batches, each with its own nulls', async () => {
  const { rows, table } = await written(
    `SELECT range AS n, CASE WHEN range % 3 > 0 THEN range / 2 END AS half, 'row ' || range AS text,
      CASE WHEN range % 5 > 0 THEN range(range % 4) END AS list FROM range(200000)`,
  )
  expect([rows, table.numRows]).toEqual([200_000, 200_000])
  expect(table.batches.length).toBeGreaterThan(1)
  let wrong = 0
  for (let at = 0; at < table.numRows; at += 1) {
    const row = table.get(at)!
    const list = row['list'] as { length: number } | null
    const isRight =
      row['n'] === BigInt(at) &&
      row['half'] === (at % 3 > 0 ? at / 2 : null) &&
      row['text'] === `row ${at}` &&
      (list?.length ?? -1) === (at % 5 > 0 ? at % 4 : -1)
    if (!isRight) wrong += 1
  }
  expect(wrong).toBe(0)
})

test('no rows have columns all the same', async () => {
  const { rows, table } = await written("SELECT 1 AS a, 'x' AS b WHERE false")
  expect([rows, table.numRows]).toEqual([0, 0])
  expect(table.schema.fields.map(({ name }) => name)).toEqual(['a', 'b'])
})

test('a result that grows too large is given up', async () => {
  const work = written('SELECT range AS n FROM range(10000000)', 2 ** 20)
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(Refused)
  expect(String(error)).toContain('more than 1048576 bytes')
})
