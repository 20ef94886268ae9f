import { Gauge, type Registry } from 'prom-client'

import type { Clock } from '../clock.ts'
import { tallyCounter, tallyHistogram } from '../tally.ts'
import type { Queue } from './queue.ts'

const STATES = ['ready', 'active', 'failed'] as const
const DURATION_BUCKETS_SECONDS = [0.01, 0.1, 1, 10, 60, 600, 3600]

/** Reads the queue at each scrape. @returns how to tell that an attempt has ended. */
export function createJobMetrics(
  registry: Registry,
  queue: Queue,
  clock: Clock,
): (type: string, state: string, seconds: number) => void {
  const registers = [registry]
  // A scrape is answered also while the database is away.
  const orNaN = (figure: Promise<number>) => figure.catch(() => Number.NaN)
  const states = new Gauge({
    name: 'jobs',
    help: 'Jobs that wait, run, or have failed for good.',
    labelNames: ['state'],
    registers,
    async collect() {
      const depth = queue.depth()
      for (const state of STATES) states.set({ state }, await orNaN(depth.then((of) => of[state])))
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
