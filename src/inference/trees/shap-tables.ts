import { createPatternReader, type PatternReader, type Turn } from './split-patterns.ts'
import type { TreeEnsemble } from './tree-ensemble.ts'
import { type Asked, contributions, createShapWalker, expectedSums } from './tree-shap.ts'

/** A table has a row for each of 2^bits ways to come by. */
const BITS_MAX = 10
/** Of a leaf alone, which can't be cut further. */
const LEAF_BITS_MAX = 11
const BYTES_MAX = 64 * 2 ** 20
/** Measured at 100 trees of 31 leaves, an entry of a table; and at 500 of 127, a leaf by its depth squared. */
const TABLE_NS = 1.5
const WALK_NS = 2

/** Leaves that lie together, whose contributions are looked up. */
interface Block {
  place: number
  /** Of the tree, in the sums. */
  group: number
  /** On the way to it. A bit each, which says whether the row goes this way as far as it was asked. */
  asked: Asked[]
  /** What makes the row go this way. */
  turns: Turn[]
  /** Splits within; a bit each, after those of `asked`, which says whether the row goes the first way. */
  splits: number[]
  features: number[]
}

/** Explains rows by tables: what each leaf gives each feature depends on few bits of the row. */
interface ShapTables extends Explainer {
  bytes: number
}

/**
 * Computes beforehand what a leaf gives each feature, for each way in which a row can stand to the splits
 * on the way to it ("Fast TreeSHAP v2", Yang 2021), and for leaves that lie together at once. A row costs
 * half a comparison a split and an addition a feature of each group of leaves, where the walk costs the
 * square of the depth a leaf.
 *
 * @returns `undefined` where trees are so deep that the tables would be too large.
 */
export function createShapTables(ensemble: TreeEnsemble): ShapTables | undefined {
  const { width, groups } = ensemble
  const blocks = blocksOf(ensemble)
  if (blocks === undefined) return undefined
  const stride = width + 1
  const tables = new Float32Array(blocks.reduce((sum, block) => sum + entriesOf(block), 0))
  const layout: number[] = []
  const tasks: { block: Block; offset: number }[] = []
  let offset = 0
  for (const block of blocks) {
    const { group, features } = block
    const targets = features.map((feature) => group * stride + feature)
    layout.push(offset, targets.length, ...targets)
    tasks.push({ block, offset })
    offset += entriesOf(block)
  }

  const fill = createFiller(ensemble)
  let read: PatternReader | undefined
  const prepare = (ms: number): boolean => {
    const end = performance.now() + ms
    for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) {
      fill(task.block, tables, task.offset)
      if (performance.now() > end) break
    }
    if (tasks.length > 0) return false
    read ??= createPatternReader(ensemble, blocks.map(turnsOf))
    return true
  }

  const expected = expectedSums(ensemble)
  const places = Int32Array.from(layout)
  const masks = Int32Array.from(
    blocks,
    ({ asked, splits }) => (1 << (asked.length + splits.length)) - 1,
  )

  function explainRow(values: Float64Array, row: number, result: Float64Array): void {
    const patterns = read!(values, row)
    const base = row * groups * stride
    let at = 0
    for (let block = 0; block < patterns.length; block++) {
      const count = places[at + 1]!
      let entry = places[at]! + (patterns[block]! & masks[block]!) * count
      at += 2
      for (const end = at + count; at < end; at++) result[base + places[at]!]! += tables[entry++]!
    }
    for (let group = 0; group < groups; group++) {
      result[base + group * stride + width] = expected[group]!
    }
  }

  return {
    bytes: tables.byteLength,
    nsPerRow: layout.length * TABLE_NS,
    prepare,
    explain(rows, values) {
      if (read === undefined) prepare(Infinity)
      const result = new Float64Array(rows * groups * stride)
      for (let row = 0; row < rows; row++) explainRow(values, row, result)
      return result
    },
  }
}

function turnsOf({ asked, turns, splits }: Block): Turn[] {
  const within = splits.map((place, index) => {
    const bits = 1 << (asked.length + index)
    return { place, isFirst: true, bits }
  })
  return [...turns, ...within]
}

const entriesOf = ({ asked, splits, features }: Block) =>
  2 ** (asked.length + splits.length) * features.length

/** `undefined` where their tables would be too large. */
function blocksOf(ensemble: TreeEnsemble): Block[] | undefined {
  const { roots, groupOf } = ensemble
  const blocks: Block[] = []
  let entries = 0
  for (const [tree, root] of roots.entries()) {
    const found = blocksOfTree(ensemble, root, groupOf[tree]!)
    if (found === undefined) return undefined
    for (const block of found) entries += entriesOf(block)
    if (entries * Float32Array.BYTES_PER_ELEMENT > BYTES_MAX) return undefined
    blocks.push(...found)
  }
  return blocks
}

/** `undefined` where a leaf asks too many features. */
function blocksOfTree(ensemble: TreeEnsemble, root: number, group: number): Block[] | undefined {
  const { first, cover } = ensemble
  const blocks: Block[] = []
  const pending = [{ place: root, asked: [] as Asked[], turns: [] as Turn[] }]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const { place, asked, turns } = node
    const within = splitsBelow(ensemble, place, BITS_MAX - asked.length)
    const isLeaf = first[place]! < 0
    if (within !== undefined || isLeaf) {
      if (asked.length > LEAF_BITS_MAX) return undefined
      const splits = within ?? []
      const features = [...asked.map(({ feature }) => feature), ...splits.map(featureAt(ensemble))]
      blocks.push({ place, group, asked, turns, splits, features: [...new Set(features)] })
      continue
    }
    const feature = featureAt(ensemble)(place)
    const known = asked.findIndex((each) => each.feature === feature)
    const bit = known === -1 ? asked.length : known
    for (const [index, child] of [first[place]!, first[place]! + 1].entries()) {
      const share = cover[child]! / cover[place]!
      const zero = known === -1 ? share : asked[known]!.zero * share
      pending.push({
        place: child,
        asked: asked.toSpliced(bit, 1, { feature, zero }),
        turns: [...turns, { place, isFirst: index === 0, bits: 1 << bit }],
      })
    }
  }
  return blocks.filter(({ features }) => features.length > 0)
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
