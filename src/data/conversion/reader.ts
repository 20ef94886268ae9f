import type { DuckDBConnection } from '@duckdb/node-api'

import type { RejectedRow } from './rejected-row.ts'
import type { CsvDialect } from './upload-format.ts'

/** What one of the readers makes of a file. */
export interface Readable {
  /** A SELECT of all that can be taken. */
  sql: string
  /** What could not; known only when all is read. */
  rejected(): Promise<RejectedRow[]>
}

export interface ReaderOptions {
  csv: CsvDialect
  /** Of columns, by name, that are not to be found out. */
  types: Record<string, string>
  rejectedMax: number
  expandedBytesMax: number
  /** For files on the way. */
  directory: string
}

/** Of one format. */
export type Reader = (
  connection: DuckDBConnection,
  path: string,
  options: ReaderOptions,
) => Promise<Readable>
