import type { DuckDBConnection } from '@duckdb/node-api'

import { quoted } from '../engine/sql-text.ts'

export interface DescribeOrder {
  paths: readonly string[]
}

export interface Described {
  statistics: { name: string; min: string | null; max: string | null; nulls: number | null }[]
}

/**
 * What the footers of Parquet files say of their columns: the least and the greatest value and how many are
 * missing, where every row group says it. Columns inside of others are not told.
 */
export async function describe(
  connection: DuckDBConnection,
  { paths }: DescribeOrder,
): Promise<Described> {
  const files = paths.map(quoted).join(', ')
  const { names, types } = await columnsOf(connection, files)
  const read = await connection.runAndReadAll(
    `SELECT path_in_schema AS name, list(stats_min_value) AS least, list(stats_max_value) AS greatest,
      CASE WHEN count(stats_null_count) = count(*) THEN sum(stats_null_count)::BIGINT END AS nulls
    FROM parquet_metadata([${files}]) WHERE path_in_schema NOT LIKE '%, %' GROUP BY ALL`,
  )
  const rows = read.getRowObjectsJson() as unknown as FooterRow[]
  const statistics = []
  for (const { name, least, greatest, nulls } of rows) {
    const type = types[names.indexOf(name)]
    if (type === undefined) continue
    const bounds = await boundsOf(connection, type, least, greatest)
    statistics.push({ name, ...bounds, nulls: nulls === null ? null : Number(nulls) })
  }
  return { statistics }
}

interface FooterRow {
  name: string
  least: (string | null)[]
  greatest: (string | null)[]
  nulls: string | null
}

async function columnsOf(connection: DuckDBConnection, files: string) {
  const statement = await connection.prepare(
    `SELECT * FROM read_parquet([${files}], union_by_name = true)`,
  )
  const count = statement.columnCount
  const names = Array.from({ length: count }, (_, at) => statement.columnName(at))
  const types = Array.from({ length: count }, (_, at) => String(statement.columnType(at)))
  statement.destroySync()
  return { names, types }
}

/** Of all row groups, compared as values and not as text. */
async function boundsOf(
  connection: DuckDBConnection,
  type: string,
  least: readonly (string | null)[],
  greatest: readonly (string | null)[],
): Promise<{ min: string | null; max: string | null }> {
  const list = (texts: readonly (string | null)[]) =>
    `[${texts.flatMap((text) => (text === null ? [] : [`TRY_CAST(${quoted(text)} AS ${type})`])).join(', ')}]`
  const read = await connection.runAndReadAll(
    `SELECT list_min(${list(least)})::VARCHAR AS min, list_max(${list(greatest)})::VARCHAR AS max`,
  )
  const [bounds] = read.getRowObjectsJson()
  return bounds as unknown as { min: string | null; max: string | null }
}
