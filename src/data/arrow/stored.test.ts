import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { DuckDBConnection } from '@duckdb/node-api'

import { randomOf } from '../../../tests/support/random-of.ts'
import { confine, openInstance } from '../engine/instance.ts'
import { Refused } from '../engine/refused.ts'
import { query } from '../results/query.ts'
import { storeArrow } from './stored.ts'

const EXPANDED_BYTES_MAX = 2 ** 26

const directory = mkdtempSync(join(tmpdir(), 'stored-'))
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

async function rowsOf(sql: string): Promise<unknown[]> {
  const read = await connection.runAndReadAll(sql)
  return read.getRowsJson()
}

let tables = 0
async function stored(path: string): Promise<string> {
  const table = `t${(tables += 1)}`
  await storeArrow(connection, path, table, EXPANDED_BYTES_MAX)
  return table
}

/** Of each type a value, a null, and others behind them, over several vectors. */
const types = [
  'n % 2 = 0',
  '(n % 100)::TINYINT',
  'n::SMALLINT',
  'n::INTEGER',
  'n::BIGINT * 10000000000',
  '(n % 200)::UTINYINT',
  'n::USMALLINT',
  'n::UINTEGER',
  'n::UBIGINT + 18446744073709000000',
  'n / 3',
  '(n / 3)::FLOAT',
  '-n::DECIMAL(4, 0)',
  '-n::DECIMAL(9, 2)',
  'n::DECIMAL(18, 2)',
  '-n::DECIMAL(38, 2) * 10000000000000000000000000',
  "'short ' || n",
  "'longer than twelve ' || n",
  "('blob of ' || n)::BLOB",
  "DATE '1960-01-01' + n::INTEGER",
  "TIME '00:00:01' + to_seconds(n)",
  "TIMESTAMP '1960-01-01' + to_hours(n)",
  "(TIMESTAMP '1960-01-01' + to_hours(n))::TIMESTAMP_S",
  "(TIMESTAMP '1960-01-01' + to_hours(n))::TIMESTAMP_MS",
  "(TIMESTAMP '1960-01-01' + to_hours(n))::TIMESTAMP_NS",
  "(TIMESTAMP '1960-01-01' + to_hours(n))::TIMESTAMPTZ",
  'to_months(n::INTEGER) + to_seconds(n)',
  'range(n % 40)',
  "[CASE WHEN n % 2 = 0 THEN 'item ' || n END, 'second']",
  "{'a': n, 'b': [n, NULL], 'c': {'d': 'text ' || n}}",
  "MAP {'key ' || n: [n]}",
  "[{'a': CASE WHEN n % 3 = 0 THEN n END}]",
]

test.each(types)('%s comes back as it was written', async (expression) => {
  const path = join(directory, `${(tables += 1)}.arrow`)
  const sql = `SELECT n, CASE WHEN n % 7 > 0 THEN ${expression} END AS v FROM range(5000) AS r(n)`
  const order = { sql, parameters: {}, path, format: 'arrow' as const, bytesMax: 2 ** 28 }
  await query(connection, order)
  const table = await stored(path)
  expect(await rowsOf(`DESCRIBE ${table}`)).toEqual(await rowsOf(`DESCRIBE ${sql}`))
  const differing = `SELECT count(*) FROM (${sql}) AS a JOIN ${table} AS b USING (n) WHERE to_json(a.v) IS DISTINCT FROM to_json(b.v)`
  expect(await rowsOf(`SELECT count(*), count(v) FROM ${table}`)).toEqual([['5000', '4285']])
  expect(await rowsOf(differing)).toEqual([['0']])
})

test('arrays come back, which CASE knows nothing of', async () => {
  const path = join(directory, 'arrays.arrow')
  const sql = 'SELECT n, array_value(n, NULL, n + 1) AS v FROM range(5000) AS r(n)'
  await query(connection, { sql, parameters: {}, path, format: 'arrow', bytesMax: 2 ** 28 })
  const table = await stored(path)
  expect(await rowsOf(`DESCRIBE ${table}`)).toEqual(await rowsOf(`DESCRIBE ${sql}`))
  expect(await rowsOf(`SELECT count(*), sum(v[1]), count(v[2]), sum(v[3]) FROM ${table}`)).toEqual([
    ['5000', '12497500', '0', '12502500'],
  ])
})

const fixtures = join(import.meta.dir, '../../../tests/fixtures/arrow')
const files = readdirSync(fixtures).filter((file) => /\.(?:arrows?|feather)$/.test(file))

const SEED = Date.now() % 2 ** 31
const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 40)

test(`what is damaged is read or refused, and breaks nothing (seed ${SEED})`, async () => {
  const random = randomOf(SEED)
  const path = join(directory, 'damaged')
  const outcomes = { read: 0, refused: 0 }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const file of files) {
      writeFileSync(path, damaged(readFileSync(join(fixtures, file)), random))
      outcomes[await outcomeOf(path)] += 1
    }
  }
  expect(outcomes.read).toBeGreaterThan(ROUNDS)
  expect(outcomes.refused).toBeGreaterThan(ROUNDS)
})

/** Cut off, or with some bytes that are others: more often those that say what the rest is. */
function damaged(bytes: Uint8Array, random: (below: number) => number): Uint8Array {
  if (random(5) === 0) return bytes.subarray(0, 1 + random(bytes.length - 1))
  for (let left = 1 + random(4); left > 0; left -= 1) {
    const ends = [random(800), bytes.length - 1 - random(1500), random(bytes.length)]
    const at = Math.min(Math.max(ends[random(3)]!, 0), bytes.length - 1)
    bytes[at] = random(3) === 0 ? [0, 127, 128, 255][random(4)]! : random(256)
  }
  return bytes
}

async function outcomeOf(path: string): Promise<'read' | 'refused'> {
  try {
    const table = await stored(path)
    await rowsOf(`SELECT count(*), max(hash(COLUMNS(*))) FROM ${table}`)
    await connection.run(`DROP TABLE ${table}`)
    return 'read'
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return 'refused'
  }
}
