import { UnreadableModel } from '../unreadable-model.ts'
import { createEnsembleBuilder, GROUPS_MAX, type TreeNode } from './ensemble-builder.ts'
import type { Link } from './links.ts'
import type { TreeFeature, TreeModel } from './tree-model.ts'
import {
  parseXgboost,
  type XgboostDocument,
  type XgboostEncoding,
  type XgboostTree,
  type XgboostTrees,
} from './xgboost-document.ts'

/** A set takes a bit for each: a number in a file must not be gigabytes here. */
const CATEGORIES_MAX = 100_000

/**
 * Reads what `xgb.save` and `booster.save_model` write, as JSON or UBJSON, already parsed.
 *
 * Where training stopped early, the rounds after the best are left out, as in R and in scikit-learn's
 * interface; `Booster.predict` of Python adds them all unless it is told otherwise.
 *
 * @throws {UnreadableModel} with what is wrong, or what has no place here.
 */
export function readXgboost(document: unknown): TreeModel {
  const learner = parseXgboost(document)
  const { gradient_booster: booster, learner_model_param: parameters } = learner
  const { model, weights } =
    booster.name === 'dart'
      ? { model: booster.gbtree.model, weights: booster.weight_drop }
      : { model: booster.model, weights: undefined }
  const width = countOf(parameters.num_feature, 'num_feature')
  const groups = Math.max(
    1,
    countOf(parameters.num_class, 'num_class'),
    countOf(parameters.num_target, 'num_target'),
  )
  // Before anything is as large as it says.
  if (groups > GROUPS_MAX) {
    throw new UnreadableModel(`It has ${groups} classes; at most ${GROUPS_MAX} are read.`)
  }
  if (model.tree_info.length !== model.trees.length) {
    throw new UnreadableModel(`${model.trees.length} trees have ${model.tree_info.length} classes.`)
  }
  if (weights !== undefined && weights.length !== model.trees.length) {
    throw new UnreadableModel(`${model.trees.length} trees have ${weights.length} weights.`)
  }
  const { name: objective } = learner.objective
  const builder = createEnsembleBuilder({
    width,
    groups,
    isFloat32: true,
    base: baseOf(parameters.base_score, objective, groups),
    divisor: 1,
  })
  const kept = treesKept(learner, model, groups)
  for (const [index, tree] of model.trees.slice(0, kept).entries()) {
    builder.add(readTree(tree, index, weights?.[index]), model.tree_info[index]!)
  }
  return {
    library: 'xgboost',
    objective,
    features: featuresOf(learner, model.cats?.enc, width),
    ensemble: builder.build(),
    link: linkOf(objective),
  }
}

function countOf(text: string, what: string): number {
  const count = Number(text)
  if (Number.isSafeInteger(count) && count >= 0) return count
  throw new UnreadableModel(`"${what}" is "${text.slice(0, 40)}" where a count is expected.`)
}

/** How many trees belong to the rounds up to the best: in a round each class has as many as grow side by side. */
function treesKept({ attributes }: XgboostDocument, model: XgboostTrees, groups: number): number {
  const best = attributes['best_iteration']
  if (best === undefined) return model.trees.length
  const sideBySide = countOf(model.gbtree_model_param.num_parallel_tree, 'num_parallel_tree')
  return (countOf(best, 'best_iteration') + 1) * groups * Math.max(1, sideBySide)
}

function readTree(tree: XgboostTree, index: number, weight: number | undefined): TreeNode[] {
  const { left_children: left, right_children: right, split_conditions: conditions } = tree
  const count = left.length
  if (Number(tree.tree_param.size_leaf_vector) > 1) {
    throw new UnreadableModel(
      'The leaves of this XGBoost model are vectors (multi_output_tree): only single numbers can be served.',
    )
  }
  for (const list of [right, conditions, tree.split_indices, tree.default_left]) {
    if (list.length !== count) {
      throw new UnreadableModel(`Tree ${index} has lists of ${list.length} and ${count} nodes.`)
    }
  }
  const sets = setsOf(tree)
  return left.map((child, at): TreeNode => {
    const cover = tree.sum_hessian[at] ?? 0
    const condition = conditions[at]!
    if (child === -1) {
      const value = Math.fround(condition)
      return {
        kind: 'leaf',
        value: weight === undefined ? value : Math.fround(value * Math.fround(weight)),
        cover,
      }
    }
    const feature = tree.split_indices[at]!
    const isDefaultLeft = Boolean(tree.default_left[at])
    if (tree.split_type[at] === true || tree.split_type[at] === 1) {
      const members = sets.get(at)
      if (members === undefined)
        throw new UnreadableModel(`Split ${at} of tree ${index} has no categories.`)
      // What is in the set goes right.
      const children = { left: right[at]!, right: child }
      return {
        kind: 'category',
        feature,
        cover,
        members,
        isMissingLeft: !isDefaultLeft,
        ...children,
      }
    }
    return {
      kind: 'number',
      feature,
      cover,
      // Less than, not at most.
      threshold: floatBelow(condition),
      isMissingLeft: isDefaultLeft,
      isZeroMissing: false,
      left: child,
      right: right[at]!,
    }
  })
}

function setsOf(tree: XgboostTree): Map<number, Uint32Array> {
  const { categories, categories_nodes, categories_segments, categories_sizes } = tree
  return new Map(
    categories_nodes.map((node, index) => {
      const from = categories_segments[index] ?? 0
      const set = categories.slice(from, from + (categories_sizes[index] ?? 0))
      const most = set.reduce((a, b) => Math.max(a, b), 0)
      if (!(most < CATEGORIES_MAX)) {
        throw new UnreadableModel(
          `There is a category ${most}; at most ${CATEGORIES_MAX} are read.`,
        )
      }
      const words = new Uint32Array(Math.floor(most / 32) + 1)
      for (const category of set) words[Math.floor(category / 32)]! |= 1 << (category % 32)
      return [node, words]
    }),
  )
}

const bits = new DataView(new ArrayBuffer(4))

/** The greatest float32 that is less. */
export function floatBelow(x: number): number {
  const float = Math.fround(x)
  if (float === 0) return -(2 ** -149)
  if (float === Number.NEGATIVE_INFINITY) return Number.NaN
  bits.setFloat32(0, float)
  bits.setInt32(0, bits.getInt32(0) + (float > 0 ? -1 : 1))
  return bits.getFloat32(0)
}

/** `base_score` is an answer, and the sums begin with what gives it: a number, or since 3.1 a list. */
function baseOf(text: string, objective: string, groups: number): number[] {
  const given = text
    .replace(/^\[|\]$/g, '')
    .split(',')
    .map((each) => Math.fround(Number(each)))
  if (given.some(Number.isNaN) || (given.length !== 1 && given.length !== groups)) {
    throw new UnreadableModel(`"base_score" is "${text.slice(0, 40)}".`)
  }
  const toSum = sumOf(objective)
  return Array.from({ length: groups }, (_, group) =>
    Math.fround(toSum(given.length === 1 ? given[0]! : given[group]!)),
  )
}

/** Where all of the training data was of one class, it began from here. */
const LEAST_PROBABILITY = Math.fround(1e-6)

function sumOf(objective: string): (answer: number) => number {
  switch (objective) {
    case 'binary:logistic':
    case 'reg:logistic':
      return (answer) => {
        const bounded = Math.min(Math.max(answer, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
        return -Math.log(Math.fround(Math.fround(1 / bounded) - 1))
      }
    case 'count:poisson':
    case 'reg:gamma':
    case 'reg:tweedie':
    case 'survival:cox':
    case 'survival:aft':
      return Math.log
    default:
      return (answer) => answer
  }
}

function linkOf(objective: string): Link {
  switch (objective) {
    case 'binary:logistic':
      return { kind: 'sigmoid', slope: 1, isClassification: true }
    case 'reg:logistic':
      return { kind: 'sigmoid', slope: 1, isClassification: false }
    case 'binary:hinge':
      return { kind: 'step' }
    case 'multi:softprob':
    case 'multi:softmax':
      return { kind: 'softmax' }
    case 'count:poisson':
    case 'reg:gamma':
    case 'reg:tweedie':
    case 'survival:cox':
    case 'survival:aft':
      return { kind: 'exp' }
    case 'reg:squarederror':
    case 'reg:linear':
    case 'reg:squaredlogerror':
    case 'reg:absoluteerror':
    case 'reg:pseudohubererror':
    case 'reg:quantileerror':
    case 'reg:expectileerror':
    case 'binary:logitraw':
    case 'rank:pairwise':
    case 'rank:ndcg':
    case 'rank:map':
      return { kind: 'identity' }
    default:
      throw new UnreadableModel(`The objective "${objective}" of XGBoost is not known here.`)
  }
}

function featuresOf(
  { feature_names: names }: XgboostDocument,
  encodings: readonly XgboostEncoding[] | undefined,
  width: number,
): TreeFeature[] {
  if (names.length !== 0 && names.length !== width) {
    throw new UnreadableModel(`${names.length} feature names for ${width} features.`)
  }
  return Array.from({ length: width }, (_, column) => {
    const name = names[column] ?? `f${column}`
    const categories = namesOf(encodings?.[column])
    return categories === undefined ? { name } : { name, categories }
  })
}

const utf8 = new TextDecoder()

/**
 * What the file calls the categories of a feature; of texts, unless all of them are ASCII, nothing: XGBoost
 * before 3.4 counts characters where it writes bytes, and what then stands there may look like names.
 */
function namesOf(encoding: XgboostEncoding | undefined): (string | number)[] | undefined {
  if (encoding === undefined || encoding.values.length === 0) return undefined
  const { offsets, values } = encoding
  if (offsets === undefined || offsets.length === 0) return values
  const bytes = Uint8Array.from(values)
  // They come signed.
  if (bytes.some((byte) => byte > 0x7f)) return undefined
  return offsets.slice(1).map((end, index) => utf8.decode(bytes.subarray(offsets[index], end)))
}
