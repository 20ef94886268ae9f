import type { Link } from './links.ts'
import type { TreeEnsemble } from './tree-ensemble.ts'

/** A boosted model as its library saved it. */
export interface TreeModel {
  library: 'lightgbm' | 'xgboost'
  /** As the library calls it. */
  objective: string
  /** What a caller gives, in the order of the columns. */
  features: TreeFeature[]
  ensemble: TreeEnsemble
  /** From sums to answers. */
  link: Link
}

export interface TreeFeature {
  name: string
  /** Of a category whose file knows them: its names in the order of the codes. */
  categories?: (string | number)[]
}
