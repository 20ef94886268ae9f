import { serveWorker } from '../../platform/pool/worker.ts'
import { readTreeModel } from '../trees/read-tree-model.ts'
import type { TreeModel } from '../trees/tree-model.ts'
import { type LoadedModel, loadModel, type ModelShape } from './load-model.ts'

/** A model that the worker is to hold. */
export interface ModelFile extends ModelShape {
  key: string
  path: string
  /** SHA-256 of the file, base64url. */
  digest: string
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

/** What a thread does: rows, models that come and go, or to read one for the request thread. */
export type InferenceJob = Batch | { load: ModelFile } | { unload: string } | { read: string }

/** Of a batch its answers, row by row; of a file its trees, where it has some. */
export type InferenceResult = Float64Array | { trees: TreeModel | undefined }

/** What a thread is to have before its first job. */
export interface ThreadStart {
  files: ModelFile[]
  /** Whether it does not start without one of them. */
  isStrict: boolean
}

const NOTHING = new Float64Array()

const models = new Map<string, LoadedModel>()
/** Why a model is not there. */
const faults = new Map<string, unknown>()

serveWorker<ThreadStart, undefined, InferenceJob, InferenceResult>({
  async start({ files, isStrict }) {
    for (const file of files) {
      try {
        await load(file)
      } catch (error) {
        if (isStrict) throw error
        faults.set(file.key, error)
      }
    }
    return undefined
  },
  async run(job) {
    if ('load' in job) await load(job.load)
    else if ('unload' in job) await unload(job.unload)
    else if ('read' in job) return { trees: readTreeModel(await Bun.file(job.read).bytes()) }
    else return answer(job)
    return NOTHING
  },
  async release() {
    for (const key of models.keys()) await unload(key)
  },
})

async function load(file: ModelFile): Promise<void> {
  const { key, path } = file
  if (models.has(key)) return
  try {
    const bytes = await Bun.file(path).bytes()
    requireDigest(bytes, file)
    models.set(key, await loadModel(bytes, file))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${path} ${reason}`, { cause: error })
  }
}

/** A damaged file may load, and say something else. */
function requireDigest(bytes: Uint8Array, { digest }: ModelFile): void {
  const found = new Bun.CryptoHasher('sha256').update(bytes).digest('base64url')
  if (found !== digest) throw new Error('is not what was stored: its SHA-256 is another one')
}

async function unload(key: string): Promise<void> {
  const model = models.get(key)
  models.delete(key)
  faults.delete(key)
  await model?.release?.()
  // What the model was made of would stay until this thread needs the memory for something else.
  Bun.gc(true)
}

function answer({ key, task, rows, values }: Batch): Float64Array | Promise<Float64Array> {
  const model = models.get(key)
  if (model === undefined) throw faults.get(key) ?? new Error(`no model ${key}`)
  if (task === 'predict') return model.predict(rows, values)
  if (model.explanation === undefined) throw new Error(`${key} explains nothing`)
  return model.explanation.explain(rows, values)
}
