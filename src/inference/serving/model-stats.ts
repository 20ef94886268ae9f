/** How often, and how long in all. */
export interface Duration {
  count: number
  ns: number
}

const NS_PER_MS = 1e6

/** Counts since the start, of one model, as the statistics extension of the Open Inference Protocol has them. */
export interface ModelStats {
  /** When it was asked last, in milliseconds since the Unix epoch; 0 for never. */
  lastInference: number
  /** Rows that were answered, from the cache or not. */
  rows: number
  /** Rows, and calls of the model; what came from the cache counts in neither. */
  inferenceCount: number
  executionCount: number
  success: Duration
  fail: Duration
  queue: Duration
  compute: Duration
  cacheHit: Duration
  cacheMiss: Duration
  /** Calls by how many rows they had. */
  batches: Map<number, Duration>
}

const none = (): Duration => ({ count: 0, ns: 0 })

export const createModelStats = (): ModelStats => ({
  lastInference: 0,
  rows: 0,
  inferenceCount: 0,
  executionCount: 0,
  success: none(),
  fail: none(),
  queue: none(),
  compute: none(),
  cacheHit: none(),
  cacheMiss: none(),
  batches: new Map(),
})

export function add(duration: Duration, ms: number): void {
  duration.count += 1
  duration.ns += Math.round(ms * NS_PER_MS)
}

/** Of a call of the model. */
export function addRun(stats: ModelStats, rows: number, ms: number): void {
  stats.inferenceCount += rows
  stats.executionCount += 1
  add(stats.compute, ms)
  const known = stats.batches.get(rows)
  const batch = known ?? none()
  if (known === undefined) stats.batches.set(rows, batch)
  add(batch, ms)
}
