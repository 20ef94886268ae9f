import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'

import { hostileQueries } from './hostile.fixture.ts'
import { createParser } from './parser.ts'
import { readQuery } from './query.ts'
import { RefusedText } from './refused-text.ts'

const parser = createParser()
let duckdb: DuckDBInstance
let connection: DuckDBConnection
beforeAll(async () => {
  duckdb = await DuckDBInstance.create()
  connection = await duckdb.connect()
  await connection.run(`CREATE TABLE sales AS SELECT * FROM (VALUES
    (1, 'Bern', 12.5::DOUBLE), (2, 'Chur', 7.0), (3, 'Bern', 31.0)) v(id, shop, revenue)`)
  await connection.run(
    `CREATE TABLE shops AS SELECT * FROM (VALUES ('Bern', 'BE'), ('Chur', 'GR')) v(shop, canton)`,
  )
})
afterAll(async () => {
  connection.closeSync()
  duckdb.closeSync()
  await parser.close()
})

const read = (text: string, parameters: string[] = []) =>
  readQuery(parser, text, { parameters: new Map(parameters.map((name) => [name, undefined])) })

async function refusalOf(work: Promise<unknown>): Promise<RefusedText> {
  try {
    await work
  } catch (error) {
    if (error instanceof RefusedText) return error
    throw error
  }
  throw new Error('it was taken')
}

const taken: [text: string, datasets: string[], rows: unknown[][]][] = [
  ['SELECT sum(revenue) FROM sales', ['sales'], [[50.5]]],
  ['FROM sales SELECT id WHERE id > 2', ['sales'], [[3]]],
  [
    'SELECT s.id, p.canton FROM sales s JOIN shops p USING (shop) ORDER BY 1 DESC LIMIT 1',
    ['sales', 'shops'],
    [[3, 'BE']],
  ],
  [
    "SELECT id FROM sales WHERE shop IN (SELECT shop FROM shops WHERE canton = 'GR')",
    ['sales', 'shops'],
    [[2]],
  ],
  [
    'WITH a AS (SELECT id FROM sales), b AS (SELECT id + 1 AS id FROM a) SELECT max(id) FROM b',
    ['sales'],
    [[4]],
  ],
  ['WITH shops AS (SELECT 1 AS x) SELECT x FROM shops', [], [[1]]],
  [
    'SELECT * EXCLUDE (revenue) REPLACE (upper(shop) AS shop) FROM sales ORDER BY id LIMIT 1',
    ['sales'],
    [[1, 'BERN']],
  ],
  [
    'SELECT shop, count(*) FROM sales GROUP BY ALL ORDER BY ALL',
    ['sales'],
    [
      ['Bern', '2'],
      ['Chur', '1'],
    ],
  ],
  [
    'SELECT shop, sum(revenue) FROM sales GROUP BY ROLLUP (shop) ORDER BY 2',
    ['sales'],
    [
      ['Chur', 7],
      ['Bern', 43.5],
      [null, 50.5],
    ],
  ],
  [
    'SELECT id FROM sales QUALIFY row_number() OVER (PARTITION BY shop ORDER BY id) = 2',
    ['sales'],
    [[3]],
  ],
  [
    'SELECT id, lag(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM sales ORDER BY 1 LIMIT 2',
    ['sales'],
    [
      [1, null],
      [2, 1],
    ],
  ],
  ['SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 1', [], [[2]]],
  ['SELECT DISTINCT shop FROM sales ORDER BY shop', ['sales'], [['Bern'], ['Chur']]],
  ['VALUES (1, 2)', [], [[1, 2]]],
  [
    'SELECT * FROM (VALUES (1)) v(x), range(2) r(y) ORDER BY y',
    [],
    [
      [1, '0'],
      [1, '1'],
    ],
  ],
  ['SELECT unnest([1, 2]) AS x', [], [[1], [2]]],
  ['SELECT x FROM unnest([1, 2]) u(x) WHERE x > 1', [], [[2]]],
  [
    "SELECT * FROM sales PIVOT (sum(revenue) FOR shop IN ('Bern', 'Chur') GROUP BY id) ORDER BY id LIMIT 1",
    ['sales'],
    [[1, 12.5, null]],
  ],
  [
    'SELECT * FROM (SELECT id, revenue FROM sales) UNPIVOT (v FOR n IN (revenue)) ORDER BY id LIMIT 1',
    ['sales'],
    [[1, 'revenue', 12.5]],
  ],
  [
    'SELECT (SELECT max(revenue) FROM sales x WHERE x.shop = s.shop) FROM sales s ORDER BY id LIMIT 1',
    ['sales'],
    [[31]],
  ],
  ['SELECT EXISTS (SELECT 1 FROM sales WHERE id = 9)', ['sales'], [[false]]],
  ['SELECT count(*) FROM "SALES"', ['sales'], [['3']]],
  [
    'SELECT id FROM sales s ASOF JOIN (SELECT 2 AS k) o ON s.id >= o.k ORDER BY 1',
    ['sales'],
    [[2], [3]],
  ],
  ['SELECT grouping(shop) FROM sales GROUP BY CUBE (shop) ORDER BY 1 LIMIT 1', ['sales'], [['0']]],
  ['SELECT count(*) FROM sales USING SAMPLE 3 ROWS', ['sales'], [['3']]],
  ['SELECT list_transform([1, 2], x -> x + 1)', [], [[[2, 3]]]],
  ["SELECT '{\"a\": 1}'::VARCHAR -> '$.a'", [], [['1']]],
  ['SELECT s.* FROM sales s ORDER BY id OFFSET 2', ['sales'], [[3, 'Bern', 31]]],
  ["SELECT COLUMNS('i.*') FROM sales ORDER BY 1 LIMIT 1", ['sales'], [[1]]],
  ['SELECT 9007199254740993 + 0', [], [['9007199254740993']]],
]

describe('taken:', () => {
  test.each(taken.map((row) => [row[0], row] as const))('%s', async (_, [text, datasets, rows]) => {
    const admitted = await read(text)
    expect(admitted.datasets).toEqual(datasets)
    expect((await connection.runAndReadAll(admitted.sql)).getRowsJson()).toEqual(rows as never)
    const again = await read(admitted.sql)
    expect(again.datasets).toEqual(datasets)
    expect((await connection.runAndReadAll(again.sql)).getRowsJson()).toEqual(rows as never)
  })

  test('parameters are bound, where they are declared', async () => {
    const { sql } = await read('SELECT id FROM sales WHERE shop = $shop ORDER BY 1', ['shop'])
    const statement = await connection.prepare(sql)
    statement.bind({ shop: 'Bern' })
    expect((await statement.runAndReadAll()).getRowsJson()).toEqual([[1], [3]])
    const { message, position } = await refusalOf(read('SELECT $shop'))
    expect([message, position]).toEqual(['There is no parameter $shop.', 8])
  })
})

describe('refused:', () => {
  test.each(hostileQueries.map((row) => [row[0].slice(0, 70), row] as const))(
    '%s',
    async (_, [text, says, position]) => {
      const refusal = await refusalOf(read(text))
      expect(refusal.message).toMatch(says)
      if (position !== undefined) expect(refusal.position).toBe(position)
    },
  )
})

test('what stands for a dataset is seen from where it stands', async () => {
  // The first is the dataset: a common table expression does not see itself.
  const { datasets } = await read('WITH sales AS (SELECT * FROM sales) SELECT * FROM sales')
  expect(datasets).toEqual(['sales'])
  const outside = 'SELECT * FROM (WITH shops AS (SELECT 1) SELECT * FROM shops) x, shops'
  expect((await read(outside)).datasets).toEqual(['shops'])
})

test('a parameter of a type stands for a value of it, wherever it is', async () => {
  const text = `SELECT $day AS day, $none IS NULL AS none, '{"class":"PARAMETER"}' AS text`
  const parameters = new Map([
    ['day', 'DATE'],
    ['none', null],
  ])
  const { sql } = await readQuery(parser, text, { parameters })
  const statement = await connection.prepare(sql)
  expect(String(statement.columnType(0))).toBe('DATE')
  statement.bind({ day: '2026-01-02' })
  expect((await statement.runAndReadAll()).getRowsJson()).toEqual([
    ['2026-01-02', true, '{"class":"PARAMETER"}'],
  ])
})
