import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'

import type { Kit } from './columns.ts'

type Verbs = PgDatabase<PgQueryResultHKT>

/** Only verbs that mean the same in SQLite and in Postgres. */
export type Reads = Pick<Verbs, 'select' | 'selectDistinct' | 'with' | '$with'>
export type Writes = Reads & Pick<Verbs, 'insert' | 'update' | 'delete'>

/** A select that can lock what it finds. */
interface Lockable {
  for(strength: 'update', options?: { skipLocked: true }): unknown
}

/** Where state lives. One transaction is the only way to write. */
export interface Database {
  readonly driver: 'sqlite' | 'postgres'
  readonly kit: Kit
  /** Sees committed rows only, and never waits for a writer. */
  readonly read: Reads
  /**
   * Runs `work` in one transaction: committed, and on disk, when the promise resolves; rolled back
   * when `work` throws. A `write` inside a `write` throws, since it would wait for itself.
   */
  write<T>(work: (tx: Writes) => Promise<T>): Promise<T>
  /**
   * Within a write: the same select, and the rows that it finds stay as they are until the commit.
   * On SQLite they do anyway, since one write runs at a time.
   */
  lock<Select extends Lockable>(select: Select, options?: { skipLocked: true }): Select
  /**
   * Within a write: until its commit no other write goes past the same name. On SQLite none does
   * anyway.
   */
  exclude(tx: Writes, name: string): Promise<void>
  /** Within a write: once it is committed, whoever listens to the channel hears of it. */
  signal(tx: Writes, channel: string): Promise<void>
  /**
   * Calls `hear` after each commit that signalled the channel: by any process on Postgres, by this
   * one on SQLite. Signals can be lost while the server is away, so what hangs on them looks around
   * by itself now and then; `hear` is called once more when the server is back.
   *
   * @returns how to stop.
   */
  listen(channel: string, hear: () => void): Promise<() => Promise<void>>
  /** Resolves when the database answers, rejects with the reason when it does not, within a second. */
  ping(): Promise<void>
  /** Rejects when the schema is not this version's, or the database does not say so within a second. */
  requireMigrated(): Promise<void>
  close(): Promise<void>
}

/** The server was asked and nothing came back, not even that it is gone. */
export class DatabaseSilent extends Error {
  override name = 'DatabaseSilent'
  readonly code = 'DATABASE_SILENT'

  constructor() {
    super('the database does not answer')
  }
}

/** Whether a write failed because a row with the same unique key exists, on any driver. */
export const isUniqueViolation = (error: unknown) =>
  codesOf(error).some((code) => UNIQUE_VIOLATIONS.has(code))

/** Whether a query failed because the database can't be used now: it is away, full or locked. */
export const isDatabaseAway = (error: unknown) => codesOf(error).some((code) => AWAY.test(code))

/**
 * Whether a write failed by a value in it, so that it would fail again: one that JSON can't hold, or
 * that the database has no room for. Whatever else a database says may pass.
 */
export function isUnstorable(error: unknown): boolean {
  const codes = codesOf(error)
  return codes.length === 0 || codes.some((code) => UNSTORABLE.test(code))
}

const UNIQUE_VIOLATIONS = new Set([
  'SQLITE_CONSTRAINT_UNIQUE',
  'SQLITE_CONSTRAINT_PRIMARYKEY',
  '23505',
])

/**
 * Of SQLite: out of space, unreadable, held by another process. Of Bun's Postgres client: no
 * connection, or a SQLSTATE of the classes 08 (connection), 53 (resources) and 57P (shutdown). Of
 * ours: silence.
 */
const AWAY =
  /^SQLITE_(FULL|IOERR|CANTOPEN|BUSY|READONLY)|^ERR_POSTGRES_(CONNECTION|IDLE|LIFETIME)|^(08|53|57P)[0-9A-Z]|^DATABASE_SILENT$/

/** Of Postgres the classes 22 (data) and 54 (limits of a program). */
const UNSTORABLE = /^SQLITE_(TOOBIG|MISMATCH)|^(22|54)[0-9A-Z]{3}$/

/** SQLite says it by `code`; of Bun's Postgres client, `errno` holds the SQLSTATE. */
function codesOf(error: unknown): string[] {
  const codes: string[] = []
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause) codes.push(String(cause.code))
    if ('errno' in cause) codes.push(String(cause.errno))
  }
  return codes
}
