import { describeOnnx, type OnnxDescription } from '../onnx/describe-onnx.ts'
import type { OnnxFile } from '../onnx/onnx-file.ts'
import type { Signature, SignatureInput } from './signature.ts'

/**
 * What an ONNX model says of itself: names and types of its inputs, and of its outputs as far as they are
 * labels or numbers.
 *
 * @throws {Error} in the words of the runtime.
 */
export async function onnxSignature({ bytes, classes }: OnnxFile): Promise<Signature> {
  const { inputs, outputs } = await describeOnnx(bytes)
  const answer = outputs.find(({ type }) => type === 'float')
  const hasLabels = outputs.some(({ type }) => type !== 'float')
  const isClasses = classes !== undefined || (hasLabels && answer?.width !== 1)
  return {
    library: 'onnx',
    kind: isClasses ? 'classification' : undefined,
    // A converter writes names in its own way, and one tensor of everything has none that a person chose.
    areNamesBinding: false,
    inputs: inputs.map((input) => inputOf(input, inputs.length > 1)),
    outputWidth: classes?.length ?? answer?.width,
    classes,
  }
}

const inputOf = (
  { name, type, width }: OnnxDescription['inputs'][number],
  isOneOfMany: boolean,
): SignatureInput => ({
  name: isOneOfMany ? name : undefined,
  width: isOneOfMany ? (width ?? 1) : width,
  isText: type === 'string',
  categories: undefined,
})
