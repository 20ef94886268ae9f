import { Database as Connection, SQLiteError } from 'bun:sqlite'
import { AsyncLocalStorage } from 'node:async_hooks'
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { drizzle } from 'drizzle-orm/bun-sqlite'

import { StartError } from '../start-error.ts'
import { sqliteKit } from './columns.ts'
import type { Database, Reads, Writes } from './database.ts'
import { type Execute, migrate, requireSchema } from './migrate.ts'

/** How long another process may change the schema, or bring the database up, before this one gives up. */
const START_TIMEOUT_MS = 5000
/** How long a write waits for another process that writes, and how often it looks. */
const BUSY_TIMEOUT_MS = 1000
const BUSY_POLL_MS = 5
/** Who reads waits for nobody that writes, only for one that opens the files after a crash. */
const READ_TIMEOUT_MS = 100

/**
 * Opens `quintet.db` in a folder, which is made when it is missing, and brings its schema up to date.
 *
 * Writes go through one connection and a queue. Two reasons, both found by running: drizzle's own
 * `transaction()` commits before an async callback has finished, and a second writer that meets an
 * open transaction blocks the event loop for the whole busy timeout of SQLite. For the same reason that
 * is nothing, and another process that writes is waited for here.
 *
 * @throws {StartError} when the folder can't be written, or a newer version wrote the database.
 */
export async function openSqlite(directory: string): Promise<Database> {
  const [writer, reader] = connect(directory)
  const schema = await inTransaction(
    writer,
    () => migrate('sqlite', executeOn(writer)),
    START_TIMEOUT_MS,
  )
  writer.run('PRAGMA busy_timeout = 0')

  const options = { casing: 'snake_case' } as const
  const reads = drizzle(reader, options) as unknown as Reads
  const writes = drizzle(writer, options) as unknown as Writes

  const insideWrite = new AsyncLocalStorage<true>()
  let queue: Promise<unknown> = Promise.resolve()
  const listeners = new Map<string, Set<() => void>>()
  /** What the write that runs has signalled. */
  const signalled = new Set<string>()

  async function transact<T>(work: (tx: Writes) => Promise<T>): Promise<T> {
    signalled.clear()
    const result = await inTransaction(writer, () => insideWrite.run(true, () => work(writes)))
    for (const channel of signalled) {
      // Later, so that what a listener throws is not the writer's.
      for (const hear of listeners.get(channel) ?? []) queueMicrotask(hear)
    }
    return result
  }

  return {
    driver: 'sqlite',
    kit: sqliteKit,
    read: reads,
    write(work) {
      if (insideWrite.getStore()) throw new Error('a write inside a write would wait for itself')
      const result = queue.then(() => transact(work))
      queue = result.catch(() => {})
      return result
    },
    lock: (select) => select,
    async exclude() {},
    async signal(_, channel) {
      signalled.add(channel)
    },
    async listen(channel, hear) {
      // In the context of who listens: what follows from a signal is not the signaller's request.
      const own = AsyncLocalStorage.bind(() => hear())
      const hearing = listeners.get(channel) ?? new Set()
      listeners.set(channel, hearing.add(own))
      return async () => void hearing.delete(own)
    },
    async ping() {
      reader.query('select 1').get()
    },
    async requireMigrated() {
      await requireSchema(executeOn(reader), schema)
    },
    async close() {
      await queue
      reader.close()
      writer.close()
    },
  }
}

async function inTransaction<T>(
  connection: Connection,
  work: () => Promise<T>,
  timeoutMs = BUSY_TIMEOUT_MS,
): Promise<T> {
  await begin(connection, timeoutMs)
  try {
    const result = await work()
    connection.run('COMMIT')
    return result
  } catch (error) {
    if (connection.inTransaction) connection.run('ROLLBACK')
    throw error
  }
}

async function begin(connection: Connection, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    try {
      return void connection.run('BEGIN IMMEDIATE')
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error
      await Bun.sleep(BUSY_POLL_MS)
    }
  }
}

const isBusy = (error: unknown) => error instanceof SQLiteError && error.code === 'SQLITE_BUSY'

const executeOn =
  (connection: Connection): Execute =>
  async (statement, values = []) =>
    connection.query<Record<string, unknown>, (string | number)[]>(statement).all(...values)

function connect(directory: string): [writer: Connection, reader: Connection] {
  const path = join(directory, 'quintet.db')
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const writer = new Connection(path, { create: true })
    // It holds keys and hashes. SQLite gives the files that it makes beside it the same mode.
    chmodSync(path, 0o600)
    writer.run(`PRAGMA busy_timeout = ${START_TIMEOUT_MS}`)
    switchToWal(writer)
    // FULL: an answered 2xx means that the row survives a power loss.
    writer.run('PRAGMA synchronous = full')
    writer.run('PRAGMA foreign_keys = on')
    const reader = new Connection(path, { readonly: true })
    reader.run(`PRAGMA busy_timeout = ${READ_TIMEOUT_MS}`)
    return [writer, reader]
  } catch (cause) {
    if (cause instanceof SQLiteError && cause.code === 'SQLITE_NOTADB') {
      throw new StartError(
        `${path} is no SQLite database. Restore it from a backup, or set DATA_DIR to another folder.`,
        { cause },
      )
    }
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StartError(
      `The folder ${directory} can't hold the database (${reason}). ` +
        'Make it writable for this user, or set DATA_DIR to one that is.',
      { cause },
    )
  }
}

/** Another process that opens a new database at the same moment is not waited for by SQLite here. */
function switchToWal(connection: Connection): void {
  const deadline = performance.now() + START_TIMEOUT_MS
  for (;;) {
    try {
      return void connection.run('PRAGMA journal_mode = wal')
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error
      Bun.sleepSync(10)
    }
  }
}
