import { isClassification } from '../trees/links.ts'
import type { TreeModel } from '../trees/tree-model.ts'
import type { Signature, SignatureInput } from './signature.ts'

/** What the libraries call features that nobody has named. */
const UNNAMED = /^(?:Column_|f)\d+$/

/** What a model of trees says of itself. */
export function treeSignature(model: TreeModel): Signature {
  const { library, features, ensemble, link } = model
  const isClasses = isClassification(link)
  const isNamed = !features.every(({ name }) => UNNAMED.test(name))
  return {
    library,
    kind: isClasses ? 'classification' : 'regression',
    inputs: features.map(({ name, categories }): SignatureInput => ({
      name,
      width: 1,
      isText: false,
      categories: categories?.map(String),
    })),
    areNamesBinding: isNamed,
    outputWidth: isClasses && ensemble.groups === 1 ? 2 : ensemble.groups,
    classes: undefined,
  }
}
