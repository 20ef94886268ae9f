import { UnreadableModel } from '../unreadable-model.ts'
import { createEnsembleBuilder, type TreeNode } from './ensemble-builder.ts'
import type { Link } from './links.ts'
import type { TreeFeature, TreeModel } from './tree-model.ts'

/** Bits of `decision_type`, and its kinds of missing values (include/LightGBM/tree.h). */
const IS_CATEGORICAL = 1
const IS_DEFAULT_LEFT = 2
const ZERO_IS_MISSING = 1
const NAN_IS_MISSING = 2

type Fields = Map<string, string>

/** Whether a file begins as LightGBM's text does. */
export const looksLikeLightgbm = (text: string) => /^tree\r?\n/.test(text)

/**
 * Reads what `lgb.save`, `booster.save_model` and `saveRDS.lgb.Booster` write as text.
 *
 * Leaves hold what is added: the learning rate, the weights of dropped trees and the average that boosting
 * began from are in them already.
 *
 * @throws {UnreadableModel} with what is wrong, or what has no place here.
 */
export function readLightgbm(text: string): TreeModel {
  const lines = text.split(/\r?\n/)
  const firstTree = lines.findIndex((line) => line.startsWith('Tree='))
  const end = lines.indexOf('end of trees')
  if (firstTree === -1 || end === -1) {
    throw new UnreadableModel('The file of LightGBM breaks off: it has no "end of trees".')
  }
  const header = fieldsOf(lines.slice(0, firstTree))
  const width = count(header, 'max_feature_idx') + 1
  const perIteration = count(header, 'num_tree_per_iteration')
  const starts = lines.flatMap((line, at) => (line.startsWith('Tree=') && at < end ? [at] : []))
  if (perIteration === 0 || starts.length % perIteration !== 0) {
    throw new UnreadableModel(`${starts.length} trees are no multiple of ${perIteration} a round.`)
  }
  const builder = createEnsembleBuilder({
    width,
    groups: perIteration,
    isFloat32: false,
    base: Array.from({ length: perIteration }, () => 0),
    divisor: header.has('average_output') ? starts.length / perIteration : 1,
  })
  for (const [index, start] of starts.entries()) {
    const tree = fieldsOf(lines.slice(start, starts[index + 1] ?? end))
    builder.add(readTree(tree, index), index % perIteration)
  }
  const objective = header.get('objective') ?? 'none'
  return {
    library: 'lightgbm',
    objective,
    features: featuresOf(header, width, lines.slice(end)),
    ensemble: builder.build(),
    link: linkOf(objective, perIteration),
  }
}

function fieldsOf(lines: readonly string[]): Fields {
  return new Map(
    lines.map((line) => {
      const at = line.indexOf('=')
      return at === -1 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)]
    }),
  )
}

function count(fields: Fields, key: string): number {
  const value = Number(fields.get(key))
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new UnreadableModel(`"${key}" is "${fields.get(key) ?? ''}" where a count is expected.`)
}

function numbers(tree: Fields, key: string, length: number): number[] {
  const text = tree.get(key)?.trim() ?? ''
  const values = text === '' ? [] : text.split(/\s+/).map(numberOf)
  if (values.length === length) return values
  throw new UnreadableModel(
    `Tree ${tree.get('Tree')} has ${values.length} of "${key}", not ${length}.`,
  )
}

/** As C++ writes them: `Number` knows neither `inf` nor `nan`. */
function numberOf(text: string): number {
  const value = Number(text)
  if (!Number.isNaN(value) && text !== '') return value
  const named = /^([+-]?)(inf|infinity|nan)$/i.exec(text)
  if (named === null) throw new UnreadableModel(`"${text.slice(0, 40)}" is no number.`)
  if (named[2]!.toLowerCase() === 'nan') return Number.NaN
  return named[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

function readTree(tree: Fields, index: number): TreeNode[] {
  if (tree.get('is_linear') === '1') {
    throw new UnreadableModel(
      'The leaves of this LightGBM model are linear (linear_tree): only constant ones can be served.',
    )
  }
  const leaves = count(tree, 'num_leaves')
  if (leaves === 0) throw new UnreadableModel(`Tree ${index} has no leaves.`)
  const splits = leaves - 1
  const leafValues = numbers(tree, 'leaf_value', leaves)
  // A tree of one leaf has nothing else.
  const leafCounts = splits === 0 ? [0] : numbers(tree, 'leaf_count', leaves)
  const feature = numbers(tree, 'split_feature', splits)
  const threshold = numbers(tree, 'threshold', splits)
  const decision = numbers(tree, 'decision_type', splits)
  const left = numbers(tree, 'left_child', splits)
  const right = numbers(tree, 'right_child', splits)
  const counts = numbers(tree, 'internal_count', splits)
  const sets = readSets(tree)

  // Splits first, then the leaves: a child that is less than zero is the leaf `~child`.
  const position = (child: number) => (child >= 0 ? child : splits + ~child)
  const nodes: TreeNode[] = feature.map((column, at) => {
    const kind = decision[at]!
    const children = { left: position(left[at]!), right: position(right[at]!) }
    const common = { feature: column, cover: counts[at]!, ...children }
    const missing = (kind >> 2) & 3
    if ((kind & IS_CATEGORICAL) !== 0) {
      return { kind: 'category', ...common, members: sets(threshold[at]!), isMissingLeft: false }
    }
    const isDefaultLeft = (kind & IS_DEFAULT_LEFT) !== 0
    return {
      kind: 'number',
      ...common,
      threshold: threshold[at]!,
      isZeroMissing: missing === ZERO_IS_MISSING,
      // Where nothing is missing by what it was trained on, what is missing now counts as zero.
      isMissingLeft:
        missing === ZERO_IS_MISSING || missing === NAN_IS_MISSING
          ? isDefaultLeft
          : 0 <= threshold[at]!,
    }
  })
  for (const [at, value] of leafValues.entries()) {
    nodes.push({ kind: 'leaf', value, cover: leafCounts[at]! })
  }
  return nodes
}

/** The sets of categories of a tree, by position. */
function readSets(tree: Fields): (index: number) => Uint32Array {
  const sets = Number(tree.get('num_cat') ?? 0)
  if (sets === 0) {
    return () => {
      throw new UnreadableModel('A split by category has no set of categories.')
    }
  }
  const boundaries = numbers(tree, 'cat_boundaries', count(tree, 'num_cat') + 1)
  const words = Uint32Array.from(numbers(tree, 'cat_threshold', boundaries.at(-1)!))
  return (index) => {
    const from = boundaries[index]
    const to = boundaries[index + 1]
    if (from !== undefined && to !== undefined) return words.slice(from, to)
    throw new UnreadableModel(`A split asks for set ${index} of ${sets}.`)
  }
}

/** @param trailer what stands behind the trees. */
function featuresOf(header: Fields, width: number, trailer: readonly string[]): TreeFeature[] {
  const names = header.get('feature_names')?.split(' ') ?? []
  if (names.length !== width) {
    throw new UnreadableModel(`${names.length} feature names for ${width} features.`)
  }
  const infos = header.get('feature_infos')?.split(' ') ?? []
  const levels = readLevels(trailer)
  // The codes that pandas gave belong to the columns by category, in their order.
  const byCategory = infos.flatMap((info, column) =>
    /^-?\d+(:-?\d+)*$/.test(info) ? [column] : [],
  )
  const isNamed = levels.length > 0 && levels.length === byCategory.length
  return names.map((name, column) => {
    const categories = isNamed ? levels[byCategory.indexOf(column)] : undefined
    return categories === undefined ? { name } : { name, categories }
  })
}

function readLevels(trailer: readonly string[]): (string | number)[][] {
  const prefix = 'pandas_categorical:'
  const line = trailer.find((each) => each.startsWith(prefix))
  if (line === undefined) return []
  try {
    const levels: unknown = JSON.parse(line.slice(prefix.length))
    return Array.isArray(levels) ? (levels as (string | number)[][]) : []
  } catch (cause) {
    throw new UnreadableModel('"pandas_categorical" is no JSON.', { cause })
  }
}

const IDENTITIES = new Set([
  'none',
  'custom',
  'regression_l1',
  'huber',
  'fair',
  'quantile',
  'mape',
  'lambdarank',
  'rank_xendcg',
])

function linkOf(objective: string, groups: number): Link {
  const [name = '', ...options] = objective.split(' ')
  const option = (key: string) =>
    options.find((each) => each.startsWith(`${key}:`))?.slice(key.length + 1)
  if (IDENTITIES.has(name)) return { kind: 'identity' }
  switch (name) {
    case 'regression':
      return options.includes('sqrt') ? { kind: 'signed-square' } : { kind: 'identity' }
    case 'binary':
      return { kind: 'sigmoid', slope: Number(option('sigmoid') ?? 1), isClassification: true }
    case 'multiclass':
      return groups > 1 ? { kind: 'softmax' } : { kind: 'identity' }
    case 'multiclassova':
      return { kind: 'sigmoid', slope: Number(option('sigmoid') ?? 1), isClassification: true }
    case 'cross_entropy':
      return { kind: 'sigmoid', slope: 1, isClassification: false }
    case 'cross_entropy_lambda':
      return { kind: 'softplus' }
    case 'poisson':
    case 'gamma':
    case 'tweedie':
      return { kind: 'exp' }
    default:
      throw new UnreadableModel(`The objective "${name}" of LightGBM is not known here.`)
  }
}
