import { join } from 'node:path'

import { Gauge, Histogram, type Registry } from 'prom-client'

import type { Config } from '../../platform/config.ts'
import type { Log } from '../../platform/log.ts'
import { openPartials } from '../../platform/storage/partial.ts'
import { beginSpan, type Tracing } from '../../platform/tracing/tracing.ts'
import { createEngine, type Engine, EngineFull } from './engine.ts'
import { WorkFailed } from './query-process.ts'

/** DuckDB for those who wait for an answer, and for jobs: neither takes the places of the other. */
export interface Engines {
  answers: Engine
  jobs: Engine
}

const BUCKETS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]

/** Both with the means that the settings give each piece of work, measured and traced. */
export function createEngines(deps: {
  config: Config
  log: Log
  metrics: Registry
  tracing: Tracing
}): Engines {
  const { config, log, metrics, tracing } = deps
  const seconds = new Histogram({
    name: 'data_work_seconds',
    help: 'Time of work on data, the wait for its turn included, by what came of it.',
    labelNames: ['engine', 'task', 'outcome'],
    buckets: BUCKETS_SECONDS,
    registers: [metrics],
  })

  const measured = (name: keyof Engines, engine: Engine): Engine => ({
    async run(task, ...rest) {
      const startedAt = performance.now()
      let outcome = 'done'
      const work = () => engine.run(task, ...rest)
      try {
        const span = beginSpan(tracing, `data ${task}`, 'internal')
        return await (span === undefined ? work() : span.run({ 'db.system.name': 'duckdb' }, work))
      } catch (error) {
        outcome = outcomeOf(error)
        throw error
      } finally {
        const taken = (performance.now() - startedAt) / 1000
        seconds.observe({ engine: name, task, outcome }, taken)
      }
    },
    get waiting() {
      return engine.waiting
    },
    close: () => engine.close(),
  })

  const create = (name: keyof Engines, counts: { atOnceMax: number; waitingMax: number }) =>
    measured(
      name,
      createEngine({
        ...counts,
        means: { threads: config.DATA_THREADS, memoryBytesMax: config.DATA_MEMORY_BYTES_MAX },
        spillBytesMax: config.DATA_SPILL_BYTES_MAX,
        partials: openPartials(join(config.DATA_DIR, 'queries')),
        log,
      }),
    )
  const engines = {
    answers: create('answers', {
      atOnceMax: config.DATA_QUERIES_MAX,
      waitingMax: config.DATA_QUEUE_MAX,
    }),
    jobs: create('jobs', {
      atOnceMax: config.DATA_JOBS_MAX,
      // Until the process of one that was given up has ended.
      waitingMax: config.DATA_JOBS_MAX,
    }),
  }
  new Gauge({
    name: 'data_work_waiting',
    help: 'Work on data that waits for its turn.',
    labelNames: ['engine'],
    registers: [metrics],
    collect() {
      for (const [engine, { waiting }] of Object.entries(engines)) this.set({ engine }, waiting)
    },
  })
  return engines
}

function outcomeOf(error: unknown): string {
  if (error instanceof WorkFailed) return error.failure
  return error instanceof EngineFull ? 'full' : 'failed'
}
