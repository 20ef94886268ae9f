import { Database as Connection } from 'bun:sqlite'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { SQL } from 'bun'
import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import { Registry } from 'prom-client'

import { authTables } from '../../src/auth/tables.ts'
import { systemClock } from '../../src/platform/clock.ts'
import type { Database } from '../../src/platform/database/database.ts'
import { openPostgres } from '../../src/platform/database/postgres.ts'
import { openSqlite } from '../../src/platform/database/sqlite.ts'
import { createJobs } from '../../src/platform/jobs/database-jobs.ts'
import { jobTables } from '../../src/platform/jobs/tables.ts'
import { openLog } from '../../src/platform/log.ts'
import { createNoTracing } from '../../src/platform/tracing/none.ts'
import { findPostgres, startPostgres } from '../support/services/postgres.ts'
import type { Race } from './race.ts'

const JOBS = 10_000
const INSERTED_AT_ONCE = 500
/** What one claim takes, by the worker and by the bare loop. */
const BATCH = 50
const LEASE_MS = 30_000
const RESULT_TTL_MS = 3_600_000
const USERS = 1000

/** What the queue costs beside its statements, and the kit beside drizzle alone. */
export async function databases(scratch: string): Promise<Race[]> {
  const directories = ['jobs', 'reads'].map((name) => join(scratch, name))
  for (const directory of directories) mkdirSync(directory)
  const [forJobs, forReads] = directories as [string, string]
  const sqlite = await openSqlite(forJobs)
  const races = [await jobs(sqlite, bareSqlite(forJobs)), await preparedRead(forReads)]
  if (findPostgres() === undefined) {
    throw new Error('Measuring the drivers needs PostgreSQL: install the package postgresql.')
  }
  const server = await startPostgres()
  // Where it is interrupted, before it is removed.
  process.on('exit', () => void server.kill())
  const options = { url: server.url, connectionsMax: 10, statementTimeoutMs: LEASE_MS }
  const onPostgres = await jobs(await openPostgres(options), barePostgres(server.url))
  return [...races, { ...onPostgres, close: () => server.remove() }]
}

/** Runs a statement by the bare client, in a transaction of its own. */
type Execute = (statement: string, values: unknown[]) => Promise<{ id: string }[]>

/** With what `openSqlite` sets, above all the sync of each commit. */
function bareSqlite(directory: string): Execute {
  const connection = new Connection(join(directory, 'quintet.db'))
  for (const pragma of ['busy_timeout = 5000', 'synchronous = full', 'foreign_keys = on']) {
    connection.run(`pragma ${pragma}`)
  }
  return async (statement, values) =>
    connection.query<{ id: string }, string[]>(statement).all(...(values as string[]))
}

function barePostgres(url: string): Execute {
  const client = new SQL(url, { max: 1 })
  return async (statement, values) => [
    ...((await client.unsafe(statement, values)) as { id: string }[]),
  ]
}

async function jobs(database: Database, execute: Execute): Promise<Race> {
  const BARE = `bare statements, batches of ${BATCH}`
  const WORKER = 'jobs, a handler that does nothing'
  const { jobs: table } = jobTables(database.kit)
  const isSqlite = database.driver === 'sqlite'
  const time = (ms: number) => (isSqlite ? ms : new Date(ms))

  async function fill(): Promise<void> {
    const now = new Date()
    await database.write(async (tx) => {
      await tx.delete(table)
    })
    await database.write(async (tx) => {
      for (let done = 0; done < JOBS; done += INSERTED_AT_ONCE) {
        const rows = Array.from({ length: INSERTED_AT_ONCE }, (_, at) => ({
          id: Bun.randomUUIDv7(),
          type: 'nothing',
          state: 'ready' as const,
          priority: 1,
          payload: { n: done + at },
          progress: 0,
          attempt: 0,
          attemptsMax: 5,
          isCancelRequested: false,
          createdAt: now,
          runAt: now,
        }))
        await tx.insert(table).values(rows)
      }
    })
  }

  const mark = (at: number) => (isSqlite ? '?' : `$${at}`)
  const claim = `update jobs set state = 'active', key = null, worker = ${mark(1)},
    attempt = attempt + 1, lease_until = ${mark(2)}, started_at = ${mark(3)}
    where id in (select id from jobs where state = 'ready' and run_at <= ${mark(4)}
    order by priority, run_at limit ${BATCH}${isSqlite ? '' : ' for update skip locked'})
    returning *`
  const finish = (count: number) => `update jobs set state = 'done', progress = 1, key = null,
    worker = null, lease_until = null, error = null, finished_at = ${mark(1)},
    expires_at = ${mark(2)} where worker = ${mark(3)} and state = 'active'
    and id in (${Array.from({ length: count }, (_, at) => mark(at + 4)).join(', ')})`
  async function runBare(): Promise<void> {
    for (;;) {
      const now = Date.now()
      const lease = time(now + LEASE_MS)
      const taken = await execute(claim, ['bench', lease, time(now), time(now)])
      if (taken.length === 0) return
      const ids = taken.map(({ id }) => id)
      await execute(finish(ids.length), [time(now), time(now + RESULT_TTL_MS), 'bench', ...ids])
    }
  }

  async function runWorker(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const queue = createJobs({
      database,
      clock: systemClock,
      log: openLog({ LOG_LEVEL: 'warn' }, { write: (line) => process.stderr.write(line) }).log,
      metrics: new Registry(),
      concurrency: BATCH,
      leaseMs: LEASE_MS,
      pollMs: LEASE_MS,
      timeoutMs: 3_600_000,
      resultTtlMs: RESULT_TTL_MS,
      unfinishedMax: 100,
      tracing: createNoTracing(),
    })
    queue.handle('nothing', { run: async () => undefined })
    let done = 0
    queue.onUpdate(({ state }) => {
      if (state === 'done' && (done += 1) === JOBS) resolve()
    })
    await queue.start()
    await promise
    await queue.stop(0)
  }

  return {
    title: `jobs on ${database.driver}: claim and finish, ${BATCH} at once`,
    inFlight: 1,
    contenders: [
      { name: BARE, prepare: fill, operate: runBare, operations: JOBS },
      { name: WORKER, prepare: fill, operate: runWorker, operations: JOBS },
    ],
    bars: [
      {
        claim: 'jobs/s of the bare statements',
        unit: '×',
        limit: { least: 0.8 },
        read: (of) => of(WORKER).requestsPerSecond / of(BARE).requestsPerSecond,
      },
    ],
  }
}

async function preparedRead(directory: string): Promise<Race> {
  const BARE = 'drizzle'
  const KIT = 'database.read'
  const database = await openSqlite(directory)
  const { accounts } = authTables(database.kit)
  const ids = Array.from({ length: USERS }, () => Bun.randomUUIDv7())
  const now = new Date()
  await database.write(async (tx) => {
    for (const id of ids) {
      await tx.insert(accounts).values({
        id,
        username: id,
        usernameFolded: id,
        passwordHash: '',
        role: 'viewer',
        createdAt: now,
        updatedAt: now,
      })
    }
  })
  const connection = new Connection(join(directory, 'quintet.db'), { readonly: true })
  const bare = drizzle(connection, { casing: 'snake_case' }) as unknown as Database['read']
  const prepare = (reads: Database['read']) => {
    const query = reads
      .select()
      .from(accounts)
      .where(eq(accounts.id, sql.placeholder('id')))
      .prepare('account_by_id')
    let next = 0
    return async () => {
      const rows = await query.execute({ id: ids[(next += 1) % USERS] })
      if (rows.length !== 1) throw new Error('a user that was written was not read')
    }
  }
  return {
    title: 'SQLite: prepared read of a user by id',
    inFlight: 1,
    contenders: [
      { name: BARE, operate: prepare(bare) },
      { name: KIT, operate: prepare(database.read) },
    ],
    bars: [
      {
        claim: 'time of drizzle alone',
        unit: '×',
        limit: { most: 1.3 },
        read: (of) => of(BARE).requestsPerSecond / of(KIT).requestsPerSecond,
      },
    ],
  }
}
