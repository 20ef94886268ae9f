/** The datatypes of the Open Inference Protocol, with their bytes; one of `BYTES` says its own length. */
export const DATATYPE_BYTES = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: undefined,
} as const

export type Datatype = keyof typeof DATATYPE_BYTES

/** Values in row-major order: text for `BYTES`, numbers for all others, NaN for what is missing. */
export interface Tensor {
  name: string
  datatype: Datatype
  shape: number[]
  values: readonly number[] | readonly string[] | Float64Array
}

/** What is wrong with a request, in words for its sender. */
export class BadTensor extends Error {
  override name = 'BadTensor'
}

const DIMENSIONS_MAX = 8

/** @throws {BadTensor} for a shape that none can have. */
export function countOf(name: string, shape: readonly number[]): number {
  if (shape.length === 0 || shape.length > DIMENSIONS_MAX) {
    throw new BadTensor(`The tensor "${name}" has ${shape.length} dimensions, not 1 to 8.`)
  }
  const count = shape.reduce((product, size) => product * size, 1)
  if (Number.isSafeInteger(count)) return count
  throw new BadTensor(`The tensor "${name}" would have ${count} values.`)
}
