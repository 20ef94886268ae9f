import { type SQL, sql } from 'drizzle-orm'

import type { Writes } from './database.ts'

/**
 * A statement of writes that is built once for each connection, and for each number of values where
 * that differs. To build one takes drizzle longer than it takes SQLite to run it. On Postgres drizzle
 * has a connection of its own for each transaction, so that nothing is saved there.
 */
export function preparedFor<Statement>(
  build: (tx: Writes, values: number) => Statement,
): (tx: Writes, values?: number) => Statement {
  const built = new WeakMap<Writes, Map<number, Statement>>()
  return (tx, values = 0) => {
    let ofConnection = built.get(tx)
    if (ofConnection === undefined) built.set(tx, (ofConnection = new Map()))
    let statement = ofConnection.get(values)
    if (statement === undefined) ofConnection.set(values, (statement = build(tx, values)))
    return statement
  }
}

/**
 * A value that comes when the statement is run, written as the column's are. Drizzle's own
 * placeholder is written as it is given.
 */
export const placeholder = (name: string, column: Parameters<typeof sql.param>[1]): SQL<never> =>
  sql<never>`${sql.param(sql.placeholder(name), column)}`
