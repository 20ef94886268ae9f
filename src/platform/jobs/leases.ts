import { and, asc, eq, inArray, lt, lte, ne, type Placeholder, sql } from 'drizzle-orm'

import type { Clock } from '../clock.ts'
import type { Database, Writes } from '../database/database.ts'
import { placeholder, preparedFor } from '../database/prepared.ts'
import { backOffMs } from './back-off.ts'
import { READY } from './queue.ts'
import {
  ended,
  IS_ACTIVE,
  IS_READY,
  type JobRow,
  type JobState,
  jobTables,
  RANK,
} from './tables.ts'

/** What the server did by itself, and went well, is of no interest for long. */
const OWNERLESS_TTL_MS = 60 * 60 * 1000
const RECLAIMED_AT_ONCE = 100
const FELL_SILENT = 'The process that did it fell silent.'

/** How an attempt ended. */
export interface Ending {
  id: string
  attempt: number
  ownerId: string | null
  state: Extract<JobState, 'done' | 'failed' | 'cancelled'> | 'retry'
  result?: unknown
  error?: string
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

/**
 * What one worker does to the table: it takes jobs, holds them by leases, and gives them up. What
 * it holds no longer it can't change.
 */
export function createLeases(deps: {
  database: Database
  clock: Clock
  /** Unlike any other process's, now and ever. */
  worker: string
  /** Of the jobs that it can do; one may be added, none is removed. */
  types: ReadonlyMap<string, unknown>
  leaseMs: number
  resultTtlMs: number
}) {
  const { database, clock, worker, types, leaseMs, resultTtlMs } = deps
  const { jobs } = jobTables(database.kit)
  const now = () => new Date(clock.now())
  const later = (ms: number) => new Date(clock.now() + ms)
  const held = and(eq(jobs.worker, worker), IS_ACTIVE)
  const heldOf = (ids: (string | Placeholder)[]) => and(inArray(jobs.id, ids), held)
  /** Back among those that wait; where another one with its key waits by now, it goes on without. */
  const waiting = {
    state: 'ready' as const,
    worker: null,
    leaseUntil: null,
    key: sql<string | null>`case when exists (
      select 1 from ${jobs} as other where other.key = ${jobs.key} and other.state = 'ready'
    ) then null else ${jobs.key} end`,
  }

  const claimStatement = preparedFor((tx) => {
    const due = tx
      .select({ id: jobs.id })
      .from(jobs)
      .where(
        and(
          IS_READY,
          // Said only so that both databases seek in each rank: else they walk past all that wait for their time.
          inArray(jobs.priority, Object.values(RANK)),
          lte(jobs.runAt, placeholder('now', jobs.runAt)),
          inArray(jobs.type, [...types.keys()]),
        ),
      )
      .orderBy(asc(jobs.priority), asc(jobs.runAt))
      .limit(sql.placeholder('limit'))
    return tx
      .update(jobs)
      .set({
        state: 'active',
        worker,
        attempt: sql`${jobs.attempt} + 1`,
        leaseUntil: placeholder('leaseUntil', jobs.leaseUntil),
        startedAt: placeholder('now', jobs.startedAt),
      })
      .where(inArray(jobs.id, database.lock(due, { skipLocked: true })))
      .returning({
        // All columns took a quarter of the time.
        id: jobs.id,
        type: jobs.type,
        payload: jobs.payload,
        progress: jobs.progress,
        attempt: jobs.attempt,
        attemptsMax: jobs.attemptsMax,
        ownerId: jobs.ownerId,
        isCancelRequested: jobs.isCancelRequested,
        traceparent: jobs.traceparent,
      })
      .prepare('claim_jobs')
  })

  /** Of jobs that are done and have no result, as most have none. */
  const finishStatement = preparedFor((tx, count) =>
    tx
      .update(jobs)
      .set({
        state: 'done',
        progress: 1,
        error: null,
        key: null,
        worker: null,
        leaseUntil: null,
        finishedAt: placeholder('now', jobs.finishedAt),
        expiresAt: placeholder('expiresAt', jobs.expiresAt),
      })
      .where(heldOf(Array.from({ length: count }, (_, at) => sql.placeholder(`id${at}`))))
      .prepare(`finish_${count}_jobs`),
  )

  async function claimIn(tx: Writes, limit: number): Promise<ClaimedJob[]> {
    if (limit === 0 || types.size === 0) return []
    const values = { limit, now: now(), leaseUntil: later(leaseMs) }
    return claimStatement(tx, types.size).execute(values)
  }

  async function finishPlain(tx: Writes, endings: Ending[], ttlMs: number): Promise<void> {
    if (endings.length === 0) return
    const ids = Object.fromEntries(endings.map(({ id }, at) => [`id${at}`, id]))
    const values = { ...ids, now: now(), expiresAt: later(ttlMs) }
    await finishStatement(tx, endings.length).execute(values)
  }

  async function finishOne(tx: Writes, ending: Ending): Promise<void> {
    const { id, attempt, state, result, error = null } = ending
    if (state === 'retry') {
      await tx
        .update(jobs)
        .set({ ...waiting, runAt: later(backOffMs(attempt)), error })
        .where(heldOf([id]))
      // Cancelled while it failed: whoever takes it next sees that, so let that be soon.
      await tx
        .update(jobs)
        .set({ runAt: now() })
        .where(and(eq(jobs.id, id), IS_READY, eq(jobs.isCancelRequested, true)))
      return
    }
    const ttlMs = state === 'done' && ending.ownerId === null ? OWNERLESS_TTL_MS : resultTtlMs
    await tx
      .update(jobs)
      .set({
        ...ended(clock, ttlMs),
        state,
        error,
        result: result ?? null,
        ...(state === 'done' ? { progress: 1 } : {}),
      })
      .where(heldOf([id]))
  }

  return {
    /** Takes up to `limit` of the jobs that are due. */
    claim: (limit: number): Promise<ClaimedJob[]> => database.write((tx) => claimIn(tx, limit)),

    /**
     * Writes how attempts ended; what another process has taken over meanwhile is left to it. Takes
     * up to `limit` next jobs in the same transaction: half of what a short job costs are commits.
     */
    finish(endings: readonly Ending[], limit: number): Promise<ClaimedJob[]> {
      return database.write(async (tx) => {
        const plain = endings.filter(
          ({ state, result }) => state === 'done' && result === undefined,
        )
        const isOwned = ({ ownerId }: Ending) => ownerId !== null
        await finishPlain(tx, plain.filter(isOwned), resultTtlMs)
        await finishPlain(
          tx,
          plain.filter((ending) => !isOwned(ending)),
          OWNERLESS_TTL_MS,
        )
        for (const ending of endings) {
          if (!plain.includes(ending)) await finishOne(tx, ending)
        }
        return claimIn(tx, limit)
      })
    },

    /** Prolongs the leases. @returns the ids that are still held, and whether each is to be cancelled. */
    async heartbeat(ids: string[]): Promise<Map<string, boolean>> {
      const rows = await database.write(async (tx) =>
        tx
          .update(jobs)
          .set({ leaseUntil: later(leaseMs) })
          .where(heldOf(ids))
          .returning({ id: jobs.id, isCancelRequested: jobs.isCancelRequested }),
      )
      return new Map(rows.map(({ id, isCancelRequested }) => [id, isCancelRequested]))
    },

    async writeProgress(shares: ReadonlyMap<string, number>): Promise<void> {
      await database.write(async (tx) => {
        for (const [id, progress] of shares) {
          await tx
            .update(jobs)
            .set({ progress })
            .where(heldOf([id]))
        }
      })
    },

    /** Takes back the jobs of other processes that fell silent: what this one does, it knows. */
    reclaim(): Promise<void> {
      return database.write(async (tx) => {
        const silent = await database.lock(
          tx
            .select({ id: jobs.id, attempt: jobs.attempt, attemptsMax: jobs.attemptsMax })
            .from(jobs)
            .where(and(IS_ACTIVE, lt(jobs.leaseUntil, now()), ne(jobs.worker, worker)))
            .limit(RECLAIMED_AT_ONCE),
          { skipLocked: true },
        )
        // One by one: two of them may have the same key, and only one can wait with it.
        for (const { id, attempt, attemptsMax } of silent) {
          const change =
            attempt < attemptsMax
              ? waiting
              : { ...ended(clock, resultTtlMs), state: 'failed' as const }
          await tx
            .update(jobs)
            .set({ ...change, error: FELL_SILENT })
            .where(eq(jobs.id, id))
        }
      })
    },

    /** Gives jobs back as if they had not been taken. */
    async giveBack(ids: string[]): Promise<void> {
      if (ids.length === 0) return
      await database.write(async (tx) => {
        for (const id of ids) {
          await tx
            .update(jobs)
            .set({ ...waiting, attempt: sql`${jobs.attempt} - 1` })
            .where(heldOf([id]))
        }
        await database.signal(tx, READY)
      })
    },
  }
}

export type Leases = ReturnType<typeof createLeases>
