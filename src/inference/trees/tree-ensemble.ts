/**
 * Decision trees that are added up, as typed arrays.
 *
 * Nodes of all trees lie in one row of places. A split's two children are neighbours, so that a step is
 * one comparison: `place = first[place] + (row[view[place]] <= value[place] ? 0 : 1)`. A leaf has a
 * negative `first`, and its value in `value`.
 *
 * A comparison with NaN says no, so a missing value goes to the second child by itself. Where it is to go
 * to the first, the children are exchanged and both sides negated: `x > t` is `-x <= -next(t)`. What a
 * comparison reads is therefore a view of a feature, computed once a row: the feature or its negative, and
 * zero taken for missing or not.
 */
export interface TreeEnsemble {
  /** Features in a row. */
  width: number
  /** Sums a row gets: one, or one a class or a target. */
  groups: number
  /** Whether inputs are rounded to float32 and sums are kept in it, as XGBoost does. */
  isFloat32: boolean
  /** What the sums begin with, `groups` numbers. */
  base: Float64Array
  /** Sums are divided by it in the end. */
  divisor: number
  /** Of each tree, where it begins and which sum it adds to. */
  roots: Int32Array
  groupOf: Int32Array
  /** Of each node: where its children are, or -1 for a leaf. */
  first: Int32Array
  /** Of a split: its view, or `~c` for the category split `c`. */
  view: Int32Array
  /** The largest number that goes to the first child; of a leaf what it adds. */
  value: Float64Array
  /** Of each node: how much of the training data came by. */
  cover: Float64Array
  /** Of each view: its feature, and `NEGATED | ZERO_IS_MISSING`. */
  viewFeature: Int32Array
  viewFlags: Uint8Array
  /** Of each category split: its feature, the words of its set, and whether missing values are of the set. */
  categoryFeature: Int32Array
  categoryFrom: Int32Array
  categoryTo: Int32Array
  categoryMissing: Uint8Array
  /** Sets of categories, 32 a word: who is in goes to the first child. */
  words: Uint32Array
}

export const NEGATED = 1
export const ZERO_IS_MISSING = 2

/** LightGBM reads what is no further from zero as zero; the constant is a float32 there. */
const ZERO = Math.fround(1e-35)

/** Rows that walk down one tree together, while it is in the cache. */
const BLOCK_ROWS = 32

/**
 * Adds up the leaves that each row reaches.
 *
 * @param values row by row, `width` a row; NaN is missing.
 * @returns row by row, `groups` a row.
 */
export function sumLeaves(
  ensemble: TreeEnsemble,
  rows: number,
  values: Float64Array,
): Float64Array {
  const { groups, base, divisor } = ensemble
  const sums = new Float64Array(rows * groups)
  for (let at = 0; at < sums.length; at++) sums[at] = base[at % groups]!
  const add = ensemble.isFloat32
    ? addFloat32
    : ensemble.categoryFeature.length > 0
      ? addWithCategories
      : addNumbers
  const views = new Float64Array(Math.min(rows, BLOCK_ROWS) * ensemble.viewFeature.length)
  for (let from = 0; from < rows; from += BLOCK_ROWS) {
    const count = Math.min(BLOCK_ROWS, rows - from)
    look(ensemble, values, from, count, views)
    add(ensemble, values, from, count, views, sums)
  }
  if (divisor !== 1) for (let at = 0; at < sums.length; at++) sums[at]! /= divisor
  return sums
}

/** Writes the views of some rows. */
export function look(
  { width, viewFeature, viewFlags, isFloat32 }: TreeEnsemble,
  values: Float64Array,
  from: number,
  count: number,
  views: Float64Array,
): void {
  const viewCount = viewFeature.length
  for (let row = 0; row < count; row++) {
    const at = (from + row) * width
    const to = row * viewCount
    for (let index = 0; index < viewCount; index++) {
      let x = values[at + viewFeature[index]!]!
      if (isFloat32) x = Math.fround(x)
      else if (x <= ZERO && x >= -ZERO) x = 0
      const flags = viewFlags[index]!
      if ((flags & ZERO_IS_MISSING) !== 0 && x === 0) x = Number.NaN
      views[to + index] = (flags & NEGATED) === 0 ? x : -x
    }
  }
}

/** Whether a category is in the set of a split. What is missing, or less than zero, is as the split says. */
export function isMember(ensemble: TreeEnsemble, split: number, x: number): boolean {
  const category = Math.trunc(x)
  if (!(category >= 0)) return Number.isNaN(x) && ensemble.categoryMissing[split] === 1
  const word = ensemble.categoryFrom[split]! + Math.floor(category / 32)
  if (word >= ensemble.categoryTo[split]!) return false
  return ((ensemble.words[word]! >>> (category % 32)) & 1) === 1
}

// One loop for all would ask at each step what is the same for all steps.

type Add = (
  ensemble: TreeEnsemble,
  values: Float64Array,
  from: number,
  count: number,
  views: Float64Array,
  sums: Float64Array,
) => void

const addNumbers: Add = (ensemble, _, from, count, views, sums) => {
  const { groups, roots, groupOf, first, view, value, viewFeature } = ensemble
  const viewCount = viewFeature.length
  for (let tree = 0; tree < roots.length; tree++) {
    const root = roots[tree]!
    const group = groupOf[tree]!
    for (let row = 0; row < count; row++) {
      const offset = row * viewCount
      let place = root
      let next = first[place]!
      while (next >= 0) {
        place = next + (views[offset + view[place]!]! <= value[place]! ? 0 : 1)
        next = first[place]!
      }
      sums[(from + row) * groups + group]! += value[place]!
    }
  }
}

const addWithCategories: Add = (ensemble, values, from, count, views, sums) => {
  const { groups, width, roots, groupOf, first, view, value, categoryFeature } = ensemble
  const viewCount = ensemble.viewFeature.length
  for (let tree = 0; tree < roots.length; tree++) {
    const root = roots[tree]!
    const group = groupOf[tree]!
    for (let row = 0; row < count; row++) {
      const offset = row * viewCount
      let place = root
      let next = first[place]!
      while (next >= 0) {
        const index = view[place]!
        const isFirst =
          index >= 0
            ? views[offset + index]! <= value[place]!
            : isMember(ensemble, ~index, values[(from + row) * width + categoryFeature[~index]!]!)
        place = next + (isFirst ? 0 : 1)
        next = first[place]!
      }
      sums[(from + row) * groups + group]! += value[place]!
    }
  }
}

const addFloat32: Add = (ensemble, values, from, count, views, sums) => {
  const { groups, width, roots, groupOf, first, view, value, categoryFeature } = ensemble
  const viewCount = ensemble.viewFeature.length
  for (let tree = 0; tree < roots.length; tree++) {
    const root = roots[tree]!
    const group = groupOf[tree]!
    for (let row = 0; row < count; row++) {
      const offset = row * viewCount
      let place = root
      let next = first[place]!
      while (next >= 0) {
        const index = view[place]!
        const isFirst =
          index >= 0
            ? views[offset + index]! <= value[place]!
            : isMember(ensemble, ~index, values[(from + row) * width + categoryFeature[~index]!]!)
        place = next + (isFirst ? 0 : 1)
        next = first[place]!
      }
      const at = (from + row) * groups + group
      sums[at] = Math.fround(sums[at]! + value[place]!)
    }
  }
}
