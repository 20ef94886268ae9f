import { createReadStream } from 'node:fs'
import { join } from 'node:path'

import type { DuckDBConnection } from '@duckdb/node-api'

import { identifier, quoted } from '../engine/sql-text.ts'
import { type CsvLayout, layoutOf } from './csv-dialect.ts'
import { asUtf8 } from './csv-text.ts'
import { confirmedColumns, type CsvColumn, guessedColumns, usesComma } from './csv-types.ts'
import type { Readable, ReaderOptions } from './reader.ts'
import type { RejectedRow } from './rejected-row.ts'

/** What stands for nothing in what R, Python, SQL and spreadsheets write. */
const NULLS = ['', 'NA', 'N/A', '#N/A', 'NULL', 'null', 'None', 'NaN', 'nan', '\\N']
const SAMPLE_BYTES = 2 ** 20
const LINE_BYTES_MAX = 2_000_000
/** By which it is read, in each thread. DuckDB would take eight times as much. */
const BUFFER_BYTES = 2 * LINE_BYTES_MAX
const TEXT_CHARACTERS_MAX = 200

/**
 * A CSV as it comes: what it is written in, what stands between its fields and what its columns are is found out
 * from its beginning, and then checked against every row.
 */
export async function readCsv(
  connection: DuckDBConnection,
  source: string,
  { csv, types, rejectedMax, expandedBytesMax, directory }: ReaderOptions,
): Promise<Readable> {
  const path = await asUtf8(source, join(directory, 'text.csv'), {
    encoding: csv.encoding,
    bytesMax: expandedBytesMax,
  })
  const file = Bun.file(path)
  const beginning = await file.slice(0, SAMPLE_BYTES).text()
  const layout = layoutOf(beginning, file.size <= SAMPLE_BYTES, csv)
  const nulls = [...new Set([...NULLS, ...(csv.nullText ?? [])])]
  const isComma = usesComma(layout, csv)
  const guessed = guessedColumns(layout, { isComma, nulls: new Set(nulls) })
  const wanted = new Map(Object.entries(types).map(([name, type]) => [name.toLowerCase(), type]))
  const found = await confirmedColumns(
    connection,
    rowsOf(path, layout, { columns: guessed.map(asText), nulls, csv, isComma }, 'ignore_errors'),
    guessed.filter(({ name }) => !wanted.has(name.toLowerCase())),
    { isComma, rejectedMax },
  )
  const byName = new Map(found.map((column) => [column.name, column]))
  const columns = guessed.map(
    ({ name }) => byName.get(name) ?? { name, type: wanted.get(name.toLowerCase())! },
  )
  const rows = rowsOf(path, layout, { columns, nulls, csv, isComma }, 'store_rejects')
  return {
    sql: `SELECT ${columns.map(valueOf).join(', ')} FROM ${rows}`,
    rejected: () => rejectedOf(connection, path),
  }
}

const asText = ({ name }: CsvColumn): CsvColumn => ({ name, type: 'VARCHAR' })

/** What DuckDB reads by itself is of its type already. */
function valueOf({ name, type, format }: CsvColumn): string {
  const column = identifier(name)
  if (format === undefined) return column
  return `CAST(strptime(${column}, ${quoted(format)}) AS ${type}) AS ${column}`
}

function rowsOf(
  path: string,
  { delimiter, quote, hasHeader }: CsvLayout,
  options: {
    columns: readonly CsvColumn[]
    nulls: readonly string[]
    csv: ReaderOptions['csv']
    isComma: boolean
  },
  onErrors: 'ignore_errors' | 'store_rejects',
): string {
  const { columns, nulls, csv, isComma } = options
  const typed = columns.map(
    ({ name, type, format }) =>
      `${quoted(name)}: ${quoted(format === undefined ? type : 'VARCHAR')}`,
  )
  const settings = [
    'auto_detect = false',
    `delim = ${quoted(delimiter)}`,
    `quote = ${quoted(quote)}`,
    `escape = ${quoted(quote)}`,
    `header = ${hasHeader}`,
    `columns = {${typed.join(', ')}}`,
    `nullstr = [${nulls.map(quoted).join(', ')}]`,
    `max_line_size = ${LINE_BYTES_MAX}`,
    `buffer_size = ${BUFFER_BYTES}`,
    `${onErrors} = true`,
    ...(onErrors === 'store_rejects' ? ['rejects_limit = 0'] : []),
    ...(isComma ? [`decimal_separator = ','`] : []),
    ...(csv.dateFormat === undefined ? [] : [`dateformat = ${quoted(csv.dateFormat)}`]),
    ...(csv.timestampFormat === undefined
      ? []
      : [`timestampformat = ${quoted(csv.timestampFormat)}`]),
  ]
  return `read_csv(${quoted(path)}, ${settings.join(', ')})`
}

/** A row that is cut wrong has wrong values too; and each field that is missing is told. */
const GRAVITY = `(CASE error_type WHEN 'CAST' THEN 100000 ELSE 0 END + column_idx)`

interface RejectRow {
  at: string
  column_name: string | null
  error_type: string
  error_message: string
  csv_line: string | null
}

/** One for each row, whatever is wrong with it. */
async function rejectedOf(connection: DuckDBConnection, path: string): Promise<RejectedRow[]> {
  const read = await connection.runAndReadAll(
    `SELECT line_byte_position AS at, arg_min(column_name, ${GRAVITY}) AS column_name,
      arg_min(error_type, ${GRAVITY}) AS error_type, arg_min(error_message, ${GRAVITY}) AS error_message,
      any_value(csv_line) AS csv_line
    FROM reject_errors GROUP BY line_byte_position ORDER BY line_byte_position`,
  )
  const rejects = read.getRowObjectsJson() as unknown as RejectRow[]
  const lines = await linesAt(
    path,
    rejects.map(({ at }) => Number(at)),
  )
  return rejects.map((reject, index) => {
    const { column_name: column, csv_line: text } = reject
    const isOfValue = reject.error_type === 'CAST'
    return {
      line: lines[index]!,
      ...(isOfValue && column !== null ? { column } : {}),
      reason: reasonOf(reject),
      ...(text === null ? {} : { text: text.slice(0, TEXT_CHARACTERS_MAX) }),
    }
  })
}

function reasonOf({ error_type: type, error_message: message }: RejectRow): string {
  const [, value, wanted] = /Could not convert string "([\s\S]*)" to '(.*)'/.exec(message) ?? []
  if (wanted !== undefined) return `"${value!.slice(0, 40)}" is no ${wanted}`
  const [, expected, found] = /Columns: (\d+) Found: (\d+)/.exec(message) ?? []
  if (expected !== undefined) return `has ${found} fields, and there are ${expected} columns`
  const words: Record<string, string> = {
    'UNQUOTED VALUE': 'has a quote that does not end, or text behind one',
    'LINE SIZE OVER MAXIMUM': `has more than ${LINE_BYTES_MAX} bytes`,
    'INVALID ENCODING': 'is no UTF-8',
  }
  return words[type] ?? type.toLowerCase()
}

/** In which line of the file each of these bytes is: a record with line ends in its fields takes several. */
async function linesAt(path: string, positions: readonly number[]): Promise<number[]> {
  const lines: number[] = []
  let line = 1
  let offset = 0
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    if (lines.length === positions.length) break
    let from = 0
    while (lines.length < positions.length && positions[lines.length]! <= offset + chunk.length) {
      const until = positions[lines.length]! - offset
      line += newlines(chunk, from, until)
      from = until
      lines.push(line)
    }
    line += newlines(chunk, from, chunk.length)
    offset += chunk.length
  }
  return lines
}

function newlines(chunk: Buffer, from: number, until: number): number {
  let count = 0
  for (let at = chunk.indexOf(10, from); at !== -1 && at < until; at = chunk.indexOf(10, at + 1)) {
    count += 1
  }
  return count
}
