import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

import type { DuckDBConnection } from '@duckdb/node-api'

import type { Column } from '../datasets/column.ts'
import { query } from '../results/query.ts'
import { readArrow } from './arrow.ts'
import { readCsv } from './csv.ts'
import { expand } from './expand.ts'
import { readJson } from './json.ts'
import { readNdjson } from './ndjson.ts'
import { readParquet } from './parquet.ts'
import type { Reader } from './reader.ts'
import { type RejectedRow, tooManyRejected } from './rejected-row.ts'
import { requireFormat } from './unlike.ts'
import type { Compression, CsvDialect, UploadFormat } from './upload-format.ts'

/** A compressed table is smaller than its text; of what is not text, about as large. */
export const PARQUET_BYTES_A_BYTE = 2

export interface ConvertOrder {
  /** The upload, which may be read. */
  source: string
  format: UploadFormat
  compression: Compression
  /** Of the Parquet, a new file of the workspace. */
  path: string
  /** Rows that may be left out; one more, and the upload is refused. */
  rejectedMax: number
  csv: CsvDialect
  /** Of columns, by name, that are not to be found out. */
  types: Record<string, string>
  /** Of the Parquet. */
  bytesMax: number
  /** Of the upload once it is not compressed any more. */
  expandedBytesMax: number
}

export interface Converted {
  rows: number
  bytes: number
  columns: Column[]
  rejectedRows: number
  rejected: RejectedRow[]
}

const readers: Record<UploadFormat, Reader> = {
  csv: readCsv,
  tsv: (connection, path, options) =>
    readCsv(connection, path, { ...options, csv: { delimiter: '\t', ...options.csv } }),
  ndjson: readNdjson,
  json: readJson,
  parquet: readParquet,
  arrow: readArrow,
}

/**
 * Makes one Parquet file of an upload, with types that all its values have.
 *
 * @throws {Refused} in words for who sent it, and without a path.
 */
export async function convert(
  connection: DuckDBConnection,
  order: ConvertOrder,
): Promise<Converted> {
  const { format, compression, path, bytesMax, rejectedMax, expandedBytesMax } = order
  const directory = dirname(path)
  const plain = join(directory, 'upload')
  const source = compression === 'none' ? order.source : plain
  if (compression !== 'none') await expand(order.source, plain, compression, expandedBytesMax)
  await requireFormat(source, format)
  const { sql, rejected } = await readers[format](connection, source, { ...order, directory })
  const written = await query(connection, {
    sql,
    parameters: {},
    path,
    format: 'parquet',
    bytesMax,
  })
  const left = await rejected()
  if (left.length > rejectedMax) throw tooManyRejected(left, rejectedMax)
  rmSync(plain, { force: true })
  return { ...written, rejected: left, rejectedRows: left.length }
}
