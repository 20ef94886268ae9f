import type { Principal } from '../gateway/principal.ts'
import { type Fault, invalid, within } from '../gateway/problems.ts'
import { type Described, describe } from './describe.ts'
import type { Features, Matrix } from './features.ts'
import type { Manifest } from './manifest.ts'
import type { ReadableModels } from './readable-models.ts'
import type { Answers } from './serving/answers.ts'
import type { IsAbandoned } from './serving/batcher.ts'
import type { ServedModel } from './serving/served-model.ts'

interface Prediction extends Described {
  /** Of a request that asks for it: for each row why. */
  explanations?: Explanation[][]
}

/** What each input adds to a model's sum, before it becomes a probability. */
interface Explanation {
  /** Whose sum it is, of a classification. */
  class?: string
  /** The sum over the training data, on average. */
  expected: number
  contributions: Record<string, number>
}

export interface PredictionRequest {
  model_type: string
  features: Features
  explain?: boolean | undefined
  /** Whichever traffic leads to, unless given. */
  model_version?: string | undefined
}

export interface Predictions {
  /** @throws {Problem} 404 no model that the reader may use, 422 features that do not fit, 503, 504. */
  predict(
    request: PredictionRequest,
    reader: Principal,
    isAbandoned: IsAbandoned,
  ): Promise<Prediction>
  /** @throws {Problem} as `predictBatch` would, without computing anything. */
  requireFit(requests: readonly PredictionRequest[], reader: Principal): Promise<void>
  /** Several requests at once; none is computed when one does not fit. */
  predictBatch(
    requests: readonly PredictionRequest[],
    reader: Principal,
    isAbandoned: IsAbandoned,
  ): Promise<Prediction[]>
}

/** A request that fits its model. */
interface Checked {
  model: ServedModel
  matrix: Matrix
  explain: boolean
}

export function createPredictions(deps: {
  models: ReadableModels
  answers: Answers
  rowsMax: number
}): Predictions {
  const { models, answers, rowsMax } = deps

  /** What it answers has borrowed the model. */
  async function check(
    { model_type: name, model_version, features, explain = false }: PredictionRequest,
    reader: Principal,
    path: readonly PropertyKey[] = [],
  ): Promise<Checked> {
    const model = await models.borrow(reader, name, model_version)
    try {
      if (explain && model.explanation === undefined) throw invalid([unexplained(path)])
      const matrix = model.encode(features, rowsMaxOf(model, explain))
      if (!Array.isArray(matrix)) return { model, matrix, explain }
      throw invalid(matrix.map((fault) => within(fault, ...path, 'features')))
    } catch (error) {
      model.giveBack()
      throw error
    }
  }

  async function withAll<T>(
    requests: readonly PredictionRequest[],
    reader: Principal,
    work: (checked: readonly Checked[]) => Promise<T>,
  ): Promise<T> {
    const checked: Checked[] = []
    try {
      for (const [index, request] of requests.entries()) {
        checked.push(await check(request, reader, ['batches', index]))
      }
      const rows = checked.reduce((sum, { matrix }) => sum + matrix.rows, 0)
      if (rows > rowsMax) {
        const detail = `has ${rows} rows, at most ${rowsMax} go in one request`
        throw invalid([{ path: ['batches'], detail }])
      }
      return await work(checked)
    } finally {
      for (const { model } of checked) model.giveBack()
    }
  }

  async function compute(
    { model, matrix, explain }: Checked,
    isAbandoned: IsAbandoned,
  ): Promise<Prediction> {
    const given = await answers(model, matrix, { isAbandoned })
    const prediction = describe(model.manifest, matrix, given)
    if (!explain) return prediction
    const { outputs, run } = model.explanation!
    const shares = await run(matrix.rows, matrix.values, isAbandoned)
    return { ...prediction, explanations: explanationsOf(model.manifest, outputs, shares) }
  }

  return {
    async predict(request, reader, isAbandoned) {
      const checked = await check(request, reader)
      try {
        return await compute(checked, isAbandoned)
      } finally {
        checked.model.giveBack()
      }
    },
    requireFit: (requests, reader) => withAll(requests, reader, async () => {}),
    predictBatch: (requests, reader, isAbandoned) =>
      withAll(requests, reader, (checked) =>
        Promise.all(checked.map((each) => compute(each, isAbandoned))),
      ),
  }
}

/** Why takes more to say than what. */
const rowsMaxOf = ({ rowsMax, explanation }: ServedModel, explain: boolean) =>
  explain ? Math.min(rowsMax, explanation?.rowsMax ?? rowsMax) : rowsMax

const unexplained = (path: readonly PropertyKey[]): Fault => ({
  path: [...path, 'explain'],
  detail: 'the model is none of trees, which alone can say why',
})

function explanationsOf(
  manifest: Manifest,
  outputs: readonly (number | undefined)[],
  shares: Float64Array,
): Explanation[][] {
  const names = manifest.inputs.map(({ name }) => name)
  const stride = names.length + 1
  const classes = manifest.kind === 'classification' ? manifest.classes : undefined
  const explanations: Explanation[][] = []
  for (let at = 0; at < shares.length;) {
    const row: Explanation[] = []
    for (const output of outputs) {
      const contributions: Record<string, number> = {}
      for (const [index, name] of names.entries()) contributions[name] = shares[at + index]!
      const expected = shares[at + names.length]!
      const label = output === undefined ? undefined : classes?.[output]
      row.push({ ...(label === undefined ? {} : { class: label }), expected, contributions })
      at += stride
    }
    explanations.push(row)
  }
  return explanations
}
