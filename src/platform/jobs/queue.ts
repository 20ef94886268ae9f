import { and, asc, count, desc, eq, inArray, isNotNull, lt, lte, ne, sql } from 'drizzle-orm'

import type { Clock } from '../clock.ts'
import type { Database, Writes } from '../database/database.ts'
import { currentTraceparent } from '../tracing/tracing.ts'
import { backOffMs } from './back-off.ts'
import { type Job, type NewJob, type Priority, TooManyJobs } from './jobs.ts'
import { type JobRow, type JobState, jobTables } from './tables.ts'

/** Signalled where a job became ready, and where one that runs is to stop. */
export const READY = 'jobs.ready'
export const CANCELLED = 'jobs.cancelled'

const ATTEMPTS_MAX = 5
const RANK: Record<Priority, number> = { high: 0, normal: 1, low: 2 }
const ENQUEUE_TRIES_MAX = 5

/** How an attempt ended. */
export interface Ending {
  id: string
  attempt: number
  state: Extract<JobState, 'done' | 'failed' | 'cancelled'> | 'retry'
  result?: unknown
  error?: string
}

/** Which jobs a worker would take, and how many. */
export interface Demand {
  types: string[]
  limit: number
}

/** A job as the worker that took it sees it. */
export type ClaimedJob = Pick<
  JobRow,
  | 'id'
  | 'type'
  | 'payload'
  | 'progress'
  | 'attempt'
  | 'attemptsMax'
  | 'ownerId'
  | 'isCancelRequested'
  | 'traceparent'
>

/** The table of jobs: every statement that is made on it, the same on both databases. */
export function createQueue(deps: {
  database: Database
  clock: Clock
  leaseMs: number
  resultTtlMs: number
  unfinishedMax: number
}) {
  const { database, clock, leaseMs, resultTtlMs, unfinishedMax } = deps
  const { jobs, schedules } = jobTables(database.kit)
  const now = () => new Date(clock.now())
  const later = (ms: number) => new Date(clock.now() + ms)
  const held = (worker: string) => and(eq(jobs.worker, worker), eq(jobs.state, 'active'))
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
  /** What a worker needs of a job: to read all of them took a quarter of the time. */
  const claimed = {
    id: jobs.id,
    type: jobs.type,
    payload: jobs.payload,
    progress: jobs.progress,
    attempt: jobs.attempt,
    attemptsMax: jobs.attemptsMax,
    ownerId: jobs.ownerId,
    isCancelRequested: jobs.isCancelRequested,
    traceparent: jobs.traceparent,
  }
  /** What every job that ends is set to. */
  const ended = () => ({
    key: null,
    worker: null,
    leaseUntil: null,
    finishedAt: now(),
    expiresAt: later(resultTtlMs),
  })

  async function countUnfinished(tx: Writes, ownerId: string): Promise<number> {
    const [row] = await tx
      .select({ n: count() })
      .from(jobs)
      .where(and(eq(jobs.ownerId, ownerId), inArray(jobs.state, ['ready', 'active'])))
    return row?.n ?? 0
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
      .onConflictDoNothing({ target: jobs.key })
      .returning({ id: jobs.id })
    return row?.id
  }

  async function enqueue(tx: Writes, job: NewJob): Promise<string> {
    if (job.ownerId !== undefined && (await countUnfinished(tx, job.ownerId)) >= unfinishedMax) {
      throw new TooManyJobs(unfinishedMax)
    }
    for (let tries = 0; tries < ENQUEUE_TRIES_MAX; tries += 1) {
      const id = await insert(tx, job)
      if (id !== undefined) {
        await database.signal(tx, READY)
        return id
      }
      const [waiting] = await tx.select({ id: jobs.id }).from(jobs).where(eq(jobs.key, job.key!))
      // None when it was begun in between.
      if (waiting !== undefined) return waiting.id
    }
    throw new Error(`no job with the key ${job.key} can be enqueued`)
  }

  return {
    enqueue,

    /** Takes up to `limit` of the jobs that are due. A key is free again as soon as its job is taken. */
    claim(worker: string, demand: Demand): Promise<ClaimedJob[]> {
      return database.write((tx) => claimIn(tx, worker, demand))
    },

    /**
     * Writes how attempts ended; what another process has taken over meanwhile is left to it. Takes
     * the next jobs in the same transaction, since half of what a short job costs are the commits.
     */
    finish(worker: string, endings: readonly Ending[], demand: Demand): Promise<ClaimedJob[]> {
      return database.write(async (tx) => {
        const plain = endings.filter(
          ({ state, result }) => state === 'done' && result === undefined,
        )
        if (plain.length > 0) {
          const ids = plain.map(({ id }) => id)
          await tx
            .update(jobs)
            .set({ ...ended(), state: 'done', progress: 1, error: null })
            .where(and(inArray(jobs.id, ids), held(worker)))
        }
        for (const ending of endings) {
          if (!plain.includes(ending)) await finishOne(tx, worker, ending)
        }
        return claimIn(tx, worker, demand)
      })
    },

    /** Prolongs the leases. @returns the ids that are still held, and whether each is to be cancelled. */
    async heartbeat(worker: string, ids: string[]): Promise<Map<string, boolean>> {
      const rows = await database.write(async (tx) =>
        tx
          .update(jobs)
          .set({ leaseUntil: later(leaseMs) })
          .where(and(inArray(jobs.id, ids), held(worker)))
          .returning({ id: jobs.id, isCancelRequested: jobs.isCancelRequested }),
      )
      return new Map(rows.map(({ id, isCancelRequested }) => [id, isCancelRequested]))
    },

    async writeProgress(worker: string, id: string, progress: number): Promise<void> {
      await database.write(async (tx) => {
        await tx
          .update(jobs)
          .set({ progress })
          .where(and(eq(jobs.id, id), held(worker)))
      })
    },

    /** Takes back the jobs of other processes that fell silent: what `worker` itself does, it knows. */
    reclaim(worker: string): Promise<void> {
      return database.write(async (tx) => {
        const silent = and(
          eq(jobs.state, 'active'),
          lt(jobs.leaseUntil, now()),
          ne(jobs.worker, worker),
        )
        const lost = 'The process that did it fell silent.'
        await tx
          .update(jobs)
          .set({ ...ended(), state: 'failed', error: lost })
          .where(and(silent, sql`${jobs.attempt} >= ${jobs.attemptsMax}`))
        await tx
          .update(jobs)
          .set({ state: 'ready', worker: null, leaseUntil: null, error: lost })
          .where(silent)
      })
    },

    /** Gives jobs back as if they had not been taken. */
    async giveBack(worker: string, ids: string[]): Promise<void> {
      if (ids.length === 0) return
      await database.write(async (tx) => {
        await tx
          .update(jobs)
          .set({
            state: 'ready',
            worker: null,
            leaseUntil: null,
            attempt: sql`${jobs.attempt} - 1`,
          })
          .where(and(inArray(jobs.id, ids), held(worker)))
        await database.signal(tx, READY)
      })
    },

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
          .set(isWaiting ? { ...ended(), state: 'cancelled' } : { isCancelRequested: true })
          .where(eq(jobs.id, id))
        if (!isWaiting) await database.signal(tx, CANCELLED)
        return true
      })
    },

    replay(id: string): Promise<boolean> {
      return database.write(async (tx) => {
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
          .where(and(eq(jobs.id, id), eq(jobs.state, 'failed')))
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

    async countByState(): Promise<Map<JobState, number>> {
      const rows = await database.read
        .select({ state: jobs.state, n: count() })
        .from(jobs)
        .groupBy(jobs.state)
      return new Map(rows.map(({ state, n }) => [state, n]))
    },

    /** Since when the job that is due longest waits. */
    async oldestDueAt(): Promise<Date | undefined> {
      const [oldest] = await database.read
        .select({ runAt: jobs.runAt })
        .from(jobs)
        .where(and(eq(jobs.state, 'ready'), lte(jobs.runAt, now())))
        .orderBy(asc(jobs.runAt))
        .limit(1)
      return oldest?.runAt
    },

    /** The next of the jobs that are to be forgotten. */
    async expired(limit: number): Promise<Pick<JobRow, 'id' | 'type' | 'result'>[]> {
      return database.read
        .select({ id: jobs.id, type: jobs.type, result: jobs.result })
        .from(jobs)
        .where(lte(jobs.expiresAt, now()))
        .orderBy(asc(jobs.expiresAt))
        .limit(limit)
    },

    async forget(ids: string[]): Promise<void> {
      await database.write(async (tx) => {
        await tx.delete(jobs).where(and(inArray(jobs.id, ids), isNotNull(jobs.finishedAt)))
      })
    },

    /** Begins to count the times of a schedule from now, unless another process has begun already. */
    async addSchedule(name: string): Promise<void> {
      await database.write(async (tx) => {
        await tx
          .insert(schedules)
          .values({ name, lastSlot: now() })
          .onConflictDoNothing({ target: schedules.name })
      })
    },

    /** Enqueues the job of a slot unless that, or a later one, has been taken care of. */
    fire(name: string, slot: Date, job: NewJob): Promise<void> {
      return database.write(async (tx) => {
        const rows = await tx
          .update(schedules)
          .set({ lastSlot: slot })
          .where(and(eq(schedules.name, name), lt(schedules.lastSlot, slot)))
          .returning({ name: schedules.name })
        if (rows.length > 0) await enqueue(tx, job)
      })
    },
  }

  async function claimIn(tx: Writes, worker: string, { types, limit }: Demand) {
    if (limit === 0 || types.length === 0) return []
    const due = tx
      .select({ id: jobs.id })
      .from(jobs)
      .where(and(eq(jobs.state, 'ready'), lte(jobs.runAt, now()), inArray(jobs.type, types)))
      .orderBy(asc(jobs.priority), asc(jobs.runAt))
      .limit(limit)
    return tx
      .update(jobs)
      .set({
        state: 'active',
        key: null,
        worker,
        attempt: sql`${jobs.attempt} + 1`,
        leaseUntil: later(leaseMs),
        startedAt: now(),
      })
      .where(inArray(jobs.id, database.lock(due, { skipLocked: true })))
      .returning(claimed)
  }

  async function finishOne(tx: Writes, worker: string, ending: Ending): Promise<void> {
    const { id, attempt, state, result, error = null } = ending
    const change =
      state === 'retry'
        ? {
            state: 'ready' as const,
            worker: null,
            leaseUntil: null,
            runAt: later(backOffMs(attempt)),
            error,
          }
        : {
            ...ended(),
            state,
            error,
            result: result ?? null,
            ...(state === 'done' ? { progress: 1 } : {}),
          }
    await tx
      .update(jobs)
      .set(change)
      .where(and(eq(jobs.id, id), held(worker)))
  }
}

export type Queue = ReturnType<typeof createQueue>
