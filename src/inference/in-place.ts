import { beginSpan, type Tracing } from '../platform/tracing/tracing.ts'
import type { Batcher, IsAbandoned, Timings } from './batcher.ts'

/** Answers rows for one model: at once, or when its turn comes. */
export type RunModel = (
  rows: number,
  values: Float64Array,
  isAbandoned: IsAbandoned,
  isUrgent?: boolean,
) => Float64Array | Promise<Float64Array>

/**
 * Trees are evaluated where they are asked for as long as that takes less than to hand rows to another
 * thread; what would hold up other requests goes there.
 */
export function inPlace(
  options: {
    key: string
    /** For one request; 0 sends everything to the threads. */
    microsecondsMax: number
    nsPerRow: number
    tracing: Tracing
    /** Hears the size of each call. */
    observe: (rows: number) => void
    timings: Timings
  },
  run: (rows: number, values: Float64Array) => Float64Array,
  batcher: Batcher,
): RunModel {
  const { key, tracing, observe, timings } = options
  const rowsMax = Math.floor((options.microsecondsMax * 1000) / options.nsPerRow)
  return (rows, values, isAbandoned, isUrgent) => {
    if (rows > rowsMax) return batcher.predict(rows, values, isAbandoned, isUrgent)
    observe(rows)
    const span = beginSpan(tracing, `run ${key}`, 'internal')
    const startedAt = performance.now()
    const answers = run(rows, values)
    timings.ran(rows, performance.now() - startedAt)
    span?.end({ 'model.key': key, 'batch.rows': rows })
    return answers
  }
}
