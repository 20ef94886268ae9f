import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { sql } from 'drizzle-orm'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'

import { refusal } from '../../../tests/support/refusal.ts'
import { findPostgres, startPostgres } from '../../../tests/support/services/postgres.ts'
import type { Service } from '../../../tests/support/services/service.ts'
import { StartError } from '../start-error.ts'
import type { Database } from './database.ts'
import { openPostgres } from './postgres.ts'

const options = { connectionsMax: 3, statementTimeoutMs: 500 }
const BACK_WITHIN_MS = 1000

/** Statements that the verbs of `Database` have no words for. */
const raw = (from: unknown) => from as PgDatabase<PgQueryResultHKT>

describe.skipIf(findPostgres() === undefined)('Postgres', () => {
  let server: Service
  let database: Database
  const open = () => openPostgres({ ...options, url: server.url })
  beforeAll(async () => {
    server = await startPostgres()
    database = await open()
  })
  afterAll(async () => {
    await database.close()
    await server.remove()
  })

  const connections = async () => {
    const rows: unknown = await raw(database.read).execute(
      sql`select count(*)::int as n from pg_stat_activity where backend_type = 'client backend'`,
    )
    return (rows as { n: number }[])[0]?.n
  }

  test('keeps at most so many connections, and lets the others wait', async () => {
    const sleeps = Array.from({ length: 12 }, () =>
      raw(database.read).execute(sql`select pg_sleep(0.02)`),
    )
    await Promise.all(sleeps)
    expect(await connections()).toBe(options.connectionsMax)
  })

  test('gives up a statement that takes too long', async () => {
    const slow = database.write(async (tx) => raw(tx).execute(sql`select pg_sleep(5)`))
    expect(await refusal(slow)).toMatchObject({ cause: { errno: '57014' } })
    await database.ping()
  })

  test('gives up a write that stands still, so that its locks are free again', async () => {
    const rows: unknown = await raw(database.read).execute(
      sql`select current_setting('idle_in_transaction_session_timeout') as timeout`,
    )
    expect([...(rows as object[])]).toEqual([{ timeout: '1min' }])
  })

  test('stores documents as JSON, not as text that holds JSON', async () => {
    const { table, column } = database.kit
    const documents = table('documents', { document: column.json<unknown>() })
    await raw(database.read).execute(sql`create table documents (document jsonb)`)
    await database.write(async (tx) => {
      await tx.insert(documents).values([{ document: { a: 1 } }, { document: 'text' }])
    })
    const types: unknown = await raw(database.read).execute(
      sql`select jsonb_typeof(document) as type from documents order by type`,
    )
    expect([...(types as object[])]).toEqual([{ type: 'object' }, { type: 'string' }])
  })

  test.each(['stop', 'kill'] as const)(
    'fails at once while the server is away (%s), and is back within a second of it',
    async (how) => {
      await database.ping()
      const inFlight = refusal(
        database.write(async (tx) => {
          await raw(tx).execute(sql`select pg_sleep(0.4)`)
        }),
      )
      await Bun.sleep(100)
      await server[how]()
      expect(await inFlight).toBeInstanceOf(Error)
      const askedAt = performance.now()
      await refusal(database.ping())
      await refusal(database.write(async (tx) => raw(tx).execute(sql`select 1`)))
      expect(performance.now() - askedAt).toBeLessThan(BACK_WITHIN_MS)

      await server.start()
      const startedAt = performance.now()
      for (;;) {
        const isBack = await database.ping().then(
          () => true,
          () => false,
        )
        if (isBack) break
        expect(performance.now() - startedAt).toBeLessThan(BACK_WITHIN_MS)
        await Bun.sleep(10)
      }
    },
  )

  test.each<[string, (url: URL) => void]>([
    ['a server that is not there', (url) => (url.port = '1')],
    ['a database that is not there', (url) => (url.pathname = 'nowhere')],
    ['a user that is not there', (url) => (url.username = 'nobody')],
    ['an option that is none', (url) => (url.search = '?sslmode=bogus')],
  ])('%s is refused by the name of its setting', async (_, change) => {
    const url = new URL(server.url)
    url.password = 'hunter2'
    change(url)
    const error = await refusal(openPostgres({ ...options, url: url.href }))
    expect(error).toBeInstanceOf(StartError)
    expect(String(error)).toContain('DATABASE_URL')
    expect(String(error)).not.toContain('hunter2')
  })
})
