import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { DuckDBConnection } from '@duckdb/node-api'

import { Refused } from '../engine/refused.ts'
import { jsonRows } from './ndjson.ts'
import type { Readable, ReaderOptions } from './reader.ts'
import { typedRows } from './typed-rows.ts'

/** It has to be held at once, and costs many times as much as an object. */
const BYTES_MAX = 64 * 2 ** 20

/**
 * One JSON text: an array of objects; or an object of arrays of one length, a column each, as R and pandas write
 * data frames too; or one object, which is a row.
 */
export async function readJson(
  connection: DuckDBConnection,
  path: string,
  { directory, types }: ReaderOptions,
): Promise<Readable> {
  const { size } = Bun.file(path)
  if (size > BYTES_MAX) {
    throw new Refused(`As one JSON text it may have at most ${BYTES_MAX} bytes. Send it as NDJSON.`)
  }
  const value = parsed(await Bun.file(path).text())
  const rows = rowsOf(value)
  if (rows.length === 0) throw new Refused('There is no row in it.')
  if (Array.isArray(value)) {
    // Whole numbers of any length stay as they are only where DuckDB itself reads them.
    return { sql: await typedRows(connection, jsonRows(path, 'array'), types), rejected: none }
  }
  const lines = join(directory, 'rows.ndjson')
  writeFileSync(lines, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return {
    sql: await typedRows(connection, jsonRows(lines, 'newline_delimited'), types),
    rejected: none,
  }
}

const none = async () => []

function parsed(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, '')) as unknown
  } catch (error) {
    // "JSON Parse error: …", which says what was expected, without the text around it.
    throw new Refused(`It is not valid JSON: ${(error as Error).message.replace(/^.*?: /, '')}.`)
  }
}

function rowsOf(value: unknown): object[] {
  if (Array.isArray(value)) {
    const at = value.findIndex((row) => !isObject(row))
    if (at !== -1) throw new Refused(`Item ${at + 1} of the array is no object.`)
    return value as object[]
  }
  if (!isObject(value)) throw new Refused('It is neither an array of objects nor an object.')
  const columns = Object.entries(value)
  const lengths = new Set(columns.map(([, items]) => (Array.isArray(items) ? items.length : -1)))
  if (lengths.has(-1)) return [value]
  if (lengths.size > 1) {
    const [a, b] = [...lengths]
    throw new Refused(`Its columns are not of one length: one has ${a} values, another ${b}.`)
  }
  const [length = 0] = lengths
  return Array.from({ length }, (_, at) =>
    Object.fromEntries(columns.map(([name, items]) => [name, (items as unknown[])[at]])),
  )
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
