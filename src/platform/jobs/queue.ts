import {
  and,
  asc,
  count,
  desc,
  eq,
  inArray,
  isNotNull,
  isNull,
  lt,
  lte,
  type SQL,
} from 'drizzle-orm'

import type { Clock } from '../clock.ts'
import type { Database, Writes } from '../database/database.ts'
import { currentTraceparent } from '../tracing/tracing.ts'
import { type Job, type NewJob, TooManyJobs } from './jobs.ts'
import { ended, IS_ACTIVE, IS_FAILED, IS_READY, type JobRow, jobTables, RANK } from './tables.ts'

/** Signalled where a job became ready, and where one that runs is to stop. */
export const READY = 'jobs.ready'
export const CANCELLED = 'jobs.cancelled'

const ATTEMPTS_MAX = 5
const ENQUEUE_TRIES_MAX = 5

/** The table of jobs as those see it who want work done. What workers do to it is in `leases.ts`. */
export function createQueue(deps: {
  database: Database
  clock: Clock
  resultTtlMs: number
  unfinishedMax: number
}) {
  const { database, clock, resultTtlMs, unfinishedMax } = deps
  const { jobs } = jobTables(database.kit)
  const now = () => new Date(clock.now())
  const later = (ms: number) => new Date(clock.now() + ms)
  const visible = {
    id: jobs.id,
    type: jobs.type,
    state: jobs.state,
    progress: jobs.progress,
    attempt: jobs.attempt,
    attemptsMax: jobs.attemptsMax,
    result: jobs.result,
    error: jobs.error,
    ownerId: jobs.ownerId,
    createdAt: jobs.createdAt,
    runAt: jobs.runAt,
    startedAt: jobs.startedAt,
    finishedAt: jobs.finishedAt,
    expiresAt: jobs.expiresAt,
  }
  async function requireRoom(tx: Writes, ownerId: string): Promise<void> {
    // Or several at once would each find the last place free.
    await database.exclude(tx, `jobs of ${ownerId}`)
    const [row] = await tx
      .select({ n: count() })
      .from(jobs)
      .where(and(eq(jobs.ownerId, ownerId), isNull(jobs.finishedAt)))
    if (row!.n >= unfinishedMax) throw new TooManyJobs(unfinishedMax)
  }

  async function insert(tx: Writes, job: NewJob): Promise<string | undefined> {
    const [row] = await tx
      .insert(jobs)
      .values({
        id: Bun.randomUUIDv7(),
        type: job.type,
        state: 'ready',
        priority: RANK[job.priority ?? 'normal'],
        key: job.key ?? null,
        payload: job.payload,
        progress: 0,
        attempt: 0,
        attemptsMax: job.attemptsMax ?? ATTEMPTS_MAX,
        ownerId: job.ownerId ?? null,
        isCancelRequested: false,
        traceparent: currentTraceparent() ?? null,
        createdAt: now(),
        runAt: later(job.delayMs ?? 0),
      })
      // Drizzle can't name the index of some rows only as the target for SQLite.
      .onConflictDoNothing()
      .returning({ id: jobs.id })
    return row?.id
  }

  async function enqueue(tx: Writes, job: NewJob): Promise<string> {
    if (job.ownerId !== undefined) await requireRoom(tx, job.ownerId)
    for (let tries = 0; tries < ENQUEUE_TRIES_MAX; tries += 1) {
      const id = await insert(tx, job)
      if (id !== undefined) {
        await database.signal(tx, READY)
        return id
      }
      // Locked: begun before the commit, it would not see what it is enqueued for.
      const [waiting] = await database.lock(
        tx
          .select({ id: jobs.id })
          .from(jobs)
          .where(and(eq(jobs.key, job.key!), IS_READY)),
      )
      if (waiting !== undefined) {
        await database.signal(tx, READY)
        return waiting.id
      }
      // It was begun in between.
    }
    throw new Error(`no job with the key ${job.key} can be enqueued`)
  }

  return {
    enqueue,

    cancel(id: string): Promise<boolean> {
      return database.write(async (tx) => {
        // Locked first: between two looks an attempt may end, and the job wait for the next.
        const [job] = await database.lock(
          tx.select({ state: jobs.state }).from(jobs).where(eq(jobs.id, id)),
        )
        const isWaiting = job?.state === 'ready'
        if (!isWaiting && job?.state !== 'active') return false
        await tx
          .update(jobs)
          .set(
            isWaiting
              ? { ...ended(clock, resultTtlMs), state: 'cancelled' }
              : { isCancelRequested: true },
          )
          .where(eq(jobs.id, id))
        if (!isWaiting) await database.signal(tx, CANCELLED)
        return true
      })
    },

    replay(id: string): Promise<boolean> {
      return database.write(async (tx) => {
        const hasFailed = and(eq(jobs.id, id), IS_FAILED)
        const [job] = await tx.select({ ownerId: jobs.ownerId }).from(jobs).where(hasFailed)
        if (job === undefined) return false
        if (job.ownerId !== null) await requireRoom(tx, job.ownerId)
        const rows = await tx
          .update(jobs)
          .set({
            state: 'ready',
            attempt: 0,
            progress: 0,
            runAt: now(),
            isCancelRequested: false,
            finishedAt: null,
            expiresAt: null,
          })
          .where(hasFailed)
          .returning({ id: jobs.id })
        if (rows.length > 0) await database.signal(tx, READY)
        return rows.length > 0
      })
    },

    async get(id: string): Promise<Job | undefined> {
      const [row] = await database.read.select(visible).from(jobs).where(eq(jobs.id, id))
      return row
    },

    async list(filter: { ownerId?: string; before?: string; limit: number }): Promise<Job[]> {
      const { ownerId, before, limit } = filter
      return database.read
        .select(visible)
        .from(jobs)
        .where(
          and(
            ownerId === undefined ? undefined : eq(jobs.ownerId, ownerId),
            before === undefined ? undefined : lt(jobs.id, before),
          ),
        )
        .orderBy(desc(jobs.id))
        .limit(limit)
    },

    /** How many wait, run and have failed; those that ended well are not worth a walk past all of them. */
    async depth(): Promise<{ ready: number; active: number; failed: number }> {
      const countOf = async (state: SQL) => {
        const [row] = await database.read.select({ n: count() }).from(jobs).where(state)
        return row!.n
      }
      return {
        ready: await countOf(IS_READY),
        active: await countOf(IS_ACTIVE),
        failed: await countOf(IS_FAILED),
      }
    },

    /** Since when the job that is due longest waits. */
    async oldestDueAt(): Promise<Date | undefined> {
      let oldest: Date | undefined
      for (const rank of Object.values(RANK)) {
        const [first] = await database.read
          .select({ runAt: jobs.runAt })
          .from(jobs)
          .where(and(IS_READY, eq(jobs.priority, rank), lte(jobs.runAt, now())))
          .orderBy(asc(jobs.runAt))
          .limit(1)
        if (first !== undefined && (oldest === undefined || first.runAt < oldest)) {
          oldest = first.runAt
        }
      }
      return oldest
    },

    /** The next of the jobs that are to be forgotten. */
    async expired(
      limit: number,
      offset: number,
    ): Promise<Pick<JobRow, 'id' | 'type' | 'result'>[]> {
      return database.read
        .select({ id: jobs.id, type: jobs.type, result: jobs.result })
        .from(jobs)
        .where(lte(jobs.expiresAt, now()))
        .orderBy(asc(jobs.expiresAt))
        .limit(limit)
        .offset(offset)
    },

    async forget(ids: string[]): Promise<void> {
      await database.write(async (tx) => {
        await tx.delete(jobs).where(and(inArray(jobs.id, ids), isNotNull(jobs.finishedAt)))
      })
    },
  }
}

export type Queue = ReturnType<typeof createQueue>
