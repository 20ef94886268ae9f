import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'

import { sql } from 'drizzle-orm'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'

import { openProxy, type Proxy } from '../../../tests/support/proxy.ts'
import { refusal } from '../../../tests/support/refusal.ts'
import { findPostgres, startPostgres } from '../../../tests/support/services/postgres.ts'
import type { Service } from '../../../tests/support/services/service.ts'
import { until } from '../../../tests/support/until.ts'
import { type Database, isDatabaseAway } from './database.ts'
import { openPostgres } from './postgres.ts'

const CONNECTIONS_MAX = 3
const STATEMENT_TIMEOUT_MS = 4000
/** A second, and the rest is for a machine that is busy. */
const NOTICED_WITHIN_MS = 1500
const AT_ONCE_MS = 100
const BACK_WITHIN_MS = 1000

/** Statements that the verbs of `Database` have no words for. */
const raw = (from: unknown) => from as PgDatabase<PgQueryResultHKT>

describe.skipIf(findPostgres() === undefined)('Postgres that falls silent', () => {
  let server: Service
  let proxy: Proxy
  let database: Database
  let heard = 0
  beforeAll(async () => {
    server = await startPostgres()
    database = await open(server.port, STATEMENT_TIMEOUT_MS)
    await raw(database.read).execute(sql`create table things (name text)`)
    await database.close()
  })
  beforeEach(async () => {
    proxy = openProxy(server.port)
    database = await open(proxy.port, STATEMENT_TIMEOUT_MS)
    heard = 0
    await database.listen('things', () => void (heard += 1))
    await warm(database)
  })
  afterEach(async () => {
    proxy.close()
    await database.close()
  })
  afterAll(() => server.remove())

  const open = (port: number, statementTimeoutMs: number) =>
    openPostgres({
      url: `postgres://quintet@127.0.0.1:${port}/postgres`,
      connectionsMax: CONNECTIONS_MAX,
      statementTimeoutMs,
    })
  const sleep = (from: unknown, seconds: number) =>
    raw(from).execute(sql`select pg_sleep(${seconds})`)
  /** Opens every connection. */
  const warm = ({ read }: Database) =>
    Promise.all(Array.from({ length: CONNECTIONS_MAX }, () => sleep(read, 0.05)))
  const add = (name: string) =>
    database.write(async (tx) => {
      await raw(tx).execute(sql`insert into things values (${name})`)
      await database.signal(tx, 'things')
    })

  async function refusedWithin(ms: number, asked: Promise<unknown>) {
    const startedAt = performance.now()
    expect(isDatabaseAway(await refusal(asked))).toBe(true)
    expect(performance.now() - startedAt).toBeLessThan(ms)
  }
  /** Every way to ask, more often than there are connections. */
  const everything = () => [
    ...Array.from({ length: 2 * CONNECTIONS_MAX }, () => sleep(database.read, 0)),
    add('lost'),
    add('lost'),
    database.ping(),
    database.requireMigrated(),
    database.listen('others', () => {}),
  ]

  async function expectBack() {
    const startedAt = performance.now()
    const isBack = () =>
      database.ping().then(
        () => true,
        () => false,
      )
    await until(isBack, BACK_WITHIN_MS)
    // Signals may have been missed.
    await until(() => heard > 0)
    await Promise.all([warm(database), database.ping(), database.requireMigrated()])
    expect(performance.now() - startedAt).toBeLessThan(BACK_WITHIN_MS)
    const before = heard
    await add('found')
    await until(() => heard > before)
  }

  test.each<[string, () => void]>([
    ['thaws', () => proxy.thaw()],
    ['is reached by new connections only', () => proxy.bury()],
  ])('refuses within a second, then at once, and is back when it %s', async (_, mend) => {
    proxy.freeze()
    heard = 0
    await Promise.all(everything().map((asked) => refusedWithin(NOTICED_WITHIN_MS, asked)))
    await Promise.all(everything().map((asked) => refusedWithin(AT_ONCE_MS, asked)))
    await Bun.sleep(3000)
    mend()
    await expectBack()
  })

  test('fails the write that is under way, whatever its work does then', async () => {
    const going = database.write(async (tx) => {
      await raw(tx).execute(sql`insert into things values ('half')`)
      proxy.freeze()
      await raw(tx)
        .execute(sql`insert into things values ('the other half')`)
        .catch(() => {})
      return 'committed'
    })
    await refusedWithin(NOTICED_WITHIN_MS, going)
    proxy.bury()
    await expectBack()
    const rows: unknown = await raw(database.read).execute(
      sql`select name from things where name like '%half'`,
    )
    expect([...(rows as object[])]).toEqual([])
  })

  test('is not what takes its time: a statement, or a write that does something else', async () => {
    await Promise.all([
      sleep(database.read, 2.5),
      database.write(async (tx) => {
        await sleep(tx, 0)
        await Bun.sleep(2500)
        await sleep(tx, 0)
      }),
    ])
  })

  test('is not that there are more statements than connections', async () => {
    await database.close()
    database = await open(proxy.port, 500)
    // Twice as long, all of them together, as one may take.
    await Promise.all(Array.from({ length: 8 * CONNECTIONS_MAX }, () => sleep(database.read, 0.4)))
  })

  test('holds up neither who stops listening nor who closes', async () => {
    const stop = await database.listen('others', () => {})
    proxy.freeze()
    const startedAt = performance.now()
    const writing = refusal(add('lost'))
    await stop()
    await database.close()
    expect(isDatabaseAway(await writing)).toBe(true)
    expect(performance.now() - startedAt).toBeLessThan(NOTICED_WITHIN_MS)
  })

  test('on the connections that there are, and on no others, is noticed by the timeout of statements', async () => {
    await database.close()
    database = await open(proxy.port, 500)
    await warm(database)
    proxy.bury()
    await refusedWithin(1000 + AT_ONCE_MS, database.ping())
    await refusedWithin(3000, sleep(database.read, 0))
    await warm(database)
    await database.ping()
  })
})
