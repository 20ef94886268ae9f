import { UnreadableModel } from '../unreadable-model.ts'
import { classLabels, tellsOfClasses } from './class-labels.ts'
import { readGraph } from './graph.ts'
import { Message } from './protobuf.ts'
import { requireSafe } from './require-safe.ts'
import { withoutZipMaps } from './zip-map.ts'

/** A model in ONNX that may be run. */
export interface OnnxFile {
  /** A ModelProto whose outputs are tensors; what was given, if nothing had to be changed. */
  bytes: Uint8Array
  /** What the model calls its classes, in the order of its probabilities, if it says so. */
  classes: string[] | undefined
}

/** So all writers begin: ModelProto.ir_version, a number that grew to 13 in ten years. */
const beginsAsOnnx = ([tag, version]: Uint8Array) => tag === 0x08 && version! < 0x40

/**
 * Reads an ONNX file, and prepares it for a session.
 *
 * @returns `undefined` for what is none.
 * @throws {UnreadableModel} with what is wrong, or what is not run here.
 */
export function readOnnx(bytes: Uint8Array): OnnxFile | undefined {
  // By these the runtime knows its own format, and would look at nothing that was checked here.
  if (String.fromCharCode(...bytes.subarray(4, 8)) === 'ORTM') {
    throw new UnreadableModel(
      "The file is in ONNX Runtime's own format. Send the ONNX file that it was made from.",
    )
  }
  if (!looksLikeOnnx(bytes)) return undefined
  requireSafe(bytes)
  const graph = readGraph(bytes, tellsOfClasses)
  if (graph === undefined) return undefined
  return { bytes: withoutZipMaps(bytes, graph), classes: classLabels(bytes, graph) }
}

/** Whether a file has what a ModelProto must: a graph, and whose operators it uses. */
function looksLikeOnnx(bytes: Uint8Array): boolean {
  const model = new Message(bytes)
  let hasGraph = false
  let hasOperators = false
  try {
    while (model.next()) {
      hasGraph ||= model.holds(7)
      hasOperators ||= model.holds(8)
    }
  } catch (error) {
    if (beginsAsOnnx(bytes)) throw error
    return false
  }
  return hasGraph && hasOperators
}
