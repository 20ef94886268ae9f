import type { ModelInput } from '../manifest.ts'
import { assignColumns, type InputColumns } from './input-columns.ts'
import { inputTensor } from './input-tensor.ts'
import { pickOutput } from './pick-output.ts'
import { createSession } from './session.ts'

/** A model that ONNX Runtime runs. */
export interface OnnxSession {
  /**
   * @param values row by row, the columns of the manifest's inputs in their order; NaN is missing.
   * @returns row by row, `outputWidth` a row.
   * @throws {Error} for a value that the model has no place for, and where it returns anything else.
   */
  predict(rows: number, values: Float64Array): Promise<Float64Array>
  /** The columns, by their position in a row, that take whole numbers alone. */
  integerColumns: ReadonlySet<number>
  release(): Promise<void>
}

/** @throws {Error} with what of its shapes or types is not as expected. */
export async function openOnnxSession({
  model,
  inputs,
  outputWidth,
}: {
  /** The path of the file, or what is in it. */
  model: string | Uint8Array
  inputs: readonly ModelInput[]
  /** Columns of the output: of a classification its probabilities. */
  outputWidth: number
}): Promise<OnnxSession> {
  const session = await createSession(model)
  let assigned: InputColumns[]
  let output: string
  try {
    assigned = assignColumns(session.inputMetadata, inputs)
    output = pickOutput(session.outputMetadata, outputWidth)
  } catch (error) {
    await session.release()
    throw error
  }
  const width = assigned.reduce((sum, { columns }) => sum + columns.length, 0)

  return {
    async predict(rows, values) {
      const feeds = Object.fromEntries(
        assigned.map((input) => [input.name, inputTensor(input, rows, values, width)]),
      )
      const { [output]: result } = await session.run(feeds, [output])
      const data = result?.data
      if (!(data instanceof Float64Array) && !(data instanceof Float32Array)) {
        throw new Error(`returns ${result?.type ?? 'nothing'} where floats are expected`)
      }
      if (result?.dims[0] !== rows || data.length !== rows * outputWidth) {
        const given = `${data.length} values for ${rows} rows`
        throw new Error(`returns ${given} where the manifest has ${outputWidth} a row`)
      }
      return data instanceof Float64Array ? data : new Float64Array(data)
    },
    integerColumns: new Set(assigned.filter(takesIntegers).flatMap(positionsOf)),
    release: () => session.release(),
  }
}

const takesIntegers = ({ type }: InputColumns) =>
  type === 'int32' || type === 'int64' || type === 'bool'

const positionsOf = ({ offset, columns }: InputColumns) => columns.map((_, index) => offset + index)
