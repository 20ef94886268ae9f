import type { Kit } from '../database/columns.ts'

export type JobState = 'ready' | 'active' | 'done' | 'failed' | 'cancelled'

export const jobTables = ({ table, column, index, uniqueIndex }: Kit) => ({
  jobs: table(
    'jobs',
    {
      id: column.text().primaryKey(),
      type: column.text().notNull(),
      state: column.text().$type<JobState>().notNull(),
      /** The lowest goes first. */
      priority: column.integer().notNull(),
      /** While it waits, no other with the same key is taken in. */
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
      uniqueIndex('jobs_key').on(job.key),
      index('jobs_claim').on(job.state, job.priority, job.runAt),
      index('jobs_owner').on(job.ownerId, job.id),
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
