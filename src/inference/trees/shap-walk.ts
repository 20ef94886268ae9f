/** The features on the way down a tree, each once, with what is known of them. */
export interface ShapPath {
  feature: Int32Array
  /** Share of the training data that goes the same way when the feature is not known. */
  zero: Float64Array
  /** 1 where the row goes this way, else 0. */
  one: Float64Array
  /** Sums over subsets of the features, by size. */
  weight: Float64Array
}

/** Each level has a copy of its own, one longer than that of its parent. */
export function createShapPath(depth: number): ShapPath {
  const levels = depth + 2
  const size = (levels * (levels + 1)) / 2
  return {
    feature: new Int32Array(size),
    zero: new Float64Array(size),
    one: new Float64Array(size),
    weight: new Float64Array(size),
  }
}

/** Copies `length` features from one level to the next. */
export function copyPath(
  { feature, zero, one, weight }: ShapPath,
  from: number,
  to: number,
  length: number,
): void {
  for (let index = 0; index < length; index++) {
    feature[to + index] = feature[from + index]!
    zero[to + index] = zero[from + index]!
    one[to + index] = one[from + index]!
    weight[to + index] = weight[from + index]!
  }
}

/** Adds a feature; `at` is where the path begins, and `depth` how many it has. */
export function extend(
  { feature, zero, one, weight }: ShapPath,
  at: number,
  depth: number,
  zeroFraction: number,
  oneFraction: number,
  asked: number,
): void {
  feature[at + depth] = asked
  zero[at + depth] = zeroFraction
  one[at + depth] = oneFraction
  weight[at + depth] = depth === 0 ? 1 : 0
  for (let index = depth - 1; index >= 0; index--) {
    weight[at + index + 1]! += (oneFraction * weight[at + index]! * (index + 1)) / (depth + 1)
    weight[at + index] = (zeroFraction * weight[at + index]! * (depth - index)) / (depth + 1)
  }
}

/** Takes the feature at position `out` out again, as if it had not been met. */
export function unwind(
  { feature, zero, one, weight }: ShapPath,
  at: number,
  depth: number,
  out: number,
): void {
  const oneFraction = one[at + out]!
  const zeroFraction = zero[at + out]!
  let next = weight[at + depth]!
  for (let index = depth - 1; index >= 0; index--) {
    if (oneFraction !== 0) {
      const before = weight[at + index]!
      weight[at + index] = (next * (depth + 1)) / ((index + 1) * oneFraction)
      next = before - (weight[at + index]! * zeroFraction * (depth - index)) / (depth + 1)
    } else {
      weight[at + index] = (weight[at + index]! * (depth + 1)) / (zeroFraction * (depth - index))
    }
  }
  for (let index = out; index < depth; index++) {
    feature[at + index] = feature[at + index + 1]!
    zero[at + index] = zero[at + index + 1]!
    one[at + index] = one[at + index + 1]!
  }
}

/** The sum of the weights that would be left without the feature at position `out`. */
export function unwoundSum(
  { zero, one, weight }: ShapPath,
  at: number,
  depth: number,
  out: number,
): number {
  const oneFraction = one[at + out]!
  const zeroFraction = zero[at + out]!
  let next = weight[at + depth]!
  let total = 0
  for (let index = depth - 1; index >= 0; index--) {
    if (oneFraction !== 0) {
      const share = (next * (depth + 1)) / ((index + 1) * oneFraction)
      total += share
      next = weight[at + index]! - (share * zeroFraction * (depth - index)) / (depth + 1)
    } else if (zeroFraction !== 0) {
      total += (weight[at + index]! * (depth + 1)) / (zeroFraction * (depth - index))
    }
  }
  return total
}
