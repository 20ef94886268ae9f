import type { InferenceSession } from 'onnxruntime-node'

/** What the values of a tensor may be that rows go into. */
const TYPES = ['float32', 'float64', 'int32', 'int64', 'bool', 'string'] as const
export type RowType = (typeof TYPES)[number]

export const isRowType = (type: string): type is RowType =>
  (TYPES as readonly string[]).includes(type)

/** What a model takes of each row by one of its inputs. */
export interface RowInput {
  name: string
  type: RowType
  /** Of `[rows]` one, of `[rows, columns]` two. */
  rank: number
  /** How many columns; `undefined` where the model leaves it open. */
  width: number | undefined
}

/** @throws {Error} where the input takes nothing that rows can fill, as many as there are. */
export function rowInput(input: InferenceSession.ValueMetadata): RowInput {
  const { name } = input
  if (!input.isTensor || !isRowType(input.type)) {
    const given = input.isTensor ? input.type : 'no tensor'
    throw new Error(`takes ${given} as ${name} where one of ${TYPES.join(', ')} is expected`)
  }
  const { type, shape } = input
  const [rows, columns] = shape
  if (shape.length !== 1 && shape.length !== 2) {
    const given = shape.length === 0 ? 'one value' : `${shape.length} dimensions`
    throw new Error(`takes ${given} as ${name} where rows and columns are expected`)
  }
  if (typeof rows === 'number') {
    throw new Error(`takes ${rows} rows at a time where any number is expected`)
  }
  const open = typeof columns === 'number' ? columns : undefined
  return { name, type, rank: shape.length, width: shape.length === 1 ? 1 : open }
}

/**
 * How many values of an output belong to a row, whatever their arrangement.
 *
 * @returns `undefined` where the model leaves it open.
 */
export function valuesARow({ shape }: InferenceSession.TensorValueMetadata): number | undefined {
  if (shape.length === 0) return undefined
  let values = 1
  for (const size of shape.slice(1)) {
    if (typeof size !== 'number') return undefined
    values *= size
  }
  return values
}
