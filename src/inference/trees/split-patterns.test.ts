import { expect, test } from 'bun:test'

import { createEnsembleBuilder, type TreeNode } from './ensemble-builder.ts'
import { createPatternReader, type Turn } from './split-patterns.ts'
import { sumLeaves } from './tree-ensemble.ts'

const ROWS = 200
const NUMBERS = 3
const CATEGORY = NUMBERS

/** One split a tree: each feature both ways round for missing values, and sets of categories. */
function splits() {
  const builder = createEnsembleBuilder({
    width: NUMBERS + 1,
    groups: 1,
    isFloat32: false,
    base: [0],
    divisor: 1,
  })
  const common = { left: 1, right: 2, cover: 2 }
  const leaves: TreeNode[] = [
    { kind: 'leaf', value: 1, cover: 1 },
    { kind: 'leaf', value: 2, cover: 1 },
  ]
  for (let at = 0; at < 60; at++) {
    const isMissingLeft = at % 2 === 0
    const split: TreeNode =
      at % 5 === 4
        ? {
            kind: 'category',
            feature: CATEGORY,
            members: Uint32Array.of((1 << (at % 4)) | 4),
            isMissingLeft,
            ...common,
          }
        : {
            kind: 'number',
            feature: at % NUMBERS,
            threshold:
              [Infinity, -Infinity][Math.floor(at / 10) % 3] ?? Math.round(Math.sin(at) * 3),
            isMissingLeft,
            isZeroMissing: at % 7 === 1,
            ...common,
          }
    builder.add([split, ...leaves], 0)
  }
  return builder.build()
}

const cells = [Number.NaN, 0, -3, -1, 1, 2, 3, 0.5, -0.5, Infinity, -Infinity]
const values = Float64Array.from(
  { length: ROWS * (NUMBERS + 1) },
  (_, at) => cells[(at * 7 + (at >> 3)) % cells.length]!,
)

test('a bit stays where a row takes each of its turns', () => {
  const ensemble = splits()
  const { roots } = ensemble
  /** Which child each row goes to, by walking down the tree. */
  const goesFirst = (tree: number, row: number) => {
    const alone = { ...ensemble, roots: roots.slice(tree, tree + 1), groupOf: new Int32Array(1) }
    const first = ensemble.value[ensemble.first[roots[tree]!]!]!
    return sumLeaves(alone, ROWS, values)[row] === first
  }
  const turnsOf = (pattern: number): Turn[] =>
    Array.from({ length: 40 }, (_, at) => ({
      place: roots[(pattern * 13 + at * 3) % roots.length]!,
      isFirst: (at + pattern) % 2 === 0,
      bits: 1 << (at % 32),
    }))
  const patterns = Array.from({ length: 9 }, (_, pattern) => turnsOf(pattern))
  const read = createPatternReader(ensemble, patterns)
  const ways = Array.from(roots, (_, tree) =>
    Array.from({ length: ROWS }, (_, row) => goesFirst(tree, row)),
  )
  for (let row = 0; row < ROWS; row++) {
    const expected = patterns.map((turns) =>
      turns.reduce((left, { place, isFirst, bits }) => {
        const takes = ways[roots.indexOf(place)]![row] === isFirst
        return takes ? left : left & ~bits
      }, -1),
    )
    expect(Array.from(read(values, row))).toEqual(expected)
  }
})
