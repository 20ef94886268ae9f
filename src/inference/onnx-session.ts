import { InferenceSession, Tensor } from 'onnxruntime-node'

/** A model that ONNX Runtime runs. */
export interface OnnxSession {
  /** @returns row by row, `outputWidth` a row. */
  predict(rows: number, values: Float64Array): Promise<Float64Array>
  release(): Promise<void>
}

/** One thread a session: the pool is what runs side by side. */
const OPTIONS = { intraOpNumThreads: 1, interOpNumThreads: 1 } as const

/** @throws {Error} with what of its shapes or types is not as expected. */
export async function openOnnxSession(
  bytes: Uint8Array,
  /** Columns of the one input, and of the first output. */
  { inputWidth, outputWidth }: { inputWidth: number; outputWidth: number },
): Promise<OnnxSession> {
  const session = await InferenceSession.create(bytes, OPTIONS)
  const [input] = session.inputMetadata
  const [output] = session.outputMetadata
  if (input === undefined || output === undefined || session.inputNames.length !== 1) {
    throw new Error(`has the inputs ${session.inputNames.join(', ')} where one is expected`)
  }
  if (!input.isTensor || (input.type !== 'float32' && input.type !== 'float64')) {
    throw new Error(`takes ${input.isTensor ? input.type : 'no tensor'} where floats are expected`)
  }
  const width = input.shape[1]
  if (input.shape.length !== 2 || (typeof width === 'number' && width !== inputWidth)) {
    throw new Error(`takes ${input.shape.join(' × ')} where the manifest has ${inputWidth} columns`)
  }
  const { name: from, type } = input
  const { name: to } = output

  return {
    async predict(rows, values) {
      const data = type === 'float64' ? values : Float32Array.from(values)
      const results = await session.run({ [from]: new Tensor(type, data, [rows, inputWidth]) }, [
        to,
      ])
      const result = results[to]?.data
      if (!(result instanceof Float64Array) && !(result instanceof Float32Array)) {
        throw new Error(`returns ${results[to]?.type ?? 'nothing'} where floats are expected`)
      }
      if (result.length !== rows * outputWidth) {
        const given = `${result.length} values for ${rows} rows`
        throw new Error(`returns ${given} where the manifest has ${outputWidth} a row`)
      }
      return result instanceof Float64Array ? result : Float64Array.from(result)
    },
    release: () => session.release(),
  }
}
