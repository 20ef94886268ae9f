import { copyPath, createShapPath, extend, unwind, unwoundSum } from './shap-walk.ts'
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
  const { width, groups, roots, groupOf, value } = ensemble
  const stride = width + 1
  const result = new Float64Array(rows * groups * stride)
  const expected = expectedSums(ensemble)
  const views = new Float64Array(ensemble.viewFeature.length)
  let row = 0
  let base = 0
  const { view, categoryFeature } = ensemble
  const walk = createShapWalker(ensemble, {
    isFirst(place) {
      const split = view[place]!
      return split >= 0
        ? views[split]! <= value[place]!
        : isMember(ensemble, ~split, values[row * width + categoryFeature[~split]!]!)
    },
    add(feature, share) {
      result[base + feature]! += share
    },
  })
  for (row = 0; row < rows; row++) {
    look(ensemble, values, row, 1, views)
    for (let tree = 0; tree < roots.length; tree++) {
      base = (row * groups + groupOf[tree]!) * stride
      walk.tree(roots[tree]!)
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

/** A feature that was asked on the way to a node. */
export interface Asked {
  feature: number
  /** Share of the training data that went this way at its splits. */
  zero: number
}

export interface ShapWalker {
  /** All leaves of a tree. */
  tree(root: number): void
  /** The leaves below a node. @param ones for each that was asked on the way, 1 where the row goes this way. */
  below(place: number, asked: readonly Asked[], ones: (index: number) => number): void
}

/**
 * Walks down trees both ways at each split, the way of the row and the other.
 *
 * @param row.isFirst which way the row goes at a split.
 * @param row.add hears what each leaf gives each feature.
 */
export function createShapWalker(
  ensemble: TreeEnsemble,
  row: { isFirst: (place: number) => boolean; add: (feature: number, share: number) => void },
): ShapWalker {
  const { first, view, value, cover, viewFeature, categoryFeature } = ensemble
  const path = createShapPath(depthOf(ensemble))
  const { feature, zero, one } = path

  function visit(place: number, at: number, depth: number): void {
    const next = first[place]!
    if (next < 0) {
      for (let index = 1; index <= depth; index++) {
        const share = unwoundSum(path, at, depth, index)
        row.add(
          feature[at + index]!,
          share * (one[at + index]! - zero[at + index]!) * value[place]!,
        )
      }
      return
    }

    const split = view[place]!
    const asked = split >= 0 ? viewFeature[split]! : categoryFeature[~split]!
    const isFirst = row.isFirst(place)
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
    enter(hot, at, known + 1, (zeroBefore * cover[hot]!) / total, oneBefore, asked)
    enter(cold, at, known + 1, (zeroBefore * cover[cold]!) / total, 0, asked)
  }

  function enter(
    place: number,
    parentAt: number,
    depth: number,
    zeroFraction: number,
    oneFraction: number,
    asked: number,
  ): void {
    const at = parentAt + depth
    copyPath(path, parentAt, at, depth)
    extend(path, at, depth, zeroFraction, oneFraction, asked)
    visit(place, at, depth)
  }

  return {
    tree(root) {
      if (first[root]! >= 0) enter(root, 0, 0, 1, 1, -1)
    },
    below(place, asked, ones) {
      extend(path, 0, 0, 1, 1, -1)
      for (let index = 0; index < asked.length; index++) {
        const { feature: of, zero: share } = asked[index]!
        extend(path, 0, index + 1, share, ones(index), of)
      }
      visit(place, 0, asked.length)
    },
  }
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
