import { statSync } from 'node:fs'

import {
  type DuckDBConnection,
  type DuckDBPreparedStatement,
  type DuckDBType,
  DuckDBTypeId,
} from '@duckdb/node-api'

import { Refused } from '../engine/refused.ts'
import { identifier, quoted } from '../engine/sql-text.ts'
import { writeArrow } from './arrow.ts'
import { forArrow, forCsv, forJson, forParquet } from './column-expressions.ts'
import { bound, type Parameters } from './parameters.ts'
import { tooLarge } from './too-large.ts'

export type ResultFormat = keyof typeof formats

/** A statement of ours, or one that was admitted, and where its rows go. */
export interface QueryOrder {
  /** One SELECT. */
  sql: string
  /** For its `$name`s. */
  parameters: Parameters
  /** Into a new file of the workspace. */
  path: string
  format: ResultFormat
  /** Of the file. */
  bytesMax: number
}

export interface QueryResult {
  rows: number
  bytes: number
  columns: { name: string; type: string }[]
}

/** Each by what may make it: COPY with options, or, without them, code of ours. */
const formats = {
  json: { options: 'FORMAT json, ARRAY true', expression: forJson },
  ndjson: { options: 'FORMAT json', expression: forJson },
  csv: { options: 'FORMAT csv, HEADER true', expression: forCsv },
  parquet: { options: 'FORMAT parquet, COMPRESSION zstd', expression: forParquet },
  arrow: { options: undefined, expression: forArrow },
} as const

const SIZE_INTERVAL_MS = 100

/**
 * Writes the rows of a query into a file: no row becomes an object of ours.
 *
 * Prepared and not run: to run executes all statements of a text, and to prepare refuses more than one.
 *
 * @throws {Refused} for columns of one name, which an object can't have twice, for one whose type is that of
 * a parameter, and for too large a result.
 */
export async function query(connection: DuckDBConnection, order: QueryOrder): Promise<QueryResult> {
  const { sql, path, format } = order
  const columns = await columnsOf(connection, sql)
  const { options } = formats[format]
  const changed = { ...order, sql: selected(sql, columns, format) }
  const write = options === undefined ? writeArrow : copy(options)
  const rows = await write(connection, changed)
  return {
    rows,
    bytes: bytesOf(path),
    columns: columns.map(({ name, type }) => ({ name, type: String(type) })),
  }
}

/** By DuckDB itself. */
const copy = (options: string) => async (connection: DuckDBConnection, order: QueryOrder) => {
  const { sql, parameters, path, bytesMax } = order
  const statement = await connection.prepare(`COPY (${sql}\n) TO ${quoted(path)} (${options})`)
  let isTooLarge = false
  const timer = setInterval(() => {
    isTooLarge = bytesOf(path) > bytesMax
    if (isTooLarge) connection.interrupt()
  }, SIZE_INTERVAL_MS)
  try {
    await bound(connection, statement, parameters)
    const { rowsChanged } = await statement.run()
    if (bytesOf(path) > bytesMax) throw tooLarge(bytesMax)
    return rowsChanged
  } catch (error) {
    throw isTooLarge ? tooLarge(bytesMax) : error
  } finally {
    clearInterval(timer)
    statement.destroySync()
  }
}

interface Column {
  name: string
  type: DuckDBType
}

async function columnsOf(connection: DuckDBConnection, sql: string): Promise<Column[]> {
  const statement = await connection.prepare(sql)
  try {
    const columns = Array.from({ length: statement.columnCount }, (_, at) =>
      columnAt(statement, at),
    )
    const known = new Set<string>()
    for (const { name } of columns) {
      if (known.has(name.toLowerCase())) {
        throw new Refused(`Two columns are called "${name}". Give one of them another name, by AS.`)
      }
      known.add(name.toLowerCase())
    }
    return columns
  } finally {
    statement.destroySync()
  }
}

function columnAt(statement: DuckDBPreparedStatement, at: number): Column {
  if (statement.columnTypeId(at) !== DuckDBTypeId.INVALID) {
    return { name: statement.columnName(at), type: statement.columnType(at) }
  }
  throw new Refused(
    `Column ${at + 1} has the type of a parameter, which has none: write $name::INTEGER.`,
  )
}

/** The same rows, with what the format has no way to say made into what it has. */
function selected(sql: string, columns: readonly Column[], format: ResultFormat): string {
  const { expression } = formats[format]
  const changed = columns.map(({ type }, at) => expression(`c${at}`, type))
  if (changed.every((each) => each === undefined)) return sql
  const list = columns.map(({ name }, at) => `${changed[at] ?? `c${at}`} AS ${identifier(name)}`)
  const names = columns.map((_, at) => `c${at}`)
  return `SELECT ${list.join(', ')} FROM (${sql}\n) AS result(${names.join(', ')})`
}

/** Until the first bytes are there, none. */
function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
