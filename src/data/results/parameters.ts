import type { DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api'

import { owedRow } from '../engine/owed-row.ts'
import { Refused } from '../engine/refused.ts'

/** A value for a `$name`. */
interface Parameter {
  value: string | number | boolean | null
  /** Where it has one of its own, and not that of the value in JSON. */
  type?: string
}

export type Parameters = Record<string, Parameter>

/** What a plan is to know of them. */
export const typesOf = (parameters: Parameters): ReadonlyMap<string, string | undefined> =>
  new Map(Object.entries(parameters).map(([name, { type }]) => [name, type]))

/**
 * Binds values, so that none of them is ever part of a statement. Of a type by name DuckDB itself makes the value.
 *
 * @throws {Refused} naming the one that has not its type.
 */
export async function bound(
  connection: DuckDBConnection,
  statement: DuckDBPreparedStatement,
  parameters: Parameters,
): Promise<void> {
  for (const [name, { value, type }] of Object.entries(parameters)) {
    if (type === undefined) {
      statement.bind({ [name]: value })
      continue
    }
    const cast = await connection.prepare(`SELECT CAST($value AS ${type}) AS value`)
    try {
      cast.bind({ value: value === null ? null : String(value) })
      const read = await cast.runAndReadAll()
      statement.bind({ [name]: owedRow(read.getRows())[0]! }, { [name]: read.columnType(0) })
    } catch (error) {
      if (error instanceof RangeError) throw error
      throw new Refused(`The parameter ${name} is no ${type}: ${String(value).slice(0, 50)}.`)
    } finally {
      cast.destroySync()
    }
  }
}
