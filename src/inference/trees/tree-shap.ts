import { isMember, look, type TreeEnsemble } from './tree-ensemble.ts'

/**
 * Exact Shapley values of the sums, by the paths of the training data: "path-dependent TreeSHAP" (Lundberg,
 * Erion, Lee 2018, algorithm 2), as LightGBM's `pred_contrib` and XGBoost's `pred_contribs` have it.
 *
 * @param values row by row, `width` a row; NaN is missing.
 * @returns row by row, for each group `width` contributions and then the expected value; with it they sum
 * to what `sumLeaves` says before it divides.
 */
export function contributions(
  ensemble: TreeEnsemble,
  rows: number,
  values: Float64Array,
): Float64Array {
  const { width, groups, roots, groupOf } = ensemble
  const stride = width + 1
  const result = new Float64Array(rows * groups * stride)
  const expected = expectedSums(ensemble)
  const views = new Float64Array(ensemble.viewFeature.length)
  const walker = createWalker(ensemble, views, values)
  for (let row = 0; row < rows; row++) {
    look(ensemble, values, row, 1, views)
    for (let tree = 0; tree < roots.length; tree++) {
      walker.walk(roots[tree]!, row, result, (row * groups + groupOf[tree]!) * stride)
    }
    for (let group = 0; group < groups; group++) {
      result[(row * groups + group) * stride + width] = expected[group]!
    }
  }
  return result
}

/** What the sums are on average over the training data. */
export function expectedSums({ base, roots, groupOf, first, value, cover }: TreeEnsemble) {
  const sums = Float64Array.from(base)
  for (let tree = 0; tree < roots.length; tree++) {
    const root = roots[tree]!
    if (first[root]! < 0) {
      sums[groupOf[tree]!]! += value[root]!
      continue
    }
    let total = 0
    const pending = [root]
    for (let place = pending.pop(); place !== undefined; place = pending.pop()) {
      const next = first[place]!
      if (next < 0) total += value[place]! * cover[place]!
      else pending.push(next, next + 1)
    }
    sums[groupOf[tree]!]! += total / cover[root]!
  }
  return sums
}

/** The features on the way down a tree, each once, with what is known of them. */
interface Path {
  feature: Int32Array
  /** Share of the training data that goes the same way when the feature is not known. */
  zero: Float64Array
  /** 1 where the row goes this way, else 0. */
  one: Float64Array
  /** Sums over subsets of the features, by size. */
  weight: Float64Array
}

function createWalker(ensemble: TreeEnsemble, views: Float64Array, values: Float64Array) {
  const { width, first, view, value, cover, viewFeature, categoryFeature } = ensemble
  // Each level has a copy of its own, one longer than that of its parent.
  const levels = depthOf(ensemble) + 2
  const size = (levels * (levels + 1)) / 2
  const path: Path = {
    feature: new Int32Array(size),
    zero: new Float64Array(size),
    one: new Float64Array(size),
    weight: new Float64Array(size),
  }
  const { feature, zero, one, weight } = path
  let row = 0
  let result: Float64Array = new Float64Array()
  let base = 0

  function descend(
    place: number,
    parentAt: number,
    depth: number,
    parentZero: number,
    parentOne: number,
    parentFeature: number,
  ): void {
    const at = parentAt + depth
    for (let index = 0; index < depth; index++) {
      feature[at + index] = feature[parentAt + index]!
      zero[at + index] = zero[parentAt + index]!
      one[at + index] = one[parentAt + index]!
      weight[at + index] = weight[parentAt + index]!
    }
    extend(path, at, depth, parentZero, parentOne, parentFeature)

    const next = first[place]!
    if (next < 0) {
      for (let index = 1; index <= depth; index++) {
        const share = unwoundSum(path, at, depth, index)
        result[base + feature[at + index]!]! +=
          share * (one[at + index]! - zero[at + index]!) * value[place]!
      }
      return
    }

    const split = view[place]!
    const isNumber = split >= 0
    const asked = isNumber ? viewFeature[split]! : categoryFeature[~split]!
    const isFirst = isNumber
      ? views[split]! <= value[place]!
      : isMember(ensemble, ~split, values[row * width + asked]!)
    const hot = isFirst ? next : next + 1
    const cold = isFirst ? next + 1 : next
    let zeroBefore = 1
    let oneBefore = 1
    let known = depth
    let seen = 1
    while (seen <= depth && feature[at + seen] !== asked) seen++
    if (seen <= depth) {
      zeroBefore = zero[at + seen]!
      oneBefore = one[at + seen]!
      unwind(path, at, depth, seen)
      known -= 1
    }
    const total = cover[place]!
    descend(hot, at, known + 1, (zeroBefore * cover[hot]!) / total, oneBefore, asked)
    descend(cold, at, known + 1, (zeroBefore * cover[cold]!) / total, 0, asked)
  }

  return {
    /** Adds one tree's contributions at `to`. */
    walk(root: number, ofRow: number, into: Float64Array, to: number): void {
      row = ofRow
      result = into
      base = to
      if (first[root]! >= 0) descend(root, 0, 0, 1, 1, -1)
    },
  }
}

function extend(
  { feature, zero, one, weight }: Path,
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

/** Takes a feature out again, as if it had not been met. */
function unwind(
  { feature, zero, one, weight }: Path,
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

/** The sum of the weights that would be left without a feature. */
function unwoundSum({ zero, one, weight }: Path, at: number, depth: number, out: number): number {
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

/** The most splits from a root to a leaf. */
function depthOf({ roots, first }: TreeEnsemble): number {
  let most = 0
  for (const root of roots) {
    const pending = [{ place: root, depth: 0 }]
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      most = Math.max(most, node.depth)
      const next = first[node.place]!
      if (next < 0) continue
      pending.push(
        { place: next, depth: node.depth + 1 },
        { place: next + 1, depth: node.depth + 1 },
      )
    }
  }
  return most
}
