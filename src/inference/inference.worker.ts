import { InferenceSession, Tensor } from 'onnxruntime-node'

import { serveWorker } from '../platform/pool/worker.ts'

/** A model that the worker is to hold. */
export interface ModelFile {
  key: string
  path: string
  inputWidth: number
  outputWidth: number
}

/** Rows for one model, row by row. */
export interface Batch {
  key: string
  rows: number
  values: Float64Array
}

interface Loaded {
  session: InferenceSession
  input: string
  output: string
  type: 'float32' | 'float64'
  width: number
  outputWidth: number
}

/** One thread a session: the pool is what runs side by side. */
const OPTIONS = { intraOpNumThreads: 1, interOpNumThreads: 1 } as const

const TRIAL_ROWS = 2

const models = new Map<string, Loaded>()

serveWorker<ModelFile[], undefined, Batch, Float64Array>({
  async start(files) {
    for (const file of files) models.set(file.key, await load(file))
    return undefined
  },
  async run({ key, rows, values }) {
    const model = models.get(key)
    if (model === undefined) throw new Error(`no model ${key}`)
    return predict(model, rows, values)
  },
  async release() {
    for (const { session } of models.values()) await session.release()
    models.clear()
  },
})

/** Loads a model, and runs it once: that checks the shapes and warms it up. */
async function load({ path, inputWidth, outputWidth }: ModelFile): Promise<Loaded> {
  try {
    const session = await InferenceSession.create(path, OPTIONS)
    const [input] = session.inputMetadata
    const [output] = session.outputMetadata
    if (input === undefined || output === undefined || session.inputNames.length !== 1) {
      throw new Error(`has the inputs ${session.inputNames.join(', ')} where one is expected`)
    }
    if (!input.isTensor || (input.type !== 'float32' && input.type !== 'float64')) {
      throw new Error(
        `takes ${input.isTensor ? input.type : 'no tensor'} where floats are expected`,
      )
    }
    const width = input.shape[1]
    if (input.shape.length !== 2 || (typeof width === 'number' && width !== inputWidth)) {
      throw new Error(
        `takes ${input.shape.join(' × ')} where the manifest has ${inputWidth} columns`,
      )
    }
    const model = {
      session,
      input: input.name,
      output: output.name,
      type: input.type,
      width: inputWidth,
      outputWidth,
    }
    // More than one row: a model that was exported for a single one is found now.
    await predict(model, TRIAL_ROWS, new Float64Array(TRIAL_ROWS * inputWidth))
    return model
  } catch (error) {
    throw new Error(`${path} ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

async function predict(
  { session, input, output, type, width, outputWidth }: Loaded,
  rows: number,
  values: Float64Array,
): Promise<Float64Array> {
  const data = type === 'float64' ? values : Float32Array.from(values)
  const results = await session.run({ [input]: new Tensor(type, data, [rows, width]) }, [output])
  const result = results[output]?.data
  if (!(result instanceof Float64Array) && !(result instanceof Float32Array)) {
    throw new Error(`returns ${results[output]?.type ?? 'nothing'} where floats are expected`)
  }
  if (result.length !== rows * outputWidth) {
    const given = `${result.length} values for ${rows} rows`
    throw new Error(`returns ${given} where the manifest has ${outputWidth} a row`)
  }
  return result instanceof Float64Array ? result : Float64Array.from(result)
}
