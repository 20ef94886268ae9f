import { type Attributes, beginSpan, type Tracing } from '../tracing/tracing.ts'
import type { Database, Reads } from './database.ts'

/** The part of drizzle's sessions, on any driver, through which every statement goes. */
interface Session {
  prepareQuery(query: { sql: string }, ...rest: unknown[]): Record<string, Verb>
}
type Verb = (...values: unknown[]) => unknown

/** By which methods a prepared statement runs. */
const VERBS = { sqlite: ['run', 'all', 'get', 'values'], postgres: ['execute'] } as const
const SYSTEMS = { sqlite: 'sqlite', postgres: 'postgresql' } as const
const TABLE = /\b(?:from|into|update)\s+"(\w+)"/i
const QUERY_CHARACTERS_MAX = 2000

/**
 * A database whose writes and statements are spans of whatever trace they happen in. Where none is
 * recorded it is the very database.
 *
 * The seam is drizzle's session, which the builders and the prepared queries of both drivers share;
 * a drizzle logger hears of statements before they run, and not of their end. The span of a write is
 * from the call to the commit, so it shows the wait for the writer too; those of its statements are
 * below it. Texts go without the values.
 */
export function traceDatabase(database: Database, tracing: Tracing): Database {
  if (tracing.driver === 'none') return database
  const { driver } = database
  const system: Attributes = { 'db.system.name': SYSTEMS[driver] }
  const seen = new WeakSet<Session>()
  /** SQLite's verbs call one another. */
  let isInside = false

  function measure(sql: string, execute: () => unknown): unknown {
    const span = isInside ? undefined : beginSpan(tracing, nameOf(sql), 'client')
    if (span === undefined) return execute()
    const attributes = { ...system, 'db.query.text': sql.slice(0, QUERY_CHARACTERS_MAX) }
    let result: unknown
    try {
      isInside = true
      result = execute()
    } catch (error) {
      span.end(attributes, error)
      throw error
    } finally {
      isInside = false
    }
    if (result instanceof Promise) {
      result.then(
        () => span.end(attributes),
        (error: unknown) => span.end(attributes, error),
      )
    } else {
      span.end(attributes)
    }
    return result
  }

  function traceSession(connection: Reads): void {
    const { session } = connection as unknown as { session: Session }
    if (seen.has(session)) return
    seen.add(session)
    const prepareQuery = session.prepareQuery.bind(session)
    session.prepareQuery = (query, ...rest) => {
      const prepared = prepareQuery(query, ...rest)
      for (const verb of VERBS[driver]) {
        const execute = prepared[verb]!.bind(prepared)
        prepared[verb] = (...values) => measure(query.sql, () => execute(...values))
      }
      return prepared
    }
  }

  traceSession(database.read)
  return {
    ...database,
    write(work) {
      const span = beginSpan(tracing, 'write', 'internal')
      if (span === undefined) return database.write(work)
      return span.run(system, () =>
        database.write((tx) => {
          traceSession(tx)
          return work(tx)
        }),
      )
    },
  }
}

/** Such as `select accounts`: few names, as a span's should be. */
function nameOf(sql: string): string {
  const verb = sql.slice(0, sql.indexOf(' ')).toLowerCase()
  const table = TABLE.exec(sql)?.[1]
  return table === undefined ? verb : `${verb} ${table}`
}
