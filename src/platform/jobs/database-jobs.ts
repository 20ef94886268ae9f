import { Cron } from 'croner'
import { Gauge, type Registry } from 'prom-client'

import type { Clock } from '../clock.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../log.ts'
import { tallyCounter, tallyHistogram } from '../tally.ts'
import type { Tracing } from '../tracing/tracing.ts'
import type { Jobs, JobType, JobUpdate, NewJob } from './jobs.ts'
import { CANCELLED, createQueue, READY } from './queue.ts'
import type { JobState } from './tables.ts'
import { JobWorker } from './worker.ts'

const STATES: JobState[] = ['ready', 'active', 'done', 'failed', 'cancelled']
const DURATION_BUCKETS_SECONDS = [0.01, 0.1, 1, 10, 60, 600, 3600]
const FORGOTTEN_AT_ONCE = 100
/** Cron patterns name minutes, or seconds at the finest. */
const SCHEDULE_INTERVAL_MS = 1000

interface Schedule {
  name: string
  cron: Cron
  job: NewJob
  /** The slot that was taken care of last, by this process or another: a second look asks nobody. */
  lookedAt: number | undefined
}

/** Jobs in a table of the database: every process that shares the database shares the work. */
export function createJobs(deps: {
  database: Database
  clock: Clock
  log: Log
  metrics: Registry
  tracing: Tracing
  concurrency: number
  leaseMs: number
  pollMs: number
  resultTtlMs: number
  /** Unfinished jobs that one owner may have. */
  unfinishedMax: number
}): Jobs {
  const { database, clock, log, tracing, leaseMs, pollMs, concurrency } = deps
  const queue = createQueue(deps)
  const types = new Map<string, JobType<unknown>>()
  const schedules: Schedule[] = []
  const hearing: ((update: JobUpdate) => void)[] = []
  const observe = createJobMetrics(deps.metrics, queue, clock)
  const worker = new JobWorker({
    queue,
    types,
    clock,
    log,
    tracing,
    concurrency,
    leaseMs,
    pollMs,
    observe,
    tell: (update) => {
      for (const hear of hearing) hear(update)
    },
  })
  const stopListening: (() => Promise<void>)[] = []
  let scheduleTimer: Timer | undefined

  async function fireWhatIsDue(): Promise<void> {
    for (const schedule of schedules) {
      const { name, cron, job } = schedule
      const [slot] = cron.previousRuns(1, new Date(clock.now() + 1))
      if (slot === undefined || slot.getTime() === schedule.lookedAt) continue
      await queue.fire(name, slot, job)
      schedule.lookedAt = slot.getTime()
    }
  }

  async function dispose({ type, result }: { type: string; result: unknown }): Promise<void> {
    if (result !== null) await types.get(type)?.dispose?.(result)
  }

  /** Results first: a job that is forgotten before its file would leave the file for ever. */
  async function forgetExpired(): Promise<void> {
    for (;;) {
      const jobs = await queue.expired(FORGOTTEN_AT_ONCE)
      const disposed = await Promise.allSettled(jobs.map(dispose))
      const gone = jobs.filter((_, at) => disposed[at]?.status === 'fulfilled')
      if (gone.length > 0) await queue.forget(gone.map(({ id }) => id))
      for (const outcome of disposed) {
        // It stays, and is tried again with the next ones.
        if (outcome.status === 'rejected') {
          log.warn({ error: outcome.reason as unknown }, 'the result of a job can not be removed')
        }
      }
      if (jobs.length < FORGOTTEN_AT_ONCE || gone.length === 0) return
    }
  }

  const jobs: Jobs = {
    handle(type, jobType) {
      types.set(type, jobType)
    },
    schedule(name, pattern, job) {
      schedules.push({
        name,
        cron: new Cron(pattern, { timezone: 'UTC', paused: true }),
        job,
        lookedAt: undefined,
      })
    },
    enqueue: queue.enqueue,
    get: queue.get,
    list: queue.list,
    async cancel(id) {
      const isCancelled = await queue.cancel(id)
      worker.beat()
      return isCancelled
    },
    replay: queue.replay,
    async forget(id) {
      const job = await queue.get(id)
      if (job?.finishedAt == null) return false
      await dispose(job)
      await queue.forget([id])
      return true
    },
    onUpdate(hear) {
      hearing.push(hear)
    },
    async start() {
      for (const { name } of schedules) await queue.addSchedule(name)
      stopListening.push(await database.listen(READY, () => worker.wake()))
      stopListening.push(await database.listen(CANCELLED, () => worker.beat()))
      worker.start()
      scheduleTimer = setInterval(() => {
        fireWhatIsDue().catch((error: unknown) =>
          log.warn({ error }, 'a schedule was not looked at'),
        )
      }, SCHEDULE_INTERVAL_MS)
      scheduleTimer.unref()
    },
    async stop(deadlineMs) {
      clearInterval(scheduleTimer)
      // The worker first: from now on it takes nothing, and hears of what is cancelled until the end.
      await worker.stop(deadlineMs)
      for (const stop of stopListening) await stop()
    },
  }
  jobs.handle('jobs.forget', { run: forgetExpired })
  jobs.schedule('jobs.forget', '*/5 * * * *', {
    type: 'jobs.forget',
    payload: {},
    key: 'jobs.forget',
  })
  return jobs
}

function createJobMetrics(
  registry: Registry,
  queue: ReturnType<typeof createQueue>,
  clock: Clock,
): (type: string, state: string, seconds: number) => void {
  const registers = [registry]
  // A scrape is answered also while the database is away.
  const orNaN = (figure: Promise<number>) => figure.catch(() => Number.NaN)
  const states = new Gauge({
    name: 'jobs',
    help: 'Jobs by state.',
    labelNames: ['state'],
    registers,
    async collect() {
      const counted = queue.countByState()
      for (const state of STATES) {
        states.set({ state }, await orNaN(counted.then((counts) => counts.get(state) ?? 0)))
      }
    },
  })
  const oldest = new Gauge({
    name: 'jobs_oldest_due_age_seconds',
    help: 'How long the job that is due longest has waited.',
    registers,
    async collect() {
      const age = (since: Date | undefined) =>
        since === undefined ? 0 : (clock.now() - since.getTime()) / 1000
      oldest.set(await orNaN(queue.oldestDueAt().then(age)))
    },
  })
  const labelNames = ['type', 'state'] as const
  const ended = tallyCounter({
    name: 'jobs_attempts_total',
    help: 'Attempts at jobs, by how they ended.',
    labelNames,
    registry,
  })
  const duration = tallyHistogram({
    name: 'jobs_attempt_duration_seconds',
    help: 'How long attempts at jobs took.',
    labelNames,
    buckets: DURATION_BUCKETS_SECONDS,
    registry,
  })
  const children = new Map<string, ReturnType<typeof makeChild>>()
  const makeChild = (type: string, state: string) => ({
    ended: ended({ type, state }),
    duration: duration({ type, state }),
  })
  return (type, state, seconds) => {
    const key = `${type}\n${state}`
    let child = children.get(key)
    if (child === undefined) children.set(key, (child = makeChild(type, state)))
    child.ended.inc()
    child.duration.observe(seconds)
  }
}
