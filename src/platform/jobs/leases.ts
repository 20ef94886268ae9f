import {
  and,
  asc,
  eq,
  inArray,
  lt,
  lte,
  ne,
  notInArray,
  or,
  type Placeholder,
  sql,
} from 'drizzle-orm'

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

/** An attempt at a job: not another one at the same, which may be under way by now. */
export interface HeldJob {
  id: string
  attempt: number
}

/** How an attempt ended. */
export interface Ending extends HeldJob {
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
  const heldOne = ({ id, attempt }: HeldJob) =>
    and(eq(jobs.id, id), eq(jobs.attempt, attempt), held)
  /**
   * Back among those that wait. It goes on without its key where another one waits with it by now,
   * and where it is only to be cancelled.
   */
  const waiting = {
    state: 'ready' as const,
    worker: null,
    leaseUntil: null,
    key: sql<string | null>`case when ${jobs.isCancelRequested} or exists (
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
      .prepare(`claim_jobs_of_${types.size}`)
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
      .where(
        and(
          heldOf(Array.from({ length: count }, (_, at) => sql.placeholder(`id${at}`))),
          eq(jobs.attempt, sql.placeholder('attempt')),
        ),
      )
      .prepare(`finish_${count}_jobs`),
  )

  async function claimIn(tx: Writes, limit: number): Promise<ClaimedJob[]> {
    if (limit === 0 || types.size === 0) return []
    const values = { limit, now: now(), leaseUntil: later(leaseMs) }
    return claimStatement(tx, types.size).execute(values)
  }

  const ttlOf = ({ state, ownerId }: Ending) =>
    state === 'done' && ownerId === null ? OWNERLESS_TTL_MS : resultTtlMs

  /** Of the same attempt, most often the first, and with the same time to live. */
  async function finishPlain(tx: Writes, endings: Ending[]): Promise<void> {
    const [{ attempt }] = endings as [Ending]
    const ids = Object.fromEntries(endings.map(({ id }, at) => [`id${at}`, id]))
    const values = { ...ids, attempt, now: now(), expiresAt: later(ttlOf(endings[0]!)) }
    await finishStatement(tx, endings.length).execute(values)
  }

  async function finishOne(tx: Writes, ending: Ending): Promise<void> {
    const { id, attempt, state, result, error = null } = ending
    if (state === 'retry') {
      await tx
        .update(jobs)
        .set({ ...waiting, runAt: later(backOffMs(attempt)), error })
        .where(heldOne(ending))
      // Cancelled while it failed: whoever takes it next sees that, so let that be soon.
      await tx
        .update(jobs)
        .set({ runAt: now() })
        .where(and(eq(jobs.id, id), IS_READY, eq(jobs.isCancelRequested, true)))
      return
    }
    await tx
      .update(jobs)
      .set({
        ...ended(clock, ttlOf(ending)),
        state,
        error,
        result: result ?? null,
        ...(state === 'done' ? { progress: 1 } : {}),
      })
      .where(heldOne(ending))
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
        const alike = Map.groupBy(plain, (ending) => `${ending.attempt} ${ttlOf(ending)}`)
        for (const group of alike.values()) await finishPlain(tx, group)
        for (const ending of endings) {
          if (!plain.includes(ending)) await finishOne(tx, ending)
        }
        return claimIn(tx, limit)
      })
    },

    /** Prolongs the leases. @returns what is still held, and whether each is to be cancelled. */
    async heartbeat(
      ids: string[],
    ): Promise<Map<string, { attempt: number; isCancelled: boolean }>> {
      const rows = await database.write(async (tx) =>
        tx
          .update(jobs)
          .set({ leaseUntil: later(leaseMs) })
          .where(heldOf(ids))
          .returning({
            id: jobs.id,
            attempt: jobs.attempt,
            isCancelled: jobs.isCancelRequested,
          }),
      )
      return new Map(rows.map(({ id, attempt, isCancelled }) => [id, { attempt, isCancelled }]))
    },

    async writeProgress(shares: ReadonlyMap<HeldJob, number>): Promise<void> {
      await database.write(async (tx) => {
        for (const [job, progress] of shares) {
          await tx.update(jobs).set({ progress }).where(heldOne(job))
        }
      })
    },

    /**
     * Takes back the jobs of processes that fell silent. Of its own the worker names those that it
     * does: what it says of them may be on its way.
     */
    reclaim(own: string[]): Promise<void> {
      const isLost = or(ne(jobs.worker, worker), notInArray(jobs.id, own))
      return database.write(async (tx) => {
        const silent = await database.lock(
          tx
            .select({ id: jobs.id, attempt: jobs.attempt, attemptsMax: jobs.attemptsMax })
            .from(jobs)
            .where(and(IS_ACTIVE, lt(jobs.leaseUntil, now()), isLost))
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
    async giveBack(held: HeldJob[]): Promise<void> {
      if (held.length === 0) return
      await database.write(async (tx) => {
        for (const job of held) {
          await tx
            .update(jobs)
            .set({ ...waiting, attempt: sql`${jobs.attempt} - 1` })
            .where(heldOne(job))
        }
        await database.signal(tx, READY)
      })
    },
  }
}

export type Leases = ReturnType<typeof createLeases>
