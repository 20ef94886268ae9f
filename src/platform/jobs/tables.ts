import { sql } from 'drizzle-orm'

import type { Clock } from '../clock.ts'
import type { Kit } from '../database/columns.ts'
import type { Priority } from './jobs.ts'

export type JobState = 'ready' | 'active' | 'done' | 'failed' | 'cancelled'

/** How priorities are stored: the lowest goes first. */
export const RANK: Record<Priority, number> = { high: 0, normal: 1, low: 2 }

// Spelt out: by a parameter neither database would see that an index of only these will do.
export const IS_READY = sql`state = 'ready'`
export const IS_ACTIVE = sql`state = 'active'`
export const IS_FAILED = sql`state = 'failed'`

export const jobTables = ({ table, column, index, uniqueIndex }: Kit) => ({
  jobs: table(
    'jobs',
    {
      id: column.text().primaryKey(),
      type: column.text().notNull(),
      state: column.text().$type<JobState>().notNull(),
      /** Its {@link RANK}. */
      priority: column.integer().notNull(),
      /** While it waits, for its first attempt or the next, no other with the same key is taken in. */
      key: column.text(),
      payload: column.json<unknown>().notNull(),
      result: column.json<unknown>(),
      /** Why its last attempt failed. */
      error: column.text(),
      /** From 0 to 1. */
      progress: column.real().notNull(),
      attempt: column.integer().notNull(),
      attemptsMax: column.integer().notNull(),
      /** Whose it is; null for the server's own. */
      ownerId: column.text(),
      /** The process that does it, until `leaseUntil`, unless it says that it lives. */
      worker: column.text(),
      leaseUntil: column.timestamp(),
      isCancelRequested: column.boolean().notNull(),
      traceparent: column.text(),
      createdAt: column.timestamp().notNull(),
      /** Not before. */
      runAt: column.timestamp().notNull(),
      startedAt: column.timestamp(),
      finishedAt: column.timestamp(),
      /** When it is forgotten, with its result. */
      expiresAt: column.timestamp(),
    },
    (job) => [
      uniqueIndex('jobs_key').on(job.key).where(IS_READY),
      index('jobs_ready').on(job.priority, job.runAt).where(IS_READY),
      index('jobs_active').on(job.leaseUntil).where(IS_ACTIVE),
      index('jobs_failed').on(job.id).where(IS_FAILED),
      index('jobs_owner').on(job.ownerId, job.id),
      index('jobs_unfinished')
        .on(job.ownerId)
        .where(sql`owner_id is not null and finished_at is null`),
      index('jobs_expires_at').on(job.expiresAt),
    ],
  ),

  schedules: table('job_schedules', {
    name: column.text().primaryKey(),
    /** The last time that it was due and was taken care of. */
    lastSlot: column.timestamp().notNull(),
  }),
})

export type JobRow = ReturnType<typeof jobTables>['jobs']['$inferSelect']

/** What every job that ends is set to. */
export const ended = (clock: Clock, ttlMs: number) => ({
  key: null,
  worker: null,
  leaseUntil: null,
  finishedAt: new Date(clock.now()),
  expiresAt: new Date(clock.now() + ttlMs),
})
