import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'

import { type Harness, MODELS_DIR, openHarness } from '../support/harness.ts'

const PROBABILITY_ERROR_MAX = 1e-6
const RELATIVE_ERROR_MAX = 1e-5

/** LightGBM's own predictions of real rows, by `scripts/train_models.py`. */
interface Golden {
  features: Record<string, unknown>[]
  predictions: (string | number | number[])[]
  probabilities?: Record<string, number>[]
  /** Around LightGBM's predictions, as the script adds them up. */
  intervals?: { level: number; lower: number[]; upper: number[] }[][]
}

let harness: Harness
beforeAll(async () => {
  harness = await openHarness({ MODELS_DIR })
})
afterAll(() => harness.close())

test.each(['classification', 'regression', 'forecast'])(
  '%s answers what LightGBM says',
  async (name) => {
    const golden = (await Bun.file(join(MODELS_DIR, name, '1', 'golden.json')).json()) as Golden
    expect(golden.features).toHaveLength(20)
    const served = await predict(name, golden.features)
    if (golden.probabilities !== undefined) {
      expect(served.predictions).toEqual(golden.predictions)
      for (const [row, expected] of golden.probabilities.entries()) {
        for (const [label, probability] of Object.entries(expected)) {
          const error = Math.abs(served.probabilities![row]![label]! - probability)
          expect(error).toBeLessThanOrEqual(PROBABILITY_ERROR_MAX)
        }
      }
    } else {
      const [given, expected] = [served.predictions.flat(), golden.predictions.flat()].map((list) =>
        list.map(Number),
      )
      expect(given).toHaveLength(expected!.length)
      for (const [position, value] of expected!.entries()) {
        expect(Math.abs(given![position]! - value) / Math.abs(value)).toBeLessThanOrEqual(
          RELATIVE_ERROR_MAX,
        )
      }
    }
  },
)

test.each(['classification', 'regression'])('%s answers the same by column', async (name) => {
  const { features } = (await Bun.file(join(MODELS_DIR, name, '1', 'golden.json')).json()) as Golden
  const columns = Object.keys(features[0]!).map((column) => [
    column,
    features.map((row) => row[column]),
  ])
  const [byColumn, byRow] = [
    await predict(name, Object.fromEntries(columns)),
    await predict(name, features),
  ]
  expect(byColumn.predictions).toEqual(byRow.predictions)
})

test('a forecast has the intervals that were made for it', async () => {
  const golden = (await Bun.file(join(MODELS_DIR, 'forecast', '1', 'golden.json')).json()) as Golden
  const served = await predict('forecast', golden.features)
  const [given, expected] = [served, golden].map(({ intervals }) =>
    intervals!.map((row) => row.map((each) => [each.level, ...each.lower, ...each.upper])),
  )
  for (const [row, levels] of expected!.entries()) {
    expect(levels).toHaveLength(2)
    for (const [at, numbers] of levels.entries()) {
      expect(given![row]![at]).toHaveLength(numbers.length)
      for (const [position, value] of numbers.entries()) {
        const error = Math.abs(given![row]![at]![position]! - value) / value
        expect(error).toBeLessThanOrEqual(RELATIVE_ERROR_MAX)
      }
    }
  }
})

async function predict(name: string, features: unknown): Promise<Golden> {
  const body = { model_type: name, features }
  const response = await harness.request({
    path: '/api/v1/predict',
    body,
    token: harness.adminToken,
  })
  expect(response.status).toBe(200)
  return (await response.json()) as Golden
}
