import { Cron } from 'croner'
import { and, eq, lt } from 'drizzle-orm'

import type { Clock } from '../clock.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../log.ts'
import type { NewJob } from './jobs.ts'
import type { Queue } from './queue.ts'
import { jobTables } from './tables.ts'

/** Cron patterns name minutes, or seconds at the finest. */
const INTERVAL_MS = 1000

interface Schedule {
  name: string
  cron: Cron
  job: NewJob
  /** The slot that was taken care of last, by this process or another: a second look asks nobody. */
  lookedAt: number | undefined
}

/** Enqueues jobs at the times that cron patterns name: a slot once, by whichever process is first. */
export function createSchedules(deps: {
  database: Database
  queue: Queue
  clock: Clock
  log: Log
}) {
  const { database, queue, clock, log } = deps
  const { schedules } = jobTables(database.kit)
  const known: Schedule[] = []
  let timer: Timer | undefined
  let looking: Promise<void> | undefined
  let isLookedAt = true

  /** Begins to count the times from now, unless another process has begun already. */
  const begin = (name: string) =>
    database.write(async (tx) => {
      await tx
        .insert(schedules)
        .values({ name, lastSlot: new Date(clock.now()) })
        .onConflictDoNothing({ target: schedules.name })
    })

  /** Enqueues the job of a slot unless that, or a later one, has been taken care of. */
  const fire = (name: string, slot: Date, job: NewJob) =>
    database.write(async (tx) => {
      const rows = await tx
        .update(schedules)
        .set({ lastSlot: slot })
        .where(and(eq(schedules.name, name), lt(schedules.lastSlot, slot)))
        .returning({ name: schedules.name })
      if (rows.length > 0) await queue.enqueue(tx, job)
    })

  async function fireWhatIsDue(): Promise<void> {
    for (const schedule of known) {
      const { name, cron, job } = schedule
      const [slot] = cron.previousRuns(1, new Date(clock.now() + 1))
      if (slot === undefined || slot.getTime() === schedule.lookedAt) continue
      await fire(name, slot, job)
      schedule.lookedAt = slot.getTime()
    }
  }

  /** The database may be away for a while: that is said once. */
  async function look(): Promise<void> {
    try {
      await fireWhatIsDue()
      isLookedAt = true
    } catch (error) {
      if (isLookedAt) log.warn({ error }, 'the schedules can not be looked at')
      isLookedAt = false
    }
    looking = undefined
  }

  return {
    add(name: string, pattern: string, job: NewJob): void {
      const cron = new Cron(pattern, { timezone: 'UTC', paused: true })
      known.push({ name, cron, job, lookedAt: undefined })
    },
    async start(): Promise<void> {
      for (const { name } of known) await begin(name)
      timer = setInterval(() => void (looking ??= look()), INTERVAL_MS)
      timer.unref()
    },
    async stop(): Promise<void> {
      clearInterval(timer)
      await looking
    },
  }
}
