import type { InferenceSession } from 'onnxruntime-node'

import { type ModelInput, widthOf } from '../manifest.ts'
import { type RowInput, rowInput } from './row-tensor.ts'

/** An input of a model, and the columns that go into it. */
export interface InputColumns extends Pick<RowInput, 'name' | 'type' | 'rank'> {
  /** Where its columns begin in a row. */
  offset: number
  columns: readonly Column[]
}

/** One value of each row. */
export interface Column {
  name: string
  /** Of a category, which arrives as its code: its text. */
  texts: ReadonlyMap<number, string> | undefined
}

/** Where in a row the columns of an input are, and how many. */
type Place = (input: RowInput) => { offset: number; width: number }

/**
 * Which columns go into which input of a model: by name, if the model's inputs are called as the
 * manifest's are, or as a converter writes those; otherwise in their order, as many as each takes.
 *
 * @throws {Error} with what does not fit.
 */
export function assignColumns(
  taken: readonly InferenceSession.ValueMetadata[],
  inputs: readonly ModelInput[],
): InputColumns[] {
  const columns = inputs.flatMap(columnsOf)
  const key = [exactly, cleaned].find((key) => haveSameNames(taken, inputs, key))
  const place = key === undefined ? inOrder(taken.length, columns.length) : byName(inputs, key)

  let widthTaken = 0
  const assigned = taken.map((metadata) => {
    const input = rowInput(metadata)
    const { offset, width } = place(input)
    if (input.width !== undefined && input.width !== width) {
      const { name } = columns[offset]!
      throw new Error(`takes ${input.width} values as ${name} where the manifest has ${width}`)
    }
    widthTaken += width
    const own = columns.slice(offset, offset + width)
    if (input.type === 'string') requireCategories(input, own)
    return { ...input, offset, columns: own }
  })
  if (widthTaken === columns.length) return assigned
  throw new Error(`takes rows of ${widthTaken} where the manifest has ${columns.length} columns`)
}

function columnsOf(input: ModelInput): Column[] {
  const { name } = input
  const texts = input.type === 'category' ? textsOf(input) : undefined
  return Array.from({ length: widthOf(input) }, () => ({ name, texts }))
}

const textsOf = ({ categories, codes }: Extract<ModelInput, { type: 'category' }>) =>
  new Map(categories.map((category, at) => [codes?.[at] ?? at, category]))

const exactly = (name: string) => name

/** As sklearn-onnx calls the input of a column. */
const cleaned = (name: string) => name.replaceAll(/[^\p{L}\p{N}_+]/gu, '_').replace(/^(?=\d)/, '_')

type Named = readonly { name: string }[]

function haveSameNames(some: Named, others: Named, key: (name: string) => string): boolean {
  const [one, other] = [some, others].map((all) => new Set(all.map(({ name }) => key(name))))
  if (one!.size < some.length || other!.size < others.length) return false
  return one!.symmetricDifference(other!).size === 0
}

function byName(inputs: readonly ModelInput[], key: (name: string) => string): Place {
  const places = new Map<string, ReturnType<Place>>()
  let offset = 0
  for (const input of inputs) {
    places.set(key(input.name), { offset, width: widthOf(input) })
    offset += widthOf(input)
  }
  return ({ name }) => places.get(key(name))!
}

/** Of several inputs that leave their width open each is a column of a table; one is all of it. */
function inOrder(inputs: number, columns: number): Place {
  let next = 0
  return ({ width = inputs === 1 ? columns : 1 }) => {
    const offset = next
    next += width
    return { offset, width }
  }
}

function requireCategories(input: RowInput, columns: readonly Column[]): void {
  const column = columns.find(({ texts }) => texts === undefined)
  if (column === undefined) return
  throw new Error(`takes text as ${input.name} where the manifest has ${column.name} as numbers`)
}
