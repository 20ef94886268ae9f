import { UnreadableModel } from '../unreadable-model.ts'
import { Message } from './protobuf.ts'

/** The messages of onnx.proto that hold others, or that are looked into. */
export type Kind =
  | 'model'
  | 'training'
  | 'function'
  | 'graph'
  | 'node'
  | 'attribute'
  | 'tensor'
  | 'sparse tensor'
  | 'value'
  | 'type'
  | 'type of items'
  | 'type of a map'

/** Once: runtimes merge what is there twice, and so see what is in neither. */
type Held = Kind | readonly [Kind, 'once']

/** Which field of a message holds which others. */
const HELD: Readonly<Record<Kind, Readonly<Record<number, Held>>>> = {
  model: { 7: ['graph', 'once'], 20: 'training', 25: 'function' },
  training: { 1: ['graph', 'once'], 2: ['graph', 'once'] },
  function: {},
  graph: { 1: 'node', 5: 'tensor', 11: 'value', 12: 'value', 13: 'value', 15: 'sparse tensor' },
  node: { 5: 'attribute' },
  attribute: {
    5: ['tensor', 'once'],
    6: ['graph', 'once'],
    10: 'tensor',
    11: 'graph',
    14: ['type', 'once'],
    15: 'type',
    22: ['sparse tensor', 'once'],
    23: 'sparse tensor',
  },
  tensor: {},
  'sparse tensor': {},
  value: { 2: ['type', 'once'] },
  type: {
    4: ['type of items', 'once'],
    5: ['type of a map', 'once'],
    9: ['type of items', 'once'],
  },
  'type of items': { 1: ['type', 'once'] },
  'type of a map': { 2: ['type', 'once'] },
}

/** A graph within a graph takes three; no converter comes near it, and the runtime's limit is 100. */
const DEPTH_MAX = 64

/** Several times what the largest networks have, and few enough to remember each. */
const PARTS_MAX = 1_000_000

/**
 * Goes through all the messages of a file, those within others too.
 *
 * @param visit is given each with none of its fields read.
 * @throws {UnreadableModel} where the file is broken, and where it is nested or divided beyond reason.
 */
export function visitParts(bytes: Uint8Array, visit: (kind: Kind, part: Message) => void): void {
  let parts = 0

  function go(kind: Kind, from: number, to: number, depth: number): void {
    parts += 1
    if (parts > PARTS_MAX) {
      throw new UnreadableModel(`The model has more than ${PARTS_MAX} nodes and other parts.`)
    }
    if (depth > DEPTH_MAX) {
      throw new UnreadableModel(`The model is nested more than ${DEPTH_MAX} deep.`)
    }
    visit(kind, new Message(bytes, from, to))

    const held = HELD[kind]
    const part = new Message(bytes, from, to)
    let seen = 0
    while (part.next()) {
      const found = held[part.field]
      if (found === undefined || !part.holds(part.field)) continue
      const [inner, isOnce] = typeof found === 'string' ? [found, undefined] : found
      if (isOnce && (seen & (1 << part.field)) !== 0) {
        throw new UnreadableModel(`The ONNX file is broken: a ${kind} has one ${inner} twice.`)
      }
      seen |= 1 << part.field
      go(inner, part.from, part.to, depth + 1)
    }
  }

  go('model', 0, bytes.length, 0)
}
