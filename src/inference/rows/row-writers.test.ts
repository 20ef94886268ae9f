import { expect, test } from 'bun:test'

import type { Manifest } from '../manifest.ts'
import { createRowWriter } from './row-writers.ts'

test('inputs that are called like parts of other answers stand beside the answer as they were sent', () => {
  const manifest = { kind: 'regression', outputs: [{ name: 'price', type: 'number' }] } as Manifest
  const inputs = { probabilities: 1, timestamps: 2, intervals: 3 }
  const answered = {
    inputs,
    prediction: 4,
    probabilities: undefined,
    timestamps: undefined,
    intervals: undefined,
  }
  const { row } = createRowWriter('ndjson', manifest, Object.keys(inputs))
  expect(JSON.parse(row(answered, true))).toEqual({ ...inputs, price: 4 })
})

const regression = { kind: 'regression', outputs: [{ name: 'price', type: 'number' }] } as Manifest
const answered = { probabilities: undefined, timestamps: undefined, intervals: undefined }

test('the truth that a table holds stays beside the answer', () => {
  const row = { ...answered, inputs: { price: 999, carat: 1 }, prediction: 613.5 }
  const { begin, row: line } = createRowWriter('csv', regression, ['price', 'carat'])
  expect(begin + line(row, true)).toBe('price,carat,predicted.price\r\n999,1,613.5\r\n')
  const json = createRowWriter('json', regression, ['carat'])
  expect(JSON.parse(json.row(row, true))).toEqual({
    price: 999,
    carat: 1,
    'predicted.price': 613.5,
  })
})

test.each([[['-1', '1']], [['10', '9', '8']], [['b', 'a']]])(
  'the probabilities of classes called %p stand below their names',
  (classes) => {
    const manifest = {
      kind: 'classification',
      classes,
      outputs: [{ name: 'sign', type: 'category' }],
    } as unknown as Manifest
    const shares = classes.map((label, at) => [label, (at + 1) / 10] as const)
    const { begin, row } = createRowWriter('csv', manifest, [])
    const probabilities = Object.fromEntries(shares)
    const line = row(
      { ...answered, inputs: undefined, prediction: classes[0]!, probabilities },
      true,
    )
    expect(begin.trim().split(',')).toEqual([
      'sign',
      ...classes.map((each) => `probability.${each}`),
    ])
    expect(line.trim().split(',')).toEqual([classes[0]!, ...shares.map(([, share]) => `${share}`)])
  },
)

test('what is no number is an empty cell', () => {
  const { row } = createRowWriter('csv', regression, [])
  for (const prediction of [Number.NaN, Infinity, -Infinity]) {
    expect(row({ ...answered, inputs: undefined, prediction }, true)).toBe('\r\n')
  }
})
