import type { DuckDBConnection } from '@duckdb/node-api'

import { owedRow } from '../engine/owed-row.ts'
import { bound } from './parameters.ts'
import { type QueryOrder, type QueryResult, query } from './query.ts'

export interface OverviewOrder extends Omit<QueryOrder, 'format'> {
  /** Those that are written, as JSON. All are counted. */
  firstRows: number
}

/** How much there is, and how it begins: all rows are made once, and lie where they may be spilled. */
export async function overview(
  connection: DuckDBConnection,
  { sql, parameters, firstRows, ...order }: OverviewOrder,
): Promise<QueryResult> {
  const made = await connection.prepare(`CREATE TEMP TABLE overview AS (${sql}\n)`)
  try {
    await bound(connection, made, parameters)
    await made.run()
    const counted = await connection.runAndReadAll('SELECT count(*) FROM overview')
    const rows = Number(owedRow(counted.getRows())[0])
    const first = { sql: `SELECT * FROM overview LIMIT ${firstRows}`, parameters: {} }
    return { ...(await query(connection, { ...order, ...first, format: 'json' })), rows }
  } finally {
    made.destroySync()
  }
}
