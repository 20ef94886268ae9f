import type { InferenceSession } from 'onnxruntime-node'

import { valuesARow } from './row-tensor.ts'

type Metadata = InferenceSession.ValueMetadata

/**
 * Which output of a model has its answers: the first of floats that is as wide as the manifest says,
 * or else the first that does not say how wide it is. Labels, which are no floats, are none.
 *
 * @throws {Error} with what the model returns instead.
 */
export function pickOutput(given: readonly Metadata[], outputWidth: number): string {
  const floats = given.filter(
    (output) => output.isTensor && (output.type === 'float32' || output.type === 'float64'),
  ) as InferenceSession.TensorValueMetadata[]
  const found =
    floats.find((output) => valuesARow(output) === outputWidth) ??
    floats.find((output) => valuesARow(output) === undefined)
  if (found !== undefined) return found.name
  const instead = given.map(described).join(', ')
  throw new Error(`returns ${instead} where the manifest has ${outputWidth} numbers a row`)
}

const described = (output: Metadata) =>
  output.isTensor
    ? `${output.name} (${output.type}, ${output.shape.map((size) => size || '?').join(' × ')})`
    : `${output.name} (no tensor)`
