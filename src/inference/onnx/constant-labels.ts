import { type Graph, textOf } from './graph.ts'
import { Message } from './protobuf.ts'

/** More are something else. */
export const LABELS_MAX = 10_000

/** TensorProto.DataType */
const INT32 = 6
const INT64 = 7

/**
 * The constants of a graph with these names that may be labels: texts, or whole numbers as texts.
 *
 * @throws {UnreadableModel} for a text that is none.
 */
export function constantLabels(
  bytes: Uint8Array,
  { from, to }: Graph,
  names: ReadonlySet<string>,
): Map<string, string[]> {
  const found = new Map<string, string[]>()
  if (names.size === 0) return found
  const graph = new Message(bytes, from, to)
  while (graph.next()) {
    if (!graph.holds(5)) continue
    const name = textOf(graph.message(), 8)
    const labels = names.has(name) ? readLabels(graph.message()) : []
    if (labels.length > 0 && labels.length <= LABELS_MAX) found.set(name, labels)
  }
  return found
}

function readLabels(tensor: Message): string[] {
  let type = 0
  let raw: DataView = new DataView(new ArrayBuffer(0))
  const labels: string[] = []
  while (tensor.next() && labels.length <= LABELS_MAX) {
    const { field, bytes, from, to } = tensor
    if (field === 2) type = tensor.value
    if (tensor.holds(6)) labels.push(tensor.strictText())
    if (field === 5 || field === 7)
      labels.push(
        ...tensor
          .int64s()
          .take(LABELS_MAX + 1)
          .map(String),
      )
    if (tensor.holds(9)) raw = new DataView(bytes.buffer, bytes.byteOffset + from, to - from)
  }
  const size = type === INT64 ? 8 : 4
  if ((type !== INT32 && type !== INT64) || raw.byteLength > LABELS_MAX * size) return labels
  for (let at = 0; at + size <= raw.byteLength; at += size) {
    labels.push(String(type === INT64 ? raw.getBigInt64(at, true) : raw.getInt32(at, true)))
  }
  return labels
}
