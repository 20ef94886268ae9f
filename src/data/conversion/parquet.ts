import type { DuckDBConnection } from '@duckdb/node-api'

import { quoted } from '../engine/sql-text.ts'
import type { Readable, ReaderOptions } from './reader.ts'
import { typedRows } from './typed-rows.ts'

const none = async () => []

/** As it is, and once more as we write it: what reads it later has met no other writer. */
export async function readParquet(
  connection: DuckDBConnection,
  path: string,
  { types }: ReaderOptions,
): Promise<Readable> {
  const rows = `read_parquet(${quoted(path)}, hive_partitioning = false)`
  return { sql: await typedRows(connection, rows, types), rejected: none }
}
