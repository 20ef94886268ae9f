import type { DuckDBConnection } from '@duckdb/node-api'

import { storeArrow } from '../arrow/stored.ts'
import type { Readable, ReaderOptions } from './reader.ts'
import { typedRows } from './typed-rows.ts'

const TABLE = 'arrow'
const none = async () => []

/** A file of Arrow's IPC format, which Feather is too, or a stream of it. */
export async function readArrow(
  connection: DuckDBConnection,
  path: string,
  { types, expandedBytesMax }: ReaderOptions,
): Promise<Readable> {
  await storeArrow(connection, path, TABLE, expandedBytesMax)
  return { sql: await typedRows(connection, TABLE, types), rejected: none }
}
