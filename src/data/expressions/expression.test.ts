import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'

import { randomOf } from '../../../tests/support/random-of.ts'
import { readExpression, type Use } from './expression.ts'
import { hostileExpressions } from './hostile.fixture.ts'
import { createParser } from './parser.ts'
import { RefusedText } from './refused-text.ts'

const COLUMNS = [
  { name: 'a', type: 'INTEGER' },
  { name: 'b', type: 'DOUBLE' },
  { name: 'name', type: 'VARCHAR' },
  { name: 'day', type: 'DATE' },
  { name: 'moment', type: 'TIMESTAMP' },
  { name: 'list', type: 'INTEGER[]' },
  { name: 'box', type: 'STRUCT(x INTEGER, y VARCHAR)' },
  { name: 'Order ID', type: 'BIGINT' },
]
const parser = createParser()
let duckdb: DuckDBInstance
let connection: DuckDBConnection
beforeAll(async () => {
  duckdb = await DuckDBInstance.create()
  connection = await duckdb.connect()
  await connection.run(`CREATE TABLE t AS SELECT * FROM (VALUES
    (1, 1.5::DOUBLE, 'Ada', DATE '2026-03-01', TIMESTAMP '2026-03-01 10:00:00', [1, 2], {'x': 1, 'y': 'p'}, 7::BIGINT),
    (2, NULL, 'Eve', DATE '2026-03-02', TIMESTAMP '2026-03-02 11:30:00', [3], {'x': 2, 'y': 'q'}, 8::BIGINT),
    (-7, 2.0, NULL, NULL, NULL, NULL, NULL, NULL)
  ) v(a, b, name, day, moment, list, box, "Order ID")`)
})
afterAll(async () => {
  connection.closeSync()
  duckdb.closeSync()
  await parser.close()
})

const read = (text: string, use: Use = 'row', parameters: string[] = [], groupBy: string[] = []) =>
  readExpression(parser, text, use, {
    columns: COLUMNS,
    parameters: new Map(parameters.map((name) => [name, undefined])),
    groupBy,
  })
const valuesOf = async (sql: string) =>
  (await connection.runAndReadAll(`SELECT ${sql} AS v FROM t`))
    .getRowsJson()
    .map(([value]) => value)

async function refusalOf(work: Promise<unknown>): Promise<RefusedText> {
  try {
    await work
  } catch (error) {
    if (error instanceof RefusedText) return error
    throw error
  }
  throw new Error('it was taken')
}

const rows: [text: string, values: unknown[], columns: string[]][] = [
  ['a + 1', [2, 3, -6], ['a']],
  ['A', [1, 2, -7], ['a']],
  ['"Order ID"', ['7', '8', null], ['Order ID']],
  ['a > 1 AND b IS NULL', [false, true, false], ['a', 'b']],
  ["name == 'Ada'", [true, false, null], ['name']],
  ["name LIKE 'A%'", [true, false, null], ['name']],
  ["a BETWEEN 1 AND 2 OR name IN ('x', 'Eve')", [true, true, null], ['a', 'name']],
  ["CASE WHEN a > 1 THEN 'big' ELSE 'small' END", ['small', 'big', 'small'], ['a']],
  ['coalesce(b, 0)', [1.5, 0, 2], ['b']],
  ['b::INTEGER', [2, null, 2], ['b']],
  ['CAST(a AS DECIMAL(9, 2))', ['1.00', '2.00', '-7.00'], ['a']],
  ["date_trunc('month', day)", ['2026-03-01 00:00:00', '2026-03-01 00:00:00', null], ['day']],
  ['day + INTERVAL 1 DAY', ['2026-03-02 00:00:00', '2026-03-03 00:00:00', null], ['day']],
  ['extract(year FROM day)', ['2026', '2026', null], ['day']],
  ['list[1]', [1, 3, null], ['list']],
  ['list_transform(list, x -> x + a)', [[2, 3], [5], null], ['list', 'a']],
  ['[x * 2 FOR x IN list IF x > 1]', [[4], [6], null], ['list']],
  ['box.x', [1, 2, null], ['box']],
  ["upper(name) || '!'", ['ADA!', 'EVE!', null], ['name']],
  ["regexp_extract(name, '^(.)', 1)", ['A', 'E', null], ['name']],
  [
    "'it''s -- not a comment'",
    ["it's -- not a comment", "it's -- not a comment", "it's -- not a comment"],
    [],
  ],
  ['a /* so */ + 1 -- and so on', [2, 3, -6], ['a']],
  ['try(a // 0)', [null, null, null], ['a']],
  ['9007199254740993', ['9007199254740993', '9007199254740993', '9007199254740993'], []],
  [
    "{'k': a, 'l': [a]}",
    [
      { k: 1, l: [1] },
      { k: 2, l: [2] },
      { k: -7, l: [-7] },
    ],
    ['a'],
  ],
  // As R writes them.
  ['!is.na(b) & a > 0', [true, false, false], ['b', 'a']],
  ['!a == 1', [false, true, true], ['a']],
  ['a == 1 | a == 2', [true, true, false], ['a']],
  ["name %in% c('Ada', 'Bob')", [true, false, null], ['name']],
  ["ifelse(is.na(name), 'none', toupper(name))", ['ADA', 'EVE', 'none'], ['name']],
  ['as.integer(b) + as.numeric(a)', [3, null, -5], ['b', 'a']],
  ["paste0(name, '-', a)", ['Ada-1', 'Eve-2', '--7'], ['name', 'a']],
  ['ifelse(a > 0, NA, TRUE)', [null, null, true], ['a']],
  ['nchar(name)', ['3', '3', null], ['name']],
  ['pmin(a, 1)', [1, 1, -7], ['a']],
]

describe('of a row', () => {
  test.each(rows)('%s', async (text, values, columns) => {
    const expression = await read(text)
    expect(await valuesOf(expression.sql)).toEqual(values as never)
    expect(expression.columns).toEqual(columns)
  })
})

const metrics: [text: string, value: unknown][] = [
  ['sum(a)', '-4'],
  ['n()', '3'],
  ['count(*) FILTER (WHERE a > 0)', '2'],
  ['mean(b)', 1.75],
  ['sd(b) + 0', 0.3535533905932738],
  ['n_distinct(name)', '2'],
  ['max(a) - min(a)', 9],
  ['quantile_cont(b, 0.5)', 1.75],
  ["string_agg(name, ',' ORDER BY name DESC)", 'Eve,Ada'],
  ['arg_max(name, a)', 'Eve'],
  ['list(a ORDER BY a)', [-7, 1, 2]],
  ['sum(a) FILTER (WHERE !is.na(b))', '-6'],
]

describe('of many rows', () => {
  test.each(metrics)('%s', async (text, value) => {
    const { sql } = await read(text, 'aggregate')
    expect((await valuesOf(sql))[0] as never).toEqual(value as never)
  })
  test('beside what they are put together by', async () => {
    const { sql } = await read('upper(name) || sum(a)', 'aggregate', [], ['NAME'])
    const grouped = await connection.runAndReadAll(
      `SELECT ${sql} FROM t WHERE a > 0 GROUP BY name ORDER BY 1`,
    )
    expect(grouped.getRowsJson()).toEqual([['ADA1'], ['EVE2']])
  })
})

test('of a row and those around it', async () => {
  const { sql } = await read('lag(a) OVER (ORDER BY a) + row_number() OVER (ORDER BY a)', 'window')
  expect(new Set(await valuesOf(sql))).toEqual(new Set(['-5', '4', null]))
})

test('parameters are those that there are', async () => {
  const { sql } = await read('a > $least', 'row', ['least'])
  expect(sql).toContain('$least')
  const { message, position } = await refusalOf(read('a > $most', 'row', ['least']))
  expect([message, position]).toEqual(['There is no parameter $most. There are: $least.', 5])
})

describe('refused:', () => {
  test.each(hostileExpressions.map((row) => [row[0].slice(0, 60), row] as const))(
    '%s',
    async (_, [text, use, says, position]) => {
      const refusal = await refusalOf(read(text, use))
      expect(refusal.message).toMatch(says)
      if (position !== undefined) expect(refusal.position).toBe(position)
      if (refusal.position !== undefined) {
        expect(refusal.position).toBeWithin(1, text.length + 2)
      }
      expect(refusal.message).not.toMatch(/\/work|\/tmp|rows_of_the_expression|node_modules/)
    },
  )

  test('what a comment hides is not there', async () => {
    expect((await read('a -- FROM x; DROP')).sql).toBe('a')
  })
})

test('what is written is read the same again, and is the same', async () => {
  const random = randomOf(20_261_123)
  const pick = <T>(from: readonly T[]) => from[random(from.length)]!
  const leaf = () => pick(['a', 'b', '1', '2.5', 'list[1]', 'box.x', 'length(name)'])
  const text = (depth: number): string => {
    if (depth === 0) return leaf()
    const one = text(depth - 1)
    const other = text(depth - pick([1, 1, depth]))
    return pick([
      `${one} + ${other}`,
      `(${one}) * ${other}`,
      `coalesce(${one}, ${other})`,
      `CASE WHEN ${one} > ${other} THEN ${one} END`,
      `ifelse(is.na(${one}), ${other}, 0)`,
      `if(!(${one} == ${other}) | ${one} < 2, 1, ${other})`,
      `round(${one} / 3, 2)`,
      `abs(${one} - ${other})::DOUBLE`,
      `nullif(${one}, ${other})`,
      `greatest(${one}, ${other})`,
    ])
  }
  for (let at = 0; at < 300; at += 1) {
    const written = text(pick([1, 2, 3]))
    const { sql, columns } = await read(written)
    const again = await read(sql)
    expect(again).toEqual({ sql, columns: expect.arrayContaining(columns) as never })
    expect(await valuesOf(again.sql)).toEqual((await valuesOf(sql)) as never)
  }
})
