import type { Harness, TestRequest } from './harness.ts'
import type { MixedModel, Said } from './mixed-models.ts'

/** Rows that are asked of one model, at once. */
export interface Asking {
  model: MixedModel
  rows: readonly number[]
  /** By number, or whichever traffic leads to. */
  version: number | undefined
  /** A value that one of the rows has instead of its own. */
  poison: number | undefined
}

/** What was answered of one model's rows. */
interface Answered {
  said: Said[]
  /** Where the answer names it. */
  version: number | undefined
}

/** A request in one of the forms that there are, and how its answer is read. */
export interface Form {
  /** Whether it asks several models at once. */
  isBatch: boolean
  requestOf(asking: readonly Asking[]): TestRequest
  read(response: Response): Promise<Answered[]>
}

interface Prediction {
  predictions: (number | string)[]
  probabilities?: Record<string, number>[]
  model_version: string
}

interface Infer {
  model_version: string
  outputs: { name: string; data: (number | string)[] }[]
}

function featuresOf({ model, rows, poison }: Asking): Record<string, number>[] {
  return rows.map((row, at) => {
    const values = at === 0 && poison !== undefined ? [poison] : []
    return Object.fromEntries(
      model.inputs.map((name, place) => [name, values[place] ?? model.rows[row]![place]!]),
    )
  })
}

const orderOf = (asking: Asking) => ({
  model_type: asking.model.name,
  features: featuresOf(asking),
  ...(asking.version === undefined ? {} : { model_version: String(asking.version) }),
})

function answerOf({ predictions, probabilities, model_version }: Prediction): Answered {
  const said = predictions.map((label, at) =>
    typeof label === 'number' ? label : { label, probability: probabilities![at]![label]! },
  )
  return { said, version: Number(model_version) }
}

const one: Form = {
  isBatch: false,
  requestOf: ([asking]) => ({ path: '/api/v1/predict', body: orderOf(asking!) }),
  read: async (response) => [answerOf((await response.json()) as Prediction)],
}

const batch: Form = {
  isBatch: true,
  requestOf: (asking) => ({
    path: '/api/v1/predict/batch',
    body: { batches: asking.map(orderOf) },
  }),
  async read(response) {
    const { results } = (await response.json()) as { results: Prediction[] }
    return results.map(answerOf)
  },
}

const ndjson: Form = {
  isBatch: false,
  requestOf: ([asking]) => ({
    method: 'POST',
    path: `/api/v1/models/${asking!.model.name}/predict${asking!.version === undefined ? '' : `?version=${asking!.version}`}`,
    headers: { 'content-type': 'application/x-ndjson' },
    body: featuresOf(asking!)
      .map((row) => JSON.stringify(row))
      .join('\n'),
  }),
  async read(response) {
    const lines = (await response.text()).trim().split('\n')
    const said = lines.map((line): Said => {
      const row = JSON.parse(line) as Record<string, unknown>
      const [answer] = Object.values(row) as [number | string]
      if (typeof answer === 'number') return answer
      const { probabilities } = row as { probabilities: Record<string, number> }
      return { label: answer, probability: probabilities[answer]! }
    })
    return [{ said, version: undefined }]
  },
}

const infer: Form = {
  isBatch: false,
  requestOf: ([asking]) => {
    const { model, version, rows } = asking!
    const features = featuresOf(asking!)
    const place = version === undefined ? '' : `/versions/${version}`
    const inputs = model.inputs.map((name) => ({
      name,
      datatype: 'FP64',
      shape: [rows.length, 1],
      data: features.map((row) => row[name]!),
    }))
    return { path: `/v2/models/${model.name}${place}/infer`, body: { inputs } }
  },
  async read(response) {
    const { model_version, outputs } = (await response.json()) as Infer
    const [answers, probabilities] = outputs
    const width = (probabilities?.data.length ?? 0) / answers!.data.length
    const said = answers!.data.map((answer, at): Said => {
      if (typeof answer === 'number') return answer
      const ofRow = probabilities!.data.slice(at * width, (at + 1) * width).map(Number)
      return { label: answer, probability: Math.max(...ofRow) }
    })
    return [{ said, version: Number(model_version) }]
  },
}

export const forms: readonly Form[] = [one, batch, ndjson, infer]

/** What became of a request: an answer, or the problem that stands in its place. */
export type Outcome =
  | { status: number; answers: Answered[] }
  | { status: number; problem: string; answers?: undefined }

export async function send(
  harness: Harness,
  form: Form,
  asking: readonly Asking[],
  token: string,
): Promise<Outcome> {
  const response = await harness.request({ ...form.requestOf(asking), token })
  const { status } = response
  if (status !== 200) return { status, problem: await response.text() }
  try {
    return { status, answers: await form.read(response) }
  } catch {
    return { status, problem: 'broken off' }
  }
}
