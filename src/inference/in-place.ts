import type { Batcher, IsAbandoned } from './batcher.ts'
import type { TreePredictor } from './trees/tree-predictor.ts'

/** Answers rows for one model: at once, or when its turn comes. */
export type RunModel = (
  rows: number,
  values: Float64Array,
  isAbandoned: IsAbandoned,
) => Float64Array | Promise<Float64Array>

/**
 * Trees are evaluated where they are asked for as long as that takes less than to hand rows to another
 * thread; what would hold up other requests goes there.
 *
 * @param microsecondsMax for one request; 0 sends everything to the threads.
 */
export function inPlace(
  trees: TreePredictor,
  batcher: Batcher,
  options: { microsecondsMax: number; observe: (rows: number) => void },
): RunModel {
  const rowsMax = Math.floor((options.microsecondsMax * 1000) / trees.nsPerRow)
  return (rows, values, isAbandoned) => {
    if (rows > rowsMax) return batcher.predict(rows, values, isAbandoned)
    options.observe(rows)
    return trees.predict(rows, values)
  }
}
