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

export function createPredictions(deps: { models: ReadableModels; answers: Answers }): Predictions {
  const { models, answers } = deps

  /** What it answers has borrowed the model. At once where that can be had at once. */
  function check(
    request: PredictionRequest,
    reader: Principal,
    place: Place = ALONE,
  ): Checked | Promise<Checked> {
    const model = models.borrow(reader, request.model_type, request.model_version)
    return model instanceof Promise
      ? model.then((borrowed) => fit(borrowed, request, place))
      : fit(model, request, place)
  }

  function fit(
    model: ServedModel,
    { features, explain = false }: PredictionRequest,
    { path, left }: Place,
  ): Checked {
    try {
      if (explain && model.explanation === undefined) throw invalid([unexplained(path)])
      const rowsLeft = Math.floor(rowsMaxOf(model, explain) * left + ROUNDING)
      const matrix = model.encode(features, rowsLeft, left < 1 ? REST : undefined)
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
    let left = 1
    try {
      for (const [index, request] of requests.entries()) {
        const each = await check(request, reader, { path: ['batches', index], left })
        checked.push(each)
        // Of as many rows of this model as a request may have.
        left = Math.max(0, left - each.matrix.rows / rowsMaxOf(each.model, each.explain))
      }
      return await work(checked)
    } finally {
      for (const { model } of checked) model.giveBack()
    }
  }

  function compute(
    { model, matrix, explain }: Checked,
    isAbandoned: IsAbandoned,
  ): Promise<Prediction> {
    const { manifest } = model
    const prediction = answers(model, matrix, { isAbandoned }).then((given) =>
      describe(manifest, matrix, given),
    )
    return explain ? explained(model, matrix, isAbandoned, prediction) : prediction
  }

  /** Asked for together, what and why come together. Whichever fails, the model is in use until both are over. */
  async function explained(
    { manifest, explanation }: ServedModel,
    { rows, values }: Matrix,
    isAbandoned: IsAbandoned,
    prediction: Promise<Prediction>,
  ): Promise<Prediction> {
    const { outputs, run } = explanation!
    const why = Promise.try(run, rows, values, isAbandoned)
    await Promise.allSettled([prediction, why])
    return { ...(await prediction), explanations: explanationsOf(manifest, outputs, await why) }
  }

  return {
    async predict(request, reader, isAbandoned) {
      const found = check(request, reader)
      const checked = found instanceof Promise ? await found : found
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

/** Where a request stands in what was sent, and what share of it those before it have left. */
interface Place {
  path: readonly PropertyKey[]
  left: number
}

/** Of shares that were taken off one after the other. */
const ROUNDING = 1e-6
const ALONE: Place = { path: [], left: 1 }
const REST = 'what the batches before it leave of a request'

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
