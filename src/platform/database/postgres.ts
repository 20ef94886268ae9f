import { AsyncLocalStorage } from 'node:async_hooks'

import { SQL } from 'bun'
import { type SQL as Statement, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sql'

import { StartError } from '../start-error.ts'
import { within } from '../within.ts'
import { postgresKit } from './columns.ts'
import { type Database, DatabaseSilent, type Reads, type Writes } from './database.ts'
import { type Execute, migrate, requireSchema } from './migrate.ts'
import { PostgresClient } from './postgres-client.ts'

const IDLE_TIMEOUT_SECONDS = 3600
const CONNECT_TIMEOUT_SECONDS = 5
/** A pool that makes a check wait for so long is of no more use to a request than a server that is away. */
const CHECK_TIMEOUT_MS = 1000
/** A process that froze within a write would keep its locks from all others. */
const IDLE_TRANSACTION_TIMEOUT_MS = 60_000
/** Any number, as long as every version of Quintet uses the same. */
const MIGRATION_LOCK = 7_168_312_006

/**
 * Connects to Postgres and brings its schema up to date; of several processes that start at once,
 * one does, and the others wait.
 *
 * A server that goes away fails what is in flight and each later query within milliseconds; the
 * first query after it is back connects anew. One that falls silent does so within a second and a
 * half, as {@link PostgresClient} says.
 *
 * @param statementTimeoutMs after which the server gives a statement up
 * @throws {StartError} when the server can't be used, or a newer version wrote the database.
 */
export async function openPostgres(options: {
  url: string
  connectionsMax: number
  statementTimeoutMs: number
}): Promise<Database> {
  const { url, connectionsMax, statementTimeoutMs } = options
  const open = (max: number) =>
    new SQL(url, {
      max,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      connectionTimeout: CONNECT_TIMEOUT_SECONDS,
      connection: {
        statement_timeout: statementTimeoutMs,
        idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
      },
    })
  const schema = await migrateUnderLock(() => open(1))

  const client = new PostgresClient({
    open,
    connectionsMax,
    statementTimeoutMs,
    idleTransactionTimeoutMs: IDLE_TRANSACTION_TIMEOUT_MS,
  })
  const connection = drizzle(client as unknown as SQL, { casing: 'snake_case' })
  const insideWrite = new AsyncLocalStorage<true>()
  const writes = new Set<Promise<unknown>>()

  /** A Bun client within the transaction is not to be had from drizzle. */
  const executeIn = (tx: Writes, statement: Statement) =>
    (tx as unknown as typeof connection).execute(statement)

  return {
    driver: 'postgres',
    kit: postgresKit,
    read: connection as unknown as Reads,
    write(work) {
      if (insideWrite.getStore()) throw new Error('a write inside a write would wait for itself')
      const result = connection.transaction((tx) =>
        insideWrite.run(true, () => work(tx as unknown as Writes)),
      )
      const forget = () => void writes.delete(result)
      writes.add(result)
      result.then(forget, forget)
      return result
    },
    lock(select, options) {
      select.for('update', options)
      return select
    },
    async exclude(tx, name) {
      await executeIn(tx, sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`)
    },
    async signal(tx, channel) {
      await executeIn(tx, sql`select pg_notify(${channel}, '')`)
    },
    listen: (channel, hear) => client.listen(channel, hear),
    async ping() {
      await soon(executeOn(client)('select 1'))
    },
    requireMigrated: () => soon(requireSchema(executeOn(client), schema)),
    async close() {
      await Promise.allSettled(writes)
      await client.close()
    },
  }
}

const soon = <T>(answer: Promise<T>) =>
  within(CHECK_TIMEOUT_MS, answer, () => {
    throw new DatabaseSilent()
  })

async function migrateUnderLock(open: () => SQL): Promise<number> {
  let client: SQL | undefined
  try {
    // Bun looks at the address here.
    client = open()
    return await client.begin(async (tx) => {
      // Held until the transaction ends, however it ends. To wait for the others may take its time.
      await tx`set local statement_timeout = 0`
      await tx`select pg_advisory_xact_lock(${MIGRATION_LOCK})`
      return migrate('postgres', executeOn(tx))
    })
  } catch (cause) {
    throw asStartError(cause)
  } finally {
    await client?.close()
  }
}

const executeOn =
  (client: Pick<PostgresClient, 'unsafe'>): Execute =>
  async (statement, values = []) => [
    ...((await client.unsafe(statement, values)) as Record<string, unknown>[]),
  ]

function asStartError(cause: unknown): unknown {
  if (!(cause instanceof Error) || cause instanceof StartError) return cause
  return new StartError(
    `The database that DATABASE_URL names can't be used (${cause.message}). ` +
      'Start it, or mend its address, user and password.',
    { cause },
  )
}
