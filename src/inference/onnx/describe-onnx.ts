import { isRowType, rowInput, type RowType, valuesARow } from './row-tensor.ts'
import { createSession } from './session.ts'

/** What a model takes and gives, as far as it says so itself. */
export interface OnnxDescription {
  inputs: Described[]
  /** Those that are tensors of one of the types. */
  outputs: Described[]
}

interface Described {
  name: string
  type: 'float' | 'integer' | 'string' | 'boolean'
  /** Values a row; `undefined` where the model leaves it open. */
  width: number | undefined
}

const NAMES: Readonly<Record<RowType, Described['type']>> = {
  float32: 'float',
  float64: 'float',
  int32: 'integer',
  int64: 'integer',
  bool: 'boolean',
  string: 'string',
}

/**
 * Describes a model that comes without a manifest.
 *
 * @param model the path of a file, or what is in it.
 * @throws {Error} where the runtime refuses it, or takes by an input what rows can't fill.
 */
export async function describeOnnx(model: string | Uint8Array): Promise<OnnxDescription> {
  // What is only looked at needs not be made fast, for which the runtime computes all constants.
  const session = await createSession(model, { graphOptimizationLevel: 'disabled' })
  try {
    const inputs = session.inputMetadata.map((input) => {
      const { name, type, width } = rowInput(input)
      return { name, type: NAMES[type], width }
    })
    const outputs: Described[] = []
    for (const output of session.outputMetadata) {
      if (!output.isTensor || !isRowType(output.type)) continue
      outputs.push({ name: output.name, type: NAMES[output.type], width: valuesARow(output) })
    }
    return { inputs, outputs }
  } finally {
    await session.release()
  }
}
