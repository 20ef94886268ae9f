import { describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { applyLink } from './links.ts'
import { readTreeModel } from './read-tree-model.ts'
import { createShapTables } from './shap-tables.ts'
import { sumLeaves } from './tree-ensemble.ts'
import type { TreeModel } from './tree-model.ts'
import { contributions } from './tree-shap.ts'

/** What the libraries themselves say: scripts/tree_fixtures.py. */
const FIXTURES = join(import.meta.dir, '../../../tests/fixtures/trees')

type Cell = number | string | null

interface Expected {
  library: string
  objective: string
  inputs: Cell[][]
  predictions: Cell[][]
  raw: Cell[][]
  contributions?: Cell[][]
}

/** Saved by a library, and refused with this reason. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'lightgbm-linear-tree': /linear_tree/,
  'xgboost-linear': /gblinear/,
  'xgboost-vector-leaf': /multi_output_tree/,
}

async function open(name: string): Promise<{ file: Uint8Array; expected: Expected }> {
  const folder = join(FIXTURES, name)
  const saved = readdirSync(folder).find((each) => each.startsWith('model.'))!
  const bytes = await Bun.file(join(folder, saved)).bytes()
  const expected = (await Bun.file(join(folder, 'expected.json')).json()) as Expected
  return { file: saved.endsWith('.gz') ? Bun.gunzipSync(bytes) : bytes, expected }
}

const numberOf = (cell: Cell) => (cell === null ? Number.NaN : Number(cell))

/** Rows as a caller has them: what a file knows by name goes by name. */
function encode({ features }: TreeModel, rows: Cell[][], isByName: boolean): Float64Array {
  return Float64Array.from(
    rows.flatMap((row) =>
      row.map((cell, column) => {
        const { categories } = features[column]!
        if (!isByName || categories === undefined || cell === null) return numberOf(cell)
        const code = categories.indexOf(cell)
        return code === -1 ? Number.NaN : code
      }),
    ),
  )
}

const flat = (rows: Cell[][]) => rows.flat().map(numberOf)

/** The worst of all values: by how much it is off, in shares of what is larger than one. */
function worst(actual: Float64Array, expected: number[]): number {
  expect(actual.length).toBe(expected.length)
  return actual.reduce((most, value, at) => {
    const off = Math.abs(value - expected[at]!) / Math.max(1, Math.abs(expected[at]!))
    return value === expected[at] || off <= most ? most : off
  }, 0)
}

const names = readdirSync(FIXTURES).toSorted()

test('there are at least 25 models of two libraries', () => {
  expect(names.length).toBeGreaterThanOrEqual(25)
  expect(new Set(names.map((name) => name.split('-')[0]))).toEqual(new Set(['lightgbm', 'xgboost']))
})

describe.each(names.filter((name) => REFUSED[name] === undefined))('%s', (name) => {
  test('adds up what the library adds up, to the last bit', async () => {
    const { file, expected } = await open(name)
    const model = readTreeModel(file)!
    expect(expected.library).toStartWith(model.library)
    const values = encode(model, expected.inputs, name === 'xgboost-pandas')
    const sums = sumLeaves(model.ensemble, expected.inputs.length, values)
    // LightGBM's raw scores of a forest are not divided; what it answers is.
    const { divisor } = model.ensemble
    if (divisor === 1) expect([...sums]).toEqual(flat(expected.raw))
    else
      expect(
        worst(
          sums.map((sum) => sum * divisor),
          flat(expected.raw),
        ),
      ).toBeLessThan(1e-13)
  })

  test('answers what the library answers', async () => {
    const { file, expected } = await open(name)
    const { ensemble, link, ...model } = readTreeModel(file)!
    const values = encode({ ensemble, link, ...model }, expected.inputs, name === 'xgboost-pandas')
    const answers = sumLeaves(ensemble, expected.inputs.length, values)
    applyLink(link, ensemble.groups, answers)
    if (model.objective === 'multi:softmax') {
      const { groups } = ensemble
      const labels = expected.inputs.map((_, row) => {
        const shares = [...answers.subarray(row * groups, (row + 1) * groups)]
        return shares.indexOf(Math.max(...shares))
      })
      expect(labels).toEqual(flat(expected.predictions))
      return
    }
    // Sums are the same; XGBoost goes on in float32.
    const bound = model.library === 'lightgbm' ? 1e-15 : 2e-7
    expect(worst(answers, flat(expected.predictions))).toBeLessThanOrEqual(bound)
  })

  test('explains itself as the library does', async () => {
    const { file, expected } = await open(name)
    const model = readTreeModel(file)!
    const { ensemble } = model
    const values = encode(model, expected.inputs, name === 'xgboost-pandas')
    const rows = expected.inputs.length
    const shares = contributions(ensemble, rows, values)
    const bound = model.library === 'lightgbm' ? 1e-13 : 5e-6
    expect(worst(shares, flat(expected.contributions!))).toBeLessThan(bound)

    const sums = sumLeaves(ensemble, rows, values)
    const stride = ensemble.width + 1
    const totals = sums.map((_, at) =>
      shares.subarray(at * stride, (at + 1) * stride).reduce((sum, share) => sum + share, 0),
    )
    const undivided = [...sums].map((sum) => sum * ensemble.divisor)
    expect(worst(totals, undivided)).toBeLessThan(1e-5)
  })

  test('explains itself by tables as by walking', async () => {
    const { file, expected } = await open(name)
    const model = readTreeModel(file)!
    const { ensemble } = model
    const tables = createShapTables(ensemble)
    const values = encode(model, expected.inputs, name === 'xgboost-pandas')
    const shares = tables!.explain(expected.inputs.length, values)
    expect(worst(shares, flat(expected.contributions!))).toBeLessThan(5e-6)
  })

  test('says for one row what it says for many', async () => {
    const { file, expected } = await open(name)
    const model = readTreeModel(file)!
    const { ensemble } = model
    const values = encode(model, expected.inputs, name === 'xgboost-pandas')
    const together = sumLeaves(ensemble, expected.inputs.length, values)
    for (let row = 0; row < expected.inputs.length; row++) {
      const one = values.subarray(row * ensemble.width, (row + 1) * ensemble.width)
      expect(sumLeaves(ensemble, 1, one)).toEqual(
        together.slice(row * ensemble.groups, (row + 1) * ensemble.groups),
      )
    }
  })
})

test.each(Object.entries(REFUSED))('%s is refused with the reason', async (name, reason) => {
  const { file } = await open(name)
  expect(() => readTreeModel(file)).toThrow(reason)
})

test('names of categories are kept, in the order of their codes', async () => {
  const pandas = readTreeModel((await open('lightgbm-pandas')).file)!
  expect(pandas.features.find(({ name }) => name === 'island')?.categories).toEqual([
    'Biscoe',
    'Dream',
    'Torgersen',
    'a "b", c',
    'é',
  ])
  expect(pandas.features.find(({ name }) => name === 'code')?.categories?.[0]).toBe(100)
  const xgboost = readTreeModel((await open('xgboost-pandas')).file)!
  expect(xgboost.features[5]?.categories).toEqual(['Torgersen', 'Biscoe', 'Dream', 'a "b"', 'c, d'])
  expect(xgboost.features[6]?.categories?.[0]).toBe(170)
})
