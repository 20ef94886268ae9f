import { UnreadableModel } from '../unreadable-model.ts'
import { visitParts } from './parts.ts'
import type { Message } from './protobuf.ts'
import { quoted } from './quoted.ts'
import { requireData } from './tensor-data.ts'

/** Whose operators ONNX Runtime has. */
const DOMAINS = new Set([
  '',
  'ai.onnx',
  'ai.onnx.ml',
  'ai.onnx.training',
  'ai.onnx.preview.training',
  'com.microsoft',
  'com.microsoft.nchwc',
])

/**
 * Refuses a model that reaches beyond its own file, that asks for operators nobody here has, and
 * that promises more than the file can hold. All of it is looked at once, subgraphs and attributes too.
 *
 * @param bytes a ModelProto.
 * @throws {UnreadableModel}
 */
export function requireSafe(bytes: Uint8Array): void {
  visitParts(bytes, (kind, part) => {
    if (kind === 'tensor') requireData(part)
    if (kind === 'node') requireKnownOperator(part)
    if (kind === 'sparse tensor') {
      throw new UnreadableModel('The model has a sparse tensor. Save it with dense ones.')
    }
    // A function that calls another twice, and so on, is a small file and an endless graph.
    if (kind === 'function') {
      throw new UnreadableModel(
        'The model brings functions of its own. Put them in where they are called: ' +
          'onnx.inliner.inline_local_functions(model).',
      )
    }
  })
}

function requireKnownOperator(node: Message): void {
  let operator = ''
  const domains: string[] = []
  while (node.next()) {
    if (node.holds(4)) operator = node.text()
    if (node.holds(7)) domains.push(node.text())
  }
  const stranger = domains.find((domain) => !DOMAINS.has(domain))
  if (stranger === undefined) return
  throw new UnreadableModel(
    `The model needs the operator ${quoted(operator)} of ${quoted(stranger)}, ` +
      'which neither ONNX has nor ONNX Runtime.',
  )
}
