import { Gauge, type Registry } from 'prom-client'

import { tallyCounter, tallyHistogram } from '../../platform/tally.ts'
import type { Timings } from './batcher.ts'
import { add, addRun, createModelStats, type ModelStats } from './model-stats.ts'

const LATENCY_BUCKETS_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
]
const DIFFERENCE_BUCKETS = [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.5, 1]
const BATCH_BUCKETS_ROWS = [1, 2, 4, 8, 16, 32, 64, 128]

/** What is measured of one model. */
export interface ModelMetrics extends Timings {
  /** Rows answered, from the cache or not. */
  count(rows: number): void
  latency(seconds: number): void
  /** How long the look-up took. */
  cacheHit(ms: number): void
  cacheMiss(ms: number): void
  batch(rows: number): void
  /** A request that was not answered. */
  failed(seconds: number): void
  /** Of rows that this version was asked for as a shadow. */
  shadowed(result: ShadowResult, rows: number): void
  shadowDifference(difference: number): void
  stats: ModelStats
}

/** How a shadow's rows compare with what was answered. */
type ShadowResult = 'same' | 'different' | 'failed' | 'incomparable'

export function createInferenceMetrics(registry: Registry) {
  const labelNames = ['model', 'version'] as const
  const count = tallyCounter({
    name: 'prediction_count_total',
    help: 'Predicted rows.',
    labelNames,
    registry,
  })
  const latency = tallyHistogram({
    name: 'prediction_latency_seconds',
    help: 'Time from checked features to predictions, the cache included.',
    labelNames,
    buckets: LATENCY_BUCKETS_SECONDS,
    registry,
  })
  const cache = tallyCounter({
    name: 'prediction_cache_total',
    help: 'Look-ups in the prediction cache.',
    labelNames: [...labelNames, 'result'],
    registry,
  })
  const batch = tallyHistogram({
    name: 'prediction_batch_rows',
    help: 'Rows in one call of a model.',
    labelNames,
    buckets: BATCH_BUCKETS_ROWS,
    registry,
  })

  const queue = tallyHistogram({
    name: 'prediction_queue_seconds',
    help: 'Time that a request waits for a thread.',
    labelNames,
    buckets: LATENCY_BUCKETS_SECONDS,
    registry,
  })
  const compute = tallyHistogram({
    name: 'prediction_compute_seconds',
    help: 'Time of one call of a model.',
    labelNames,
    buckets: LATENCY_BUCKETS_SECONDS,
    registry,
  })

  const shadowRows = tallyCounter({
    name: 'prediction_shadow_rows_total',
    help: 'Rows that a shadow version was asked for, and how they compare with what was answered.',
    labelNames: [...labelNames, 'result'],
    registry,
  })
  const shadowDifference = tallyHistogram({
    name: 'prediction_shadow_difference',
    help: 'How far a row of a shadow version is from what was answered: of a probability, or a share of a number.',
    labelNames,
    buckets: DIFFERENCE_BUCKETS,
    registry,
  })

  /** A version is loaded anew while the same is on its way out. */
  const users = new Map<string, number>()

  return {
    /** Reads the queues and the pool at each scrape. */
    watch(read: { queuedRows: () => number; threads: () => number; stuckThreads: () => number }) {
      const gauge = (name: string, help: string, value: () => number) =>
        new Gauge({
          name,
          help,
          registers: [registry],
          collect() {
            this.set(value())
          },
        })
      gauge('prediction_queue_rows', 'Rows that wait for a model.', read.queuedRows)
      gauge('inference_threads', 'Threads that can run a model.', read.threads)
      gauge('inference_threads_stuck', 'Threads that did not answer in time.', read.stuckThreads)
    },
    /** Of a version that is unloaded: series of all that ever served would be scraped for ever. */
    forget(model: string, version: string): void {
      const key = JSON.stringify([model, version])
      const left = (users.get(key) ?? 1) - 1
      if (left > 0) return void users.set(key, left)
      users.delete(key)
      const labels = { model, version }
      for (const each of [count, latency, batch, queue, compute, shadowDifference]) {
        each.forget(labels)
      }
      for (const result of ['hit', 'miss']) cache.forget({ ...labels, result })
      for (const result of ['same', 'different', 'failed', 'incomparable']) {
        shadowRows.forget({ ...labels, result })
      }
    },
    /** Until it is forgotten as often. */
    forModel(model: string, version: string): ModelMetrics {
      const labels = { model, version }
      const key = JSON.stringify([model, version])
      users.set(key, (users.get(key) ?? 0) + 1)
      const counter = count(labels)
      const timer = latency(labels)
      const hit = cache({ ...labels, result: 'hit' })
      const miss = cache({ ...labels, result: 'miss' })
      const batches = batch(labels)
      const waits = queue(labels)
      const runs = compute(labels)
      const differences = shadowDifference(labels)
      const shadows = {
        same: shadowRows({ ...labels, result: 'same' }),
        different: shadowRows({ ...labels, result: 'different' }),
        failed: shadowRows({ ...labels, result: 'failed' }),
        incomparable: shadowRows({ ...labels, result: 'incomparable' }),
      }
      const stats = createModelStats()
      return {
        stats,
        count(rows) {
          counter.inc(rows)
          stats.rows += rows
        },
        shadowed: (result, rows) => shadows[result].inc(rows),
        shadowDifference: (difference) => differences.observe(difference),
        latency(seconds) {
          timer.observe(seconds)
          add(stats.success, seconds * 1000)
        },
        failed: (seconds) => add(stats.fail, seconds * 1000),
        cacheHit(ms) {
          hit.inc()
          add(stats.cacheHit, ms)
        },
        cacheMiss(ms) {
          miss.inc()
          add(stats.cacheMiss, ms)
        },
        batch: (rows) => batches.observe(rows),
        queued(ms) {
          waits.observe(ms / 1000)
          add(stats.queue, ms)
        },
        ran(rows, ms) {
          runs.observe(ms / 1000)
          addRun(stats, rows, ms)
        },
      }
    },
  }
}
