import { Message } from './protobuf.ts'

/** A node, as far as labels go. */
export interface Node {
  operator: string
  /** The names of its first input, and of its first two outputs. */
  input: string | undefined
  outputs: string[]
  /** Where it lies in the file: with its tag, and without. */
  start: number
  from: number
  to: number
}

/** What a graph gives, and where it says so. */
interface Output {
  name: string
  start: number
  to: number
}

/** The outermost graph of a model, and where it lies: with its tag, and without. */
export interface Graph {
  start: number
  from: number
  to: number
  nodes: Node[]
  outputs: Output[]
}

const OUTPUTS_MAX = 2

/**
 * Finds the graph of a model.
 *
 * @param bytes a ModelProto.
 * @param isOfInterest which operators' nodes are kept: a network may have a million of others.
 * @throws {UnreadableModel} where the file is broken.
 */
export function readGraph(
  bytes: Uint8Array,
  isOfInterest: (operator: string) => boolean,
): Graph | undefined {
  const model = new Message(bytes)
  while (model.next()) {
    if (!model.holds(7)) continue
    const { start, from, to } = model
    return { start, from, to, ...contentOf(model.message(), isOfInterest) }
  }
  return undefined
}

function contentOf(graph: Message, isOfInterest: (operator: string) => boolean) {
  const nodes: Node[] = []
  const outputs: Output[] = []
  while (graph.next()) {
    if (graph.holds(1) && isOfInterest(textOf(graph.message(), 4))) nodes.push(readNode(graph))
    if (graph.holds(12)) {
      const { start, to } = graph
      outputs.push({ name: textOf(graph.message(), 1), start, to })
    }
  }
  return { nodes, outputs }
}

/** @param at where a graph has a node. */
function readNode(at: Message): Node {
  const { start, from, to } = at
  const found: Node = { operator: '', input: undefined, outputs: [], start, from, to }
  const node = at.message()
  while (node.next()) {
    if (node.holds(1)) found.input ??= node.text()
    if (node.holds(2) && found.outputs.length < OUTPUTS_MAX) found.outputs.push(node.text())
    if (node.holds(4)) found.operator = node.text()
  }
  return found
}

/** The text in a field; of several the last, as runtimes have it. */
export function textOf(message: Message, field: number): string {
  let text = ''
  while (message.next()) if (message.holds(field)) text = message.text()
  return text
}
