import { type Graph, type Node } from './graph.ts'
import { written } from './protobuf.ts'

/** GraphProto.output, ValueInfoProto.name, ModelProto.graph */
const OUTPUT = 12
const NAME = 1
const GRAPH = 7

/** A part of a file, and what takes its place. */
interface Edit {
  start: number
  to: number
  by: Uint8Array
}

/**
 * A model without the ZipMaps at its end, which make a list of dictionaries out of probabilities, by
 * default in what sklearn-onnx writes. What went into each is the output instead, by its own name;
 * its type is left to the runtime, which infers it: a ZipMap takes floats alone, but the converters
 * put one behind doubles too.
 *
 * @param bytes a ModelProto.
 * @param graph with all nodes that are a ZipMap.
 * @returns the same bytes where there is none.
 */
export function withoutZipMaps(
  bytes: Uint8Array,
  { start, from, to, nodes, outputs }: Graph,
): Uint8Array {
  const given = new Set(outputs.map(({ name }) => name))
  const zipMaps = new Map<string, Node>()
  for (const node of nodes) {
    const [output] = node.outputs
    if (node.operator !== 'ZipMap' || node.input === undefined) continue
    if (output !== undefined && given.has(output)) zipMaps.set(output, node)
  }
  if (zipMaps.size === 0) return bytes

  const edits: Edit[] = []
  for (const { start, to } of zipMaps.values()) edits.push({ start, to, by: new Uint8Array() })
  for (const output of outputs) {
    const input = zipMaps.get(output.name)?.input
    if (input === undefined) continue
    edits.push({ ...output, by: given.has(input) ? new Uint8Array() : outputNamed(input) })
    given.add(input)
  }
  const content = edited(bytes, from, to, edits)
  return Buffer.concat([bytes.subarray(0, start), ...written(GRAPH, content), bytes.subarray(to)])
}

const outputNamed = (name: string) =>
  Buffer.concat(written(OUTPUT, written(NAME, [new TextEncoder().encode(name)])))

/** The parts of a range, with what takes the place of some. */
function edited(bytes: Uint8Array, from: number, to: number, edits: readonly Edit[]): Uint8Array[] {
  const parts: Uint8Array[] = []
  let at = from
  for (const edit of edits.toSorted((one, other) => one.start - other.start)) {
    parts.push(bytes.subarray(at, edit.start), edit.by)
    at = edit.to
  }
  parts.push(bytes.subarray(at, to))
  return parts
}
