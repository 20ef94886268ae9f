import { afterEach, beforeEach } from 'bun:test'

import { Registry } from 'prom-client'

import { createTestClock, type TestClock } from '../../../tests/support/clock.ts'
import type { Database } from '../database/database.ts'
import type { Driver } from '../database/drivers.fixture.ts'
import { openLog } from '../log.ts'
import { createNoTracing } from '../tracing/none.ts'
import { createJobs } from './database-jobs.ts'
import type { Attempt, Job, Jobs, NewJob } from './jobs.ts'

export const SOON_MS = 2000
export const MINUTE_MS = 60_000
export const RESULT_TTL_MS = 7 * 86_400_000
/** No wake-up in these tests comes from the poll, unless one asks for it. */
const NEVER_MS = 1e6

interface Place {
  database: Database
  clock: TestClock
  /** Of the process that was made last. */
  metrics: Registry
  /** What the processes have logged. */
  lines: string[]
  /** Runs a statement past the code under test. */
  execute: (statement: string) => Promise<unknown[]>
}

/** Before each test an empty database, and a way to make processes that share it; each is stopped after. */
export function jobProcesses(driver: Driver) {
  let place: Place
  let created: Awaited<ReturnType<Driver['create']>>
  let opened: Jobs[]

  beforeEach(async () => {
    created = await driver.create()
    const { where } = created
    place = {
      database: await driver.open(where),
      clock: createTestClock(),
      metrics: new Registry(),
      lines: [],
      execute: (statement) => driver.execute(where, statement),
    }
    opened = []
  })
  afterEach(async () => {
    for (const jobs of opened) await jobs.stop(0)
    await place.database.close()
    await created.remove()
  })

  /** What one process has. */
  function createProcess(options: Partial<Parameters<typeof createJobs>[0]> = {}): Jobs {
    const { database, clock, lines } = place
    place.metrics = new Registry()
    const jobs = createJobs({
      database,
      clock,
      metrics: place.metrics,
      tracing: createNoTracing(),
      log: openLog({ LOG_LEVEL: 'warn' }, { write: (line) => void lines.push(line) }).log,
      concurrency: 4,
      leaseMs: 3 * MINUTE_MS,
      pollMs: NEVER_MS,
      timeoutMs: NEVER_MS,
      resultTtlMs: RESULT_TTL_MS,
      unfinishedMax: 100,
      ...options,
    })
    opened.push(jobs)
    return jobs
  }

  const enqueue = (jobs: Jobs, job: Partial<NewJob> = {}) =>
    place.database.write((tx) => jobs.enqueue(tx, { type: 'work', payload: {}, ...job }))

  const untilState = (jobs: Jobs, id: string, state: Job['state']) =>
    until(
      () => jobs.get(id),
      (job) => job?.state === state,
    ) as Promise<Job>

  return { createProcess, enqueue, untilState, at: () => place }
}

export async function until<T>(
  read: () => Promise<T> | T,
  isSo: (value: T) => boolean,
): Promise<T> {
  const deadline = performance.now() + SOON_MS
  for (;;) {
    const value = await read()
    if (isSo(value)) return value
    if (performance.now() > deadline) throw new Error(`it is still ${Bun.inspect(value)}`)
    await Bun.sleep(5)
  }
}

/** A handler that waits for a word of the test. */
export function createGate() {
  const begun: Attempt<unknown>[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  return {
    begun,
    open: resolve,
    untilBegun: (count: number) =>
      until(
        () => begun.length,
        (length) => length >= count,
      ),
    async run(attempt: Attempt<unknown>) {
      begun.push(attempt)
      await Promise.race([
        promise,
        new Promise((_, reject) => {
          attempt.signal.addEventListener('abort', () => reject(attempt.signal.reason as Error))
        }),
      ])
      return attempt.payload
    },
  }
}
