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
