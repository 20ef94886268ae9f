import { expect, test } from 'bun:test'

import { createEnsembleBuilder, type TreeNode } from './ensemble-builder.ts'
import { createExplainer, createShapTables } from './shap-tables.ts'
import { sumLeaves } from './tree-ensemble.ts'
import { contributions } from './tree-shap.ts'

const ENSEMBLES = 400
const ROWS = 40
/** Thresholds, and values that lie on them. */
const CORNERS = [Number.NaN, 0, 1e-36, 1, -1, 0.1, 2.7, 40, Infinity, -Infinity]

/** Splits that each ask another feature, one below the other. */
function chain(features: number) {
  const nodes: TreeNode[] = []
  for (let at = 0; at < features; at++) {
    const common = { threshold: 0, isMissingLeft: at % 2 === 0, isZeroMissing: false }
    nodes.push({
      kind: 'number',
      feature: at,
      ...common,
      left: 2 * at + 1,
      right: 2 * at + 2,
      cover: features - at + 1,
    })
    nodes.push({ kind: 'leaf', value: at + 1, cover: 1 })
  }
  nodes.push({ kind: 'leaf', value: -5, cover: 1 })
  const builder = createEnsembleBuilder({
    width: features,
    groups: 1,
    isFloat32: false,
    base: [0],
    divisor: 1,
  })
  builder.add(nodes, 0)
  return builder.build()
}

const rowsOf = (rows: number, width: number) =>
  Float64Array.from({ length: rows * width }, (_, at) =>
    at % 7 === 3 ? Number.NaN : Math.sin(at * 12.9898) * 3,
  )

test('trees that are too deep for tables are walked', () => {
  const deep = chain(20)
  expect(createShapTables(deep)).toBeUndefined()
  const values = rowsOf(40, 20)
  expect(createExplainer(deep).explain(40, values)).toEqual(contributions(deep, 40, values))
})

test.each([1, 2, 8, 9, 11])('%p features, one below the other, are looked up', (features) => {
  const ensemble = chain(features)
  const values = rowsOf(40, features)
  const looked = createShapTables(ensemble)!.explain(40, values)
  const walked = contributions(ensemble, 40, values)
  for (const [at, share] of walked.entries()) expect(looked[at]).toBeCloseTo(share, 5)
  const sums = sumLeaves(ensemble, 40, values)
  for (const [row, sum] of sums.entries()) {
    const shares = looked.subarray(row * (features + 1), (row + 1) * (features + 1))
    expect(shares.reduce((total, share) => total + share, 0)).toBeCloseTo(sum, 5)
  }
})

test('tables are made a little at a time, or at once where rows come before', () => {
  const ensemble = chain(11)
  const values = rowsOf(5, 11)
  const slowly = createShapTables(ensemble)!
  let slices = 1
  while (!slowly.prepare(0)) slices++
  expect(slices).toBeGreaterThan(1)
  expect(slowly.explain(5, values)).toEqual(createShapTables(ensemble)!.explain(5, values))
})

/** The same in every run. */
function numbersFrom(seed: number) {
  let state = seed
  const next = () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  const below = (count: number) => Math.floor(next() * count)
  return { next, below, isHeads: () => next() < 0.5, corner: () => CORNERS[below(CORNERS.length)]! }
}

function randomEnsemble(random: ReturnType<typeof numbersFrom>) {
  const width = 1 + random.below(6)
  const groups = 1 + random.below(3)
  const builder = createEnsembleBuilder({
    width,
    groups,
    isFloat32: random.isHeads(),
    base: Array.from({ length: groups }, random.next),
    divisor: 1,
  })
  function grow(nodes: TreeNode[], depth: number, cover: number): number {
    const at = nodes.length
    nodes.push({ kind: 'leaf', value: Math.fround(random.next() * 2 - 1), cover })
    if (depth === 0 || cover < 2 || random.next() < 0.2) return at
    const left = 1 + random.below(cover - 1)
    const common = { feature: random.below(width), isMissingLeft: random.isHeads(), cover }
    const isCategory = random.next() < 0.3
    const threshold = Math.fround(random.corner() || 0)
    const members = Uint32Array.of(random.below(2 ** 32), random.below(2 ** 32))
    const children = {
      left: grow(nodes, depth - 1, left),
      right: grow(nodes, depth - 1, cover - left),
    }
    nodes[at] = isCategory
      ? { kind: 'category', members, ...common, ...children }
      : { kind: 'number', threshold, isZeroMissing: random.isHeads(), ...common, ...children }
    return at
  }
  for (let tree = random.below(5); tree >= 0; tree -= 1) {
    const nodes: TreeNode[] = []
    grow(nodes, 1 + random.below(6), 1000)
    builder.add(nodes, random.below(groups))
  }
  return builder.build()
}

test(`${ENSEMBLES} random ensembles are looked up as they are walked`, () => {
  const random = numbersFrom(7)
  for (let count = 0; count < ENSEMBLES; count += 1) {
    const ensemble = randomEnsemble(random)
    const values = Float64Array.from({ length: ROWS * ensemble.width }, () =>
      random.isHeads() ? random.corner() : random.next() * 6 - 3,
    )
    const looked = createShapTables(ensemble)!.explain(ROWS, values)
    const walked = contributions(ensemble, ROWS, values)
    const worst = walked.reduce(
      (most, share, at) => Math.max(most, Math.abs(share - looked[at]!)),
      0,
    )
    expect(worst).toBeLessThan(1e-6)
  }
})
