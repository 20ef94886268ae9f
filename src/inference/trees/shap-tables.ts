import { isMember, look, type TreeEnsemble } from './tree-ensemble.ts'
import { type Asked, contributions, createShapWalker, expectedSums } from './tree-shap.ts'

/** A table has a row for each of 2^bits ways to come by. */
const BITS_MAX = 10
/** Of a leaf alone, which can't be cut further. */
const LEAF_BITS_MAX = 11
const BYTES_MAX = 64 * 2 ** 20
/** Measured at 100 trees of 31 leaves, a split or an entry of a block; and at 500 of 127, a leaf by its depth squared. */
const TABLE_NS = 2.5
const WALK_NS = 2

/** Leaves that lie together, whose contributions are looked up. */
interface Block {
  place: number
  /** Where the pattern of the way to it is, a bit a feature that was asked: whether the row goes this way. */
  register: number
  asked: Asked[]
  /** Splits within, a bit each. */
  splits: number[]
  features: number[]
}

interface Step {
  place: number
  from: number
  toFirst: number
  toSecond: number
  /** Of the feature in the patterns of both children. */
  bit: number
}

/** Explains rows by tables: what each leaf gives each feature depends on few bits of the row. */
interface ShapTables extends Explainer {
  bytes: number
}

/**
 * Computes beforehand what a leaf gives each feature, for each way in which a row can stand to the splits
 * on the way to it ("Fast TreeSHAP v2", Yang 2021), and for leaves that lie together at once. A row costs
 * a comparison a split and an addition a feature of each group of leaves, where the walk costs the square
 * of the depth a leaf.
 *
 * @returns `undefined` where trees are so deep that the tables would be too large.
 */
export function createShapTables(ensemble: TreeEnsemble): ShapTables | undefined {
  const { width, groups, roots, groupOf, view, value } = ensemble
  const plans: { steps: Step[]; blocks: Block[]; registers: number }[] = []
  let entries = 0
  for (const root of roots) {
    const plan = planOf(ensemble, root)
    if (plan === undefined) return undefined
    for (const { asked, splits, features } of plan.blocks) {
      entries += 2 ** (asked.length + splits.length) * features.length
    }
    if (entries * Float32Array.BYTES_PER_ELEMENT > BYTES_MAX) return undefined
    plans.push(plan)
  }

  const tables = new Float32Array(entries)
  const steps: number[] = []
  const blocks: number[] = []
  const stepsTo = new Int32Array(plans.length)
  const blocksTo = new Int32Array(plans.length)
  const tasks: { block: Block; offset: number }[] = []
  let offset = 0
  for (const [tree, plan] of plans.entries()) {
    for (const { place, from, toFirst, toSecond, bit } of plan.steps) {
      steps.push(place, from, toFirst, toSecond, ~(1 << bit))
    }
    for (const block of plan.blocks) {
      const { register, asked, splits, features } = block
      blocks.push(register, asked.length, splits.length, features.length, offset)
      blocks.push(...splits, ...features)
      tasks.push({ block, offset })
      offset += 2 ** (asked.length + splits.length) * features.length
    }
    stepsTo[tree] = steps.length
    blocksTo[tree] = blocks.length
  }

  const fill = createFiller(ensemble)
  function prepare(ms: number): boolean {
    const end = performance.now() + ms
    for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) {
      fill(task.block, tables, task.offset)
      if (performance.now() > end) break
    }
    return tasks.length === 0
  }

  const expected = expectedSums(ensemble)
  const stride = width + 1
  const step = Int32Array.from(steps)
  const block = Int32Array.from(blocks)
  const registers = new Int32Array(Math.max(1, ...plans.map((plan) => plan.registers)))
  const views = new Float64Array(ensemble.viewFeature.length)
  const { categoryFeature } = ensemble
  const hasCategories = categoryFeature.length > 0

  function goesFirst(place: number, values: Float64Array, row: number): boolean {
    const split = view[place]!
    if (!hasCategories || split >= 0) return views[split]! <= value[place]!
    return isMember(ensemble, ~split, values[row * width + categoryFeature[~split]!]!)
  }

  function explainRow(values: Float64Array, row: number, result: Float64Array): void {
    look(ensemble, values, row, 1, views)
    let at = 0
    let from = 0
    for (let tree = 0; tree < roots.length; tree++) {
      const base = (row * groups + groupOf[tree]!) * stride
      // Bits of features that were not asked yet are one: nothing has turned the row away.
      registers[0] = -1
      for (const end = stepsTo[tree]!; at < end; at += 5) {
        const pattern = registers[step[at + 1]!]!
        const turned = pattern & step[at + 4]!
        const isFirst = goesFirst(step[at]!, values, row)
        registers[step[at + 2]!] = isFirst ? pattern : turned
        registers[step[at + 3]!] = isFirst ? turned : pattern
      }
      for (const end = blocksTo[tree]!; from < end;) {
        const askedCount = block[from + 1]!
        const splitCount = block[from + 2]!
        const featureCount = block[from + 3]!
        let index = registers[block[from]!]! & ((1 << askedCount) - 1)
        const splitsAt = from + 5
        const featuresAt = splitsAt + splitCount
        for (let split = 0; split < splitCount; split++) {
          if (goesFirst(block[splitsAt + split]!, values, row)) index |= 1 << (askedCount + split)
        }
        const tableAt = block[from + 4]! + index * featureCount
        for (let feature = 0; feature < featureCount; feature++) {
          result[base + block[featuresAt + feature]!]! += tables[tableAt + feature]!
        }
        from = featuresAt + featureCount
      }
    }
    for (let group = 0; group < groups; group++) {
      result[(row * groups + group) * stride + width] = expected[group]!
    }
  }

  return {
    bytes: tables.byteLength,
    nsPerRow: (step.length / 5 + block.length) * TABLE_NS,
    prepare,
    explain(rows, values) {
      if (tasks.length > 0) prepare(Infinity)
      const result = new Float64Array(rows * groups * stride)
      for (let row = 0; row < rows; row++) explainRow(values, row, result)
      return result
    },
  }
}

/** Cuts a tree into blocks; `undefined` where a leaf asks too many features. */
function planOf(ensemble: TreeEnsemble, root: number) {
  const { first, cover } = ensemble
  const steps: Step[] = []
  const blocks: Block[] = []
  let registers = 1
  const pending = [{ place: root, register: 0, asked: [] as Asked[] }]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const { place, register, asked } = node
    const splits = splitsBelow(ensemble, place, BITS_MAX - asked.length)
    const isLeaf = first[place]! < 0
    if (splits !== undefined || isLeaf) {
      if (asked.length > LEAF_BITS_MAX) return undefined
      const within = splits ?? []
      const features = [...asked.map(({ feature }) => feature), ...within.map(featureAt(ensemble))]
      blocks.push({ place, register, asked, splits: within, features: [...new Set(features)] })
      continue
    }
    const feature = featureAt(ensemble)(place)
    const known = asked.findIndex((each) => each.feature === feature)
    const bit = known === -1 ? asked.length : known
    const children = [first[place]!, first[place]! + 1]
    const [toFirst, toSecond] = [registers, registers + 1]
    registers += 2
    steps.push({ place, from: register, toFirst, toSecond, bit })
    for (const [index, child] of children.entries()) {
      const share = cover[child]! / cover[place]!
      const zero = known === -1 ? share : asked[known]!.zero * share
      pending.push({
        place: child,
        register: index === 0 ? toFirst : toSecond,
        asked: asked.toSpliced(bit, 1, { feature, zero }),
      })
    }
  }
  return { steps, blocks: blocks.filter(({ features }) => features.length > 0), registers }
}

const featureAt =
  ({ view, viewFeature, categoryFeature }: TreeEnsemble) =>
  (place: number) =>
    view[place]! >= 0 ? viewFeature[view[place]!]! : categoryFeature[~view[place]!]!

/** `undefined` where there are more than so many. */
function splitsBelow({ first }: TreeEnsemble, top: number, most: number): number[] | undefined {
  const found: number[] = []
  const pending = [top]
  for (let place = pending.pop(); place !== undefined; place = pending.pop()) {
    const next = first[place]!
    if (next < 0) continue
    found.push(place)
    if (found.length > most) return undefined
    pending.push(next, next + 1)
  }
  return most < 0 ? undefined : found
}

/** Writes the table of a block. */
function createFiller(ensemble: TreeEnsemble) {
  const bitOf = new Map<number, number>()
  const columnOf = new Map<number, number>()
  let pattern = 0
  let into = new Float32Array()
  let at = 0
  const sums = new Float64Array(ensemble.width)
  const walker = createShapWalker(ensemble, {
    isFirst: (place) => ((pattern >>> bitOf.get(place)!) & 1) === 1,
    add: (feature, share) => void (sums[feature]! += share),
  })

  return ({ place, asked, splits, features }: Block, tables: Float32Array, offset: number) => {
    bitOf.clear()
    columnOf.clear()
    for (const [index, split] of splits.entries()) bitOf.set(split, asked.length + index)
    into = tables as Float32Array<ArrayBuffer>
    at = offset
    const count = 2 ** (asked.length + splits.length)
    for (pattern = 0; pattern < count; pattern++) {
      for (const feature of features) sums[feature] = 0
      walker.below(place, asked, (index) => (pattern >>> index) & 1)
      for (const feature of features) into[at++] = sums[feature]!
    }
  }
}

/** Explains rows by whichever way the trees allow. */
export interface Explainer {
  /** About how long a row takes. */
  nsPerRow: number
  /** Computes what rows need beforehand, for so long. @returns whether all of it is there. */
  prepare(ms: number): boolean
  /** As `contributions`. */
  explain(rows: number, values: Float64Array): Float64Array
}

export function createExplainer(ensemble: TreeEnsemble): Explainer {
  const tables = createShapTables(ensemble)
  if (tables !== undefined) return tables
  return {
    nsPerRow: walkNs(ensemble),
    prepare: () => true,
    explain: (rows, values) => contributions(ensemble, rows, values),
  }
}

/** Each leaf costs the square of how many splits lie above it. */
function walkNs({ roots, first }: TreeEnsemble): number {
  let squares = 0
  const pending = Array.from(roots, (place) => ({ place, depth: 0 }))
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const next = first[node.place]!
    const depth = node.depth + 1
    if (next < 0) squares += depth ** 2
    else pending.push({ place: next, depth }, { place: next + 1, depth })
  }
  return squares * WALK_NS
}
