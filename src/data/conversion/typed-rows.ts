import type { DuckDBConnection } from '@duckdb/node-api'

import { identifier } from '../engine/sql-text.ts'

/** The rows with some columns as another type. */
export async function typedRows(
  connection: DuckDBConnection,
  rows: string,
  types: Record<string, string>,
): Promise<string> {
  const wanted = new Map(Object.entries(types).map(([name, type]) => [name.toLowerCase(), type]))
  const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${rows}`)
  const columns = described.getRowObjectsJson() as { column_name: string; column_type: string }[]
  const list = columns.map(({ column_name: name, column_type: type }) => {
    const column = identifier(name)
    const other = wanted.get(name.toLowerCase()) ?? (type === 'JSON' ? 'VARCHAR' : type)
    return other === type ? column : `CAST(${column} AS ${other}) AS ${column}`
  })
  return `SELECT ${list.join(', ')} FROM ${rows}`
}
