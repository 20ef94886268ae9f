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
