import { z } from 'zod'

import { UnreadableModel } from '../unreadable-model.ts'

const UNNAMED: readonly string[] = []
const numbers = z.array(z.number())
/** Flags are booleans in JSON and bytes in UBJSON. */
const flags = z.array(z.union([z.number(), z.boolean()]))
/** Numbers are text where XGBoost keeps parameters. */
const parameter = z.union([z.string(), z.number()]).transform(String)

const tree = z.object({
  left_children: numbers,
  right_children: numbers,
  split_indices: numbers,
  split_conditions: numbers,
  default_left: flags,
  sum_hessian: numbers.default([]),
  /** Files before 1.3 know no categories. */
  split_type: flags.default([]),
  categories: numbers.default([]),
  categories_nodes: numbers.default([]),
  categories_segments: numbers.default([]),
  categories_sizes: numbers.default([]),
  tree_param: z.object({ size_leaf_vector: parameter.default('0') }),
})

/** The names of categories of each feature, since 3.1: texts end to end as bytes, or numbers. */
const encoding = z.object({
  offsets: numbers.optional(),
  values: numbers,
  type: z.number().optional(),
})

const trees = z.object({
  trees: z.array(tree),
  tree_info: numbers,
  gbtree_model_param: z.object({ num_parallel_tree: parameter.default('1') }),
  cats: z.object({ enc: z.array(encoding) }).optional(),
})

const booster = z.discriminatedUnion('name', [
  z.object({ name: z.literal('gbtree'), model: trees }),
  z.object({
    name: z.literal('dart'),
    gbtree: z.object({ model: trees }),
    weight_drop: numbers,
  }),
])

const schema = z.object({
  learner: z.object({
    attributes: z.record(z.string(), z.string()).default({}),
    feature_names: z.array(z.string()).default([...UNNAMED]),
    feature_types: z.array(z.string()).default([...UNNAMED]),
    gradient_booster: booster,
    learner_model_param: z.object({
      base_score: parameter,
      num_class: parameter,
      num_feature: parameter,
      num_target: parameter.default('1'),
    }),
    objective: z.object({ name: z.string() }),
  }),
})

export type XgboostDocument = z.output<typeof schema>['learner']
export type XgboostTree = z.output<typeof tree>
export type XgboostTrees = z.output<typeof trees>
export type XgboostEncoding = z.output<typeof encoding>

/**
 * What a document of `xgb.save` must have, whatever form it came in.
 *
 * @throws {UnreadableModel} naming what is missing, or what has no place here.
 */
export function parseXgboost(document: unknown): XgboostDocument {
  const name = (document as { learner?: { gradient_booster?: { name?: unknown } } } | null)?.learner
    ?.gradient_booster?.name
  if (name === 'gblinear') {
    throw new UnreadableModel('This XGBoost model is linear (gblinear): only trees can be served.')
  }
  const parsed = schema.safeParse(document)
  if (parsed.success) return parsed.data.learner
  const [issue] = parsed.error.issues
  throw new UnreadableModel(
    `The file is no model of XGBoost: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}.`,
  )
}
