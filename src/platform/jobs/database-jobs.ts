import type { Registry } from 'prom-client'

import type { Clock } from '../clock.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../log.ts'
import type { Tracing } from '../tracing/tracing.ts'
import { createJobMetrics } from './job-metrics.ts'
import type { Jobs, JobType, JobUpdate, Lane } from './jobs.ts'
import { createLeases } from './leases.ts'
import { CANCELLED, createQueue, READY } from './queue.ts'
import { createSchedules } from './schedules.ts'
import { JobWorker } from './worker.ts'

const FORGOTTEN_AT_ONCE = 100

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
  /** What one attempt may take. */
  timeoutMs: number
  resultTtlMs: number
  /** Unfinished jobs that one owner may have. */
  unfinishedMax: number
}): Jobs {
  const { database, clock, log, tracing, leaseMs, pollMs, timeoutMs } = deps
  const queue = createQueue(deps)
  const schedules = createSchedules({ database, queue, clock, log })
  const hearing: ((update: JobUpdate) => void)[] = []
  const observe = createJobMetrics(deps.metrics, queue, clock)
  const lanes: { worker: JobWorker; types: Map<string, JobType<unknown>> }[] = []

  function openLane({ concurrency }: { concurrency: number }): Lane {
    const types = new Map<string, JobType<unknown>>()
    const worker = new JobWorker({
      leases: createLeases({ ...deps, types, worker: `${process.pid}-${Bun.randomUUIDv7()}` }),
      types,
      log,
      tracing,
      concurrency,
      leaseMs,
      pollMs,
      timeoutMs,
      observe,
      tell: (update) => {
        for (const hear of hearing) hear(update)
      },
    })
    lanes.push({ worker, types })
    return {
      handle(type, jobType) {
        types.set(type, jobType)
      },
    }
  }

  const main = openLane(deps)
  const typeOf = (type: string) => lanes.find(({ types }) => types.has(type))?.types.get(type)
  const each = (work: (worker: JobWorker) => void) => lanes.forEach(({ worker }) => work(worker))
  const stopListening: (() => Promise<void>)[] = []

  async function dispose({ type, result }: { type: string; result: unknown }): Promise<void> {
    if (result !== null) await typeOf(type)?.dispose?.(result)
  }

  /** Results first: a job that is forgotten before its file would leave the file for ever. */
  async function forgetExpired(): Promise<void> {
    let kept = 0
    for (;;) {
      const jobs = await queue.expired(FORGOTTEN_AT_ONCE, kept)
      const disposed = await Promise.allSettled(jobs.map(dispose))
      const gone = jobs.filter((_, at) => disposed[at]?.status === 'fulfilled')
      if (gone.length > 0) await queue.forget(gone.map(({ id }) => id))
      for (const outcome of disposed) {
        // It stays, and is tried again next time.
        if (outcome.status === 'rejected') {
          log.warn({ error: outcome.reason as unknown }, 'the result of a job can not be removed')
        }
      }
      if (jobs.length < FORGOTTEN_AT_ONCE) return
      kept += jobs.length - gone.length
    }
  }

  const jobs: Jobs = {
    handle: main.handle,
    openLane,
    schedule: schedules.add,
    enqueue: queue.enqueue,
    get: queue.get,
    list: queue.list,
    async cancel(id) {
      const isCancelled = await queue.cancel(id)
      each((worker) => worker.beat())
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
      stopListening.push(await database.listen(READY, () => each((worker) => worker.wake())))
      stopListening.push(await database.listen(CANCELLED, () => each((worker) => worker.beat())))
      each((worker) => worker.start())
      await schedules.start()
    },
    async stop(deadlineMs) {
      // The workers take nothing from now on, and hear of what is cancelled until the end.
      await Promise.all([schedules.stop(), ...lanes.map(({ worker }) => worker.stop(deadlineMs))])
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
