import { serveWorker } from '../platform/pool/worker.ts'
import { openOnnxSession } from './onnx-session.ts'
import { requireWidths } from './require-widths.ts'
import { openTreePredictor } from './trees/tree-predictor.ts'

/** A model that the worker is to hold. */
export interface ModelFile {
  key: string
  path: string
  inputWidth: number
  outputWidth: number
}

/** What is asked of a model: its answers, or why they are what they are. */
export type Task = 'predict' | 'explain'

/** Rows for one model, row by row. */
export interface Batch {
  key: string
  task: Task
  rows: number
  values: Float64Array
}

interface Loaded {
  predict(rows: number, values: Float64Array): Float64Array | Promise<Float64Array>
  explanation?: { explain(rows: number, values: Float64Array): Float64Array }
  release?(): Promise<void>
}

const TRIAL_ROWS = 2

const models = new Map<string, Loaded>()

serveWorker<ModelFile[], undefined, Batch, Float64Array>({
  async start(files) {
    for (const file of files) models.set(file.key, await load(file))
    return undefined
  },
  async run({ key, task, rows, values }) {
    const model = models.get(key)
    if (model === undefined) throw new Error(`no model ${key}`)
    if (task === 'predict') return model.predict(rows, values)
    if (model.explanation === undefined) throw new Error(`${key} explains nothing`)
    return model.explanation.explain(rows, values)
  },
  async release() {
    for (const model of models.values()) await model.release?.()
    models.clear()
  },
})

/** Loads a model, and runs it once: that checks the shapes and warms it up. */
async function load(file: ModelFile): Promise<Loaded> {
  const { path, inputWidth } = file
  try {
    const model = await open(file)
    // More than one row: a model that was exported for a single one is found now.
    await model.predict(TRIAL_ROWS, new Float64Array(TRIAL_ROWS * inputWidth))
    return model
  } catch (error) {
    throw new Error(`${path} ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

async function open(file: ModelFile): Promise<Loaded> {
  const trees = openTreePredictor(await Bun.file(file.path).bytes())
  if (trees === undefined) return openOnnxSession(file)
  requireWidths(trees, file)
  return trees
}
