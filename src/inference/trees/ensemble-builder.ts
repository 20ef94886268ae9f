import { UnreadableModel } from '../unreadable-model.ts'
import { NEGATED, type TreeEnsemble, ZERO_IS_MISSING } from './tree-ensemble.ts'

/** A node of a tree as its file has it. Children are positions in the tree's own list. */
export type TreeNode =
  | { kind: 'leaf'; value: number; cover: number }
  | {
      kind: 'number'
      feature: number
      /** The largest number that goes left. */
      threshold: number
      /** Whether what is missing goes left. */
      isMissingLeft: boolean
      /** Whether zero counts as missing. */
      isZeroMissing: boolean
      left: number
      right: number
      cover: number
    }
  | {
      kind: 'category'
      feature: number
      /** Which go left, 32 a word. */
      left: number
      right: number
      members: Uint32Array
      isMissingLeft: boolean
      cover: number
    }

/** Far deeper than any that a library grows; each step of a row waits for the one before. */
const DEPTH_MAX = 1000
const FEATURES_MAX = 100_000
/** Classes, or targets. */
export const GROUPS_MAX = 10_000

/**
 * Lays trees out as typed arrays.
 *
 * @throws {UnreadableModel} when they would be wider than anybody’s.
 */
export function createEnsembleBuilder(shape: {
  width: number
  groups: number
  isFloat32: boolean
  base: readonly number[]
  divisor: number
}) {
  if (shape.width > FEATURES_MAX || shape.groups > GROUPS_MAX) {
    throw new UnreadableModel(
      `It has ${shape.width} features and ${shape.groups} classes; at most ${FEATURES_MAX} and ${GROUPS_MAX} are read.`,
    )
  }
  const roots: number[] = []
  const groupOf: number[] = []
  const first: number[] = []
  const view: number[] = []
  const value: number[] = []
  const cover: number[] = []
  const views = new Map<number, number>()
  const categoryFeature: number[] = []
  const categoryFrom: number[] = []
  const categoryTo: number[] = []
  const categoryMissing: number[] = []
  const words: number[] = []

  function viewOf(feature: number, flags: number): number {
    const key = feature * 4 + flags
    const known = views.get(key)
    if (known !== undefined) return known
    views.set(key, views.size)
    return views.size - 1
  }

  function requireFeature(feature: number): void {
    if (feature >= 0 && feature < shape.width) return
    throw new UnreadableModel(`A split asks for feature ${feature} of ${shape.width}.`)
  }

  return {
    /**
     * @param nodes the root first; each but the root has one parent.
     * @param group the sum that it adds to.
     * @throws {UnreadableModel} when the nodes are no tree.
     */
    add(nodes: readonly TreeNode[], group: number): void {
      if (group >= shape.groups)
        throw new UnreadableModel(`A tree is for class ${group} of ${shape.groups}.`)
      const root = first.length
      roots.push(root)
      groupOf.push(group)
      place(1)
      const seen = new Uint8Array(nodes.length)
      // In breadth: the nodes that every row visits lie together.
      let level = [{ node: 0, at: root }]
      for (let depth = 0; level.length > 0; depth++) {
        if (depth > DEPTH_MAX) {
          throw new UnreadableModel(`A tree is deeper than ${DEPTH_MAX} splits.`)
        }
        const next: typeof level = []
        for (const { node, at } of level) {
          const found = nodes[node]
          if (found === undefined || seen[node] === 1) {
            throw new UnreadableModel(
              `A tree is none: a split leads to node ${node}, which ${found === undefined ? 'is not there' : 'another leads to'}.`,
            )
          }
          seen[node] = 1
          cover[at] = found.cover
          if (found.kind === 'leaf') {
            value[at] = found.value
            continue
          }
          requireFeature(found.feature)
          const children = place(2)
          first[at] = children
          const isExchanged = found.kind === 'number' && found.isMissingLeft
          next.push(
            { node: isExchanged ? found.right : found.left, at: children },
            { node: isExchanged ? found.left : found.right, at: children + 1 },
          )
          if (found.kind === 'category') {
            view[at] = ~categoryFeature.length
            categoryFeature.push(found.feature)
            categoryFrom.push(words.length)
            for (const word of found.members) words.push(word)
            categoryTo.push(words.length)
            categoryMissing.push(found.isMissingLeft ? 1 : 0)
          } else {
            const zero = found.isZeroMissing ? ZERO_IS_MISSING : 0
            view[at] = viewOf(found.feature, isExchanged ? zero | NEGATED : zero)
            value[at] = isExchanged ? -nextUp(found.threshold) : found.threshold
          }
        }
        level = next
      }
    },
    build(): TreeEnsemble {
      const keys = [...views.keys()]
      return {
        ...shape,
        base: Float64Array.from(shape.base),
        roots: Int32Array.from(roots),
        groupOf: Int32Array.from(groupOf),
        first: Int32Array.from(first),
        view: Int32Array.from(view),
        value: Float64Array.from(value),
        cover: Float64Array.from(cover),
        viewFeature: Int32Array.from(keys, (key) => Math.floor(key / 4)),
        viewFlags: Uint8Array.from(keys, (key) => key % 4),
        categoryFeature: Int32Array.from(categoryFeature),
        categoryFrom: Int32Array.from(categoryFrom),
        categoryTo: Int32Array.from(categoryTo),
        categoryMissing: Uint8Array.from(categoryMissing),
        words: Uint32Array.from(words),
      }
    },
  }

  /** @returns the first of so many new places, which are leaves until they are told otherwise. */
  function place(count: number): number {
    const at = first.length
    for (let index = 0; index < count; index++) {
      first.push(-1)
      view.push(0)
      value.push(0)
      cover.push(0)
    }
    return at
  }
}

const bits = new DataView(new ArrayBuffer(8))

/** The least number that is greater; NaN, which nothing is compared with, where there is none. */
function nextUp(x: number): number {
  if (x === Number.POSITIVE_INFINITY) return Number.NaN
  if (x === 0) return Number.MIN_VALUE
  bits.setFloat64(0, x)
  bits.setBigInt64(0, bits.getBigInt64(0) + (x > 0 ? 1n : -1n))
  return bits.getFloat64(0)
}
