import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'

import { type Harness, openHarness } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'

const PREDICT = '/api/v1/predict'
const TREES = join(import.meta.dir, '../bench/models')

interface Explanation {
  class?: string
  expected: number
  contributions: Record<string, number>
}
interface Answer {
  predictions: string[]
  probabilities: Record<string, number>[]
  explanations: Explanation[][]
}
interface Golden {
  features: Record<string, number | null>[]
  probabilities: Record<string, number>[]
}
const golden = (await Bun.file(join(TREES, 'trees/1/golden.json')).json()) as Golden

let trees: Harness
let onnx: Harness
beforeAll(async () => {
  trees = await openHarness({ MODELS_DIR: TREES })
  onnx = await openHarness()
})
afterAll(async () => {
  await trees.close()
  await onnx.close()
})

const asked = (rows: number, explain: unknown = true) => ({
  model_type: 'trees',
  features: Array.from({ length: rows }, (_, row) => golden.features[row % golden.features.length]),
  explain,
})
async function explained(rows: number, at = trees): Promise<Answer> {
  const answer = await at.request({ path: PREDICT, body: asked(rows), token: at.adminToken })
  expect(answer.status).toBe(200)
  return (await answer.json()) as Answer
}
const sumOf = ({ expected, contributions }: Explanation) =>
  Object.values(contributions).reduce((sum, share) => sum + share, expected)

describe('refused', () => {
  const points = { model_type: 'classification', features: { x1: [1], x2: [2] } }
  testRequests(
    () => onnx,
    [
      {
        name: 'of a model that is none of trees',
        as: 'admin',
        path: PREDICT,
        body: { ...points, explain: true },
        status: 422,
        has: { errors: [{ pointer: '#/explain' }] },
      },
      {
        name: 'in one of several batches',
        as: 'admin',
        path: `${PREDICT}/batch`,
        body: { batches: [points, { ...points, explain: true }] },
        status: 422,
        has: { errors: [{ pointer: '#/batches/1/explain' }] },
      },
      ...['yes', 1, null, {}].map((explain) => ({
        name: `by ${JSON.stringify(explain)}`,
        as: 'admin',
        path: PREDICT,
        body: { ...points, explain },
        status: 422,
      })),
      {
        name: 'not where nobody asks for it',
        as: 'admin',
        path: PREDICT,
        body: { ...points, explain: false },
        status: 200,
        mustNotContain: ['explanations'],
      },
    ],
  )
})

describe('of each row', () => {
  test('the contributions and what is expected sum to the log-odds', async () => {
    const { explanations, probabilities } = await explained(20)
    expect(explanations).toHaveLength(20)
    for (const [row, [explanation, ...others]] of explanations.entries()) {
      expect(others).toEqual([])
      expect(explanation!.class).toBe('yes')
      expect(Object.keys(explanation!.contributions)).toEqual(Object.keys(golden.features[0]!))
      expect(probabilities[row]).toEqual(golden.probabilities[row])
      const odds = probabilities[row]!['yes']! / probabilities[row]!['no']!
      expect(sumOf(explanation!)).toBeCloseTo(Math.log(odds), 5)
    }
    expect(new Set(explanations.map(([each]) => each!.expected)).size).toBe(1)
  })

  test('they are the same from the threads, where there are many rows', async () => {
    const few = await explained(20)
    const many = await explained(400)
    const threads = await openHarness({ MODELS_DIR: TREES, PREDICT_IN_PLACE_US_MAX: '0' })
    for (const answer of [many, await explained(20, threads)]) {
      expect(answer.explanations.slice(0, 20)).toEqual(few.explanations)
      expect(answer.predictions.slice(0, 20)).toEqual(few.predictions)
    }
    expect(many.explanations).toHaveLength(400)
    await threads.close()
  })

  test('as R boxes it, in a batch, and of no row', async () => {
    const boxed = { ...asked(1), explain: [true] }
    const none = { model_type: 'trees', features: [], explain: true }
    const body = { batches: [boxed, asked(2, false), none] }
    const path = `${PREDICT}/batch`
    const answer = await trees.request({ path, body, token: trees.adminToken })
    const { results } = (await answer.json()) as { results: Partial<Answer>[] }
    expect(results.map(({ explanations }) => explanations?.length)).toEqual([1, undefined, 0])
  })
})
