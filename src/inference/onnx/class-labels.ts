import { constantLabels, LABELS_MAX } from './constant-labels.ts'
import type { Graph, Node } from './graph.ts'
import { Message } from './protobuf.ts'

/** What passes on what it is given: a label stays one, a probability that of its class. */
const PASSING = new Set([
  'Cast',
  'Flatten',
  'Identity',
  'Normalizer',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
])

/** Operators that name their classes. */
const NAMING = new Set(['LinearClassifier', 'SVMClassifier', 'TreeEnsembleClassifier', 'ZipMap'])

/** Picks labels out of a constant, by the position of the class. */
const PICKING = 'ArrayFeatureExtractor'

const LABELS = new Set(['classlabels_ints', 'classlabels_int64s', 'classlabels_strings'])
const STEPS_MAX = 16

/** Whether a node of this operator may say something about classes. */
export const tellsOfClasses = (operator: string) =>
  PASSING.has(operator) || NAMING.has(operator) || operator === PICKING

/**
 * What a model calls its classes, in the order of its probabilities: the node says so that an output
 * comes from, by way of such as pass on what they are given.
 *
 * @param graph with the nodes that `tellsOfClasses`.
 * @returns `undefined` where the model is no classifier, or gives the positions of its classes.
 * @throws {UnreadableModel} for a label that is no text.
 */
export function classLabels(bytes: Uint8Array, graph: Graph): string[] | undefined {
  const origins = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node])))
  const picked = graph.nodes.filter(({ operator }) => operator === PICKING)
  const constants = constantLabels(bytes, graph, new Set(picked.map(({ input }) => input ?? '')))

  const silent = new Set<Node>()

  /** Of a stack of classifiers those within may name theirs by numbers: the last to have a say is right. */
  function labelsFrom(output: string): string[] | undefined {
    let node = origins.get(output)
    for (let step = 0; node !== undefined && step < STEPS_MAX; step++) {
      if (node.operator === PICKING) return constants.get(node.input ?? '')
      if (silent.has(node)) return undefined
      if (NAMING.has(node.operator)) {
        const labels = labelsOf(bytes, node)
        if (labels === undefined) silent.add(node)
        return labels
      }
      node = origins.get(node.input ?? '')
    }
    return undefined
  }

  const isZipped = (output: string) => origins.get(output)?.operator === 'ZipMap'
  const names = graph.outputs.map(({ name }) => name)
  for (const name of [...names.filter(isZipped), ...names]) {
    const labels = labelsFrom(name)
    if (labels !== undefined) return labels
  }
  return undefined
}

/** The labels among the attributes of a node. */
function labelsOf(bytes: Uint8Array, { from, to }: Node): string[] | undefined {
  const node = new Message(bytes, from, to)
  while (node.next()) {
    if (!node.holds(5)) continue
    let name = ''
    const labels: string[] = []
    const attribute = node.message()
    while (attribute.next() && labels.length <= LABELS_MAX) {
      if (attribute.holds(1)) name = attribute.text()
      if (attribute.field === 8)
        labels.push(
          ...attribute
            .int64s()
            .take(LABELS_MAX + 1)
            .map(String),
        )
      if (attribute.holds(9)) labels.push(attribute.strictText())
    }
    if (LABELS.has(name) && labels.length > 0 && labels.length <= LABELS_MAX) return labels
  }
  return undefined
}
