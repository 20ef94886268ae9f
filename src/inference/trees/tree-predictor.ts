import { applyLink, isClassification } from './links.ts'
import { readTreeModel } from './read-tree-model.ts'
import { createExplainer, type Explainer } from './shap-tables.ts'
import { sumLeaves, type TreeEnsemble } from './tree-ensemble.ts'
import type { TreeModel } from './tree-model.ts'

/** Measured at 100 trees of 31 leaves and at 500 of 127: a step that is taken, and one that ends a tree. */
const NS_PER_STEP = 4.5

/** Trees that answer at once, wherever they are asked: a model without a runtime. */
export interface TreePredictor {
  model: TreeModel
  inputWidth: number
  outputWidth: number
  /** About how long a row takes, from what the training data did. */
  nsPerRow: number
  /**
   * @param values row by row, `inputWidth` a row; NaN is missing, a category its code.
   * @returns row by row, `outputWidth` a row: the probability of each class, or a number.
   */
  predict(rows: number, values: Float64Array): Float64Array
  explanation: {
    /** Of which answers it tells: by the position of the class, or none for a number. */
    outputs: readonly (number | undefined)[]
    /** About how long a row takes. */
    nsPerRow(): number
    /** Computes what rows need beforehand, for so long. @returns whether all of it is there. */
    prepare(ms: number): boolean
    /**
     * Why the sums are what they are, before the link makes answers of them.
     *
     * @returns row by row, for each output `inputWidth` contributions and then the expected value.
     */
    explain(rows: number, values: Float64Array): Float64Array
  }
}

/**
 * @returns `undefined` for what is no file of LightGBM or XGBoost.
 * @throws {UnreadableModel}
 */
export function openTreePredictor(bytes: Uint8Array): TreePredictor | undefined {
  const model = readTreeModel(bytes)
  return model && createTreePredictor(model)
}

export function createTreePredictor(model: TreeModel): TreePredictor {
  const { ensemble, link } = model
  const { width, groups } = ensemble
  // Of two classes the sum is that of the second.
  const isBinary = groups === 1 && isClassification(link)
  // Its tables take a while to compute, and space: of a model that nobody asks why, none.
  let made: Explainer | undefined
  const explainer = () => (made ??= createExplainer(ensemble))
  return {
    model,
    inputWidth: width,
    outputWidth: isBinary ? 2 : groups,
    nsPerRow: stepsPerRow(ensemble) * NS_PER_STEP,
    predict(rows, values) {
      const answers = sumLeaves(ensemble, rows, values)
      applyLink(link, groups, answers)
      return isBinary ? withFirstClass(answers) : answers
    },
    explanation: {
      outputs: outputsOf(model),
      nsPerRow: () => explainer().nsPerRow,
      prepare: (ms) => explainer().prepare(ms),
      explain(rows, values) {
        const shares = explainer().explain(rows, values)
        const { divisor } = ensemble
        if (divisor !== 1) for (let at = 0; at < shares.length; at++) shares[at]! /= divisor
        return shares
      },
    },
  }
}

function outputsOf({ link, ensemble: { groups } }: TreeModel): (number | undefined)[] {
  if (!isClassification(link)) return Array.from({ length: groups }, () => undefined)
  return groups === 1 ? [1] : Array.from({ length: groups }, (_, index) => index)
}

function withFirstClass(second: Float64Array): Float64Array {
  const both = new Float64Array(second.length * 2)
  for (let row = 0; row < second.length; row++) {
    both[row * 2] = 1 - second[row]!
    both[row * 2 + 1] = second[row]!
  }
  return both
}

/** Nodes that a row of the training data comes by, leaves among them. */
function stepsPerRow({ roots, first, cover }: TreeEnsemble): number {
  let steps = roots.length
  for (const [tree, root] of roots.entries()) {
    const end = roots[tree + 1] ?? first.length
    const all = cover[root]!
    if (!(all > 0)) continue
    // All but the root: whatever comes by a node has taken a step to it.
    for (let place = root + 1; place < end; place++) steps += cover[place]! / all
  }
  return steps
}
