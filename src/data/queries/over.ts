import { identifier } from '../engine/sql-text.ts'

/** Rows that a query reads by a name, wherever they are. */
export interface NamedRows {
  name: string
  /** What stands for them in a FROM. */
  sql: string
}

/** A query in which names stand for rows. They are read where they are used, as if they stood there. */
export function over(sources: readonly NamedRows[], sql: string): string {
  if (sources.length === 0) return sql
  const named = sources.map(
    (source) => `${identifier(source.name)} AS NOT MATERIALIZED (SELECT * FROM ${source.sql})`,
  )
  return `WITH ${named.join(', ')} SELECT * FROM (${sql}\n)`
}
