import { isMember, look, type TreeEnsemble } from './tree-ensemble.ts'

/** Bits of a pattern that a row loses where it does not take one way at a split. */
export interface Turn {
  place: number
  isFirst: boolean
  bits: number
}

/** @returns the patterns of a row; the next row overwrites them. */
export type PatternReader = (values: Float64Array, row: number) => Int32Array

/** What rows lose that go one way, in the order of the thresholds that they meet. */
interface Losses {
  /** For each view, or split by category, where its losses begin; and the end of the last. */
  from: Int32Array
  threshold: Float64Array
  pattern: Int32Array
  kept: Int32Array
}

/**
 * Reads from a row which turns it takes, for patterns of 32 bits that begin as ones. Turns are sorted by
 * threshold, and looked at from the end where rows lose bits up to where the row stands, so that what it
 * keeps costs nothing, and a processor guesses right whether it goes on ("QuickScorer", Lucchese 2015).
 *
 * @param patterns for each its turns.
 */
export function createPatternReader(
  ensemble: TreeEnsemble,
  patterns: readonly (readonly Turn[])[],
): PatternReader {
  const { width, viewFeature, categoryFeature } = ensemble
  const views = new Float64Array(viewFeature.length)
  const read = new Int32Array(patterns.length)
  const [goneSecond, goneFirst] = [true, false].map((isFirst) =>
    lossesOf(ensemble, patterns, { isFirst, isByCategory: false }),
  ) as [Losses, Losses]
  const [memberless, member] = [true, false].map((isFirst) =>
    lossesOf(ensemble, patterns, { isFirst, isByCategory: true }),
  ) as [Losses, Losses]

  function lose({ from, threshold, pattern, kept }: Losses, view: number, isFirst: boolean): void {
    const x = views[view]!
    const end = from[view + 1]!
    for (let at = from[view]!; at < end; at++) {
      if (x <= threshold[at]! !== isFirst) break
      read[pattern[at]!]! &= kept[at]!
    }
  }

  function loseAll({ from, pattern, kept }: Losses, split: number): void {
    const end = from[split + 1]!
    for (let at = from[split]!; at < end; at++) read[pattern[at]!]! &= kept[at]!
  }

  return (values, row) => {
    look(ensemble, values, row, 1, views)
    read.fill(-1)
    for (let view = 0; view < views.length; view++) {
      lose(goneSecond, view, false)
      lose(goneFirst, view, true)
    }
    for (let split = 0; split < categoryFeature.length; split++) {
      const x = values[row * width + categoryFeature[split]!]!
      loseAll(isMember(ensemble, split, x) ? member : memberless, split)
    }
    return read
  }
}

/** @param ways.isFirst the way that rows are to take, so that who goes the other loses. */
function lossesOf(
  { view, value, viewFeature, categoryFeature }: TreeEnsemble,
  patterns: readonly (readonly Turn[])[],
  { isFirst, isByCategory }: { isFirst: boolean; isByCategory: boolean },
): Losses {
  // A list a field: objects, a hundred thousand of them, would hold the thread up.
  const patternOf: number[] = []
  const turns: Turn[] = []
  for (const [pattern, all] of patterns.entries()) {
    for (const turn of all) {
      if (turn.isFirst !== isFirst || view[turn.place]! < 0 !== isByCategory) continue
      // Nothing is at most NaN: who is to go second does so, and who is to go first loses before all others.
      if (!isFirst && Number.isNaN(value[turn.place]!)) continue
      patternOf.push(pattern)
      turns.push(turn)
    }
  }
  const by = Int32Array.from(turns, ({ place }) => (isByCategory ? ~view[place]! : view[place]!))
  const thresholds = Float64Array.from(turns, ({ place }) => value[place]!)
  const order = Uint32Array.from(turns.keys()).toSorted((a, b) => {
    const difference = by[a]! - by[b]!
    if (difference !== 0) return difference
    return isFirst
      ? ascending(thresholds[a]!, thresholds[b]!)
      : ascending(thresholds[b]!, thresholds[a]!)
  })
  const from = new Int32Array((isByCategory ? categoryFeature : viewFeature).length + 1)
  for (const index of by) from[index + 1]! += 1
  for (let at = 1; at < from.length; at++) from[at]! += from[at - 1]!
  return {
    from,
    threshold: Float64Array.from(order, (at) => thresholds[at]!),
    pattern: Int32Array.from(order, (at) => patternOf[at]!),
    kept: Int32Array.from(order, (at) => ~turns[at]!.bits),
  }
}

/** NaN first; two that are infinite alike are equal, which their difference does not say. */
function ascending(one: number, other: number): number {
  if (Number.isNaN(one) || Number.isNaN(other))
    return Number(Number.isNaN(other)) - Number(Number.isNaN(one))
  return one === other ? 0 : one - other
}
