import { expect, test } from 'bun:test'

import { until } from '../../../tests/support/until.ts'
import { openLog } from '../../platform/log.ts'
import type { Manifest } from '../manifest.ts'
import type { ServedModel } from './served-model.ts'
import { createShadows } from './shadows.ts'

const { log } = openLog({ LOG_LEVEL: 'silent' }, { write() {} })
const inputs = [{ name: 'x', type: 'number' as const, description: 'of one' }]
const number = {
  name: 'm',
  kind: 'regression',
  inputs,
  outputs: [{ name: 'y', type: 'number' }],
} as unknown as Manifest
const classes = { ...number, kind: 'classification', classes: ['a', 'b'] } as unknown as Manifest

/** A version, and all that is counted of it. */
function version(manifest: Manifest, says: Float64Array | Error) {
  const counted: [string, number][] = []
  const differences: number[] = []
  let borrowed = 0
  const model = {
    manifest,
    shadow: undefined as unknown,
    metrics: {
      shadowed: (result: string, rows: number) => void counted.push([result, rows]),
      shadowDifference: (difference: number) => void differences.push(difference),
    },
    borrow: () => void (borrowed += 1),
    giveBack: () => void (borrowed -= 1),
    runInBackground: async () => {
      if (says instanceof Error) throw says
      return says
    },
  } as unknown as ServedModel
  return { model, counted, differences, borrowed: () => borrowed }
}

async function ask(answering: Manifest, answered: number[], shadow: ReturnType<typeof version>) {
  const { model } = version(answering, new Error('not asked'))
  model.shadow = shadow.model
  const rows = answering.kind === 'classification' ? answered.length / 2 : answered.length
  const matrix = { rows, values: new Float64Array(rows), horizons: undefined, timelines: undefined }
  createShadows({ log })(model, matrix, Float64Array.from(answered))
  await until(() => shadow.counted.length > 0 && shadow.borrowed() === 0)
}

test('numbers are compared as shares, each row for itself', async () => {
  const shadow = version(number, Float64Array.of(1, 250, -3))
  await ask(number, [1, 200, -3.000001], shadow)
  expect(shadow.counted).toEqual([
    ['same', 1],
    ['different', 1],
    ['same', 1],
  ])
  expect(shadow.differences[1]).toBeCloseTo(0.2, 12)
})

test('probabilities are compared as they are, by the one that is furthest off', async () => {
  const shadow = version(classes, Float64Array.of(0.5, 0.5, 0.9, 0.1))
  await ask(classes, [0.5, 0.5, 0.7, 0.3], shadow)
  expect(shadow.counted.map(([result]) => result)).toEqual(['same', 'different'])
  expect(shadow.differences[1]).toBeCloseTo(0.2, 12)
})

test('what is no number is as far off as can be', async () => {
  const shadow = version(number, Float64Array.of(Number.NaN))
  await ask(number, [1], shadow)
  expect([shadow.counted, shadow.differences]).toEqual([[['different', 1]], [Infinity]])
})

test('a shadow that fails is counted, and given back', async () => {
  const shadow = version(number, new Error('full'))
  await ask(number, [1, 2], shadow)
  expect([shadow.counted, shadow.borrowed()]).toEqual([[['failed', 2]], 0])
})

test.each<[string, Manifest]>([
  ['of another kind', classes],
  ['of another input', { ...number, inputs: [{ name: 'z', type: 'number' }] }],
  ['of more outputs', { ...number, outputs: [...number.outputs, ...number.outputs] }],
])('a shadow %s is not asked', async (_, manifest) => {
  const shadow = version(manifest, new Error('asked'))
  await ask(number, [1, 2], shadow)
  expect([shadow.counted, shadow.differences]).toEqual([[['incomparable', 2]], []])
})

test('what is said of an input makes no difference', async () => {
  const described = { ...number, inputs: [{ name: 'x', type: 'number' }] } as Manifest
  const shadow = version(described, Float64Array.of(1))
  await ask(number, [1], shadow)
  expect(shadow.counted).toEqual([['same', 1]])
})
