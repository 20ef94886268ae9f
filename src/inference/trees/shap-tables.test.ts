import { expect, test } from 'bun:test'

import { createEnsembleBuilder, type TreeNode } from './ensemble-builder.ts'
import { createExplainer, createShapTables } from './shap-tables.ts'
import { sumLeaves } from './tree-ensemble.ts'
import { contributions } from './tree-shap.ts'

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
