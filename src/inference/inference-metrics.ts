import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

const LATENCY_BUCKETS_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
]
const BATCH_BUCKETS_ROWS = [1, 2, 4, 8, 16, 32, 64, 128]

/** What is measured of one model. */
export interface ModelMetrics {
  /** Rows answered, from the cache or not. */
  count(rows: number): void
  latency(seconds: number): void
  cacheHit(): void
  cacheMiss(): void
  batch(rows: number): void
}

export function createInferenceMetrics(registry: Registry) {
  const registers = [registry]
  const labelNames = ['model', 'version'] as const
  const count = new Counter({
    name: 'prediction_count_total',
    help: 'Predicted rows.',
    labelNames,
    registers,
  })
  const latency = new Histogram({
    name: 'prediction_latency_seconds',
    help: 'Time from checked features to predictions, the cache included.',
    labelNames,
    buckets: LATENCY_BUCKETS_SECONDS,
    registers,
  })
  const cache = new Counter({
    name: 'prediction_cache_total',
    help: 'Look-ups in the prediction cache.',
    labelNames: [...labelNames, 'result'],
    registers,
  })
  const batch = new Histogram({
    name: 'prediction_batch_rows',
    help: 'Rows in one call of a model.',
    labelNames,
    buckets: BATCH_BUCKETS_ROWS,
    registers,
  })

  return {
    /** Reads the queues and the pool at each scrape. */
    watch(read: { queuedRows: () => number; threads: () => number; stuckThreads: () => number }) {
      const gauge = (name: string, help: string, value: () => number) =>
        new Gauge({
          name,
          help,
          registers,
          collect() {
            this.set(value())
          },
        })
      gauge('prediction_queue_rows', 'Rows that wait for a model.', read.queuedRows)
      gauge('inference_threads', 'Threads that can run a model.', read.threads)
      gauge('inference_threads_stuck', 'Threads that did not answer in time.', read.stuckThreads)
    },
    forModel(model: string, version: string): ModelMetrics {
      const counter = count.labels(model, version)
      const timer = latency.labels(model, version)
      const hit = cache.labels(model, version, 'hit')
      const miss = cache.labels(model, version, 'miss')
      const batches = batch.labels(model, version)
      return {
        count: (rows) => counter.inc(rows),
        latency: (seconds) => timer.observe(seconds),
        cacheHit: () => hit.inc(),
        cacheMiss: () => miss.inc(),
        batch: (rows) => batches.observe(rows),
      }
    },
  }
}
