import type { RecordBatch } from 'apache-arrow/fb/record-batch'

import type { Budget } from './budget.ts'
import { type Buffers, buffersOf } from './buffers.ts'
import type { ArrowField } from './fields.ts'
import type { Layout } from './layouts.ts'
import { damaged } from './source.ts'

/** The values of a column in one batch. Its buffers are as long as so many values need, or longer. */
export interface ArrowArray {
  field: ArrowField
  length: number
  /** A bit each, set where there is a value; nothing where there is one everywhere. */
  bits: Uint8Array | undefined
  buffers: Uint8Array[]
  children: ArrowArray[]
  /** What its numbers are of, where it has a dictionary and that came. */
  dictionary: ArrowArray | undefined
}

/** By the numbers of dictionaries, the values of those that came so far. */
export type Dictionaries = ReadonlyMap<bigint, ArrowArray>

/**
 * The columns of a batch, without a copy of what is not compressed.
 *
 * @throws {Refused} where the batch is not as its metadata and the schema say.
 * @see https://arrow.apache.org/docs/format/Columnar.html#recordbatch-message
 */
export function arraysOf(
  header: RecordBatch,
  body: Uint8Array,
  fields: readonly ArrowField[],
  dictionaries: Dictionaries,
  budget: Budget,
): ArrowArray[] {
  const buffers = buffersOf(header, body, budget)
  const arrayOf = (field: ArrowField): ArrowArray => {
    const { layout, dictionary } = field
    const isNumbers = dictionary !== undefined
    const { length, nulls } = buffers.node()
    const hasBits = isNumbers || layout.kind !== 'null'
    const present = hasBits ? buffers.next(nulls === 0 ? 0 : Math.ceil(length / 8)) : undefined
    const array = { field, length, bits: nulls === 0 ? undefined : present }
    if (isNumbers) {
      const numbers = buffers.next(length * dictionary.keyBytes)
      const values = dictionaries.get(dictionary.id)
      return { ...array, buffers: [numbers], children: [], dictionary: values }
    }
    const own = ownBuffers(layout, length, buffers)
    const children = field.children.map(arrayOf)
    const itemsMin = itemsOf(layout, length)
    if (children.some((child) => child.length < itemsMin)) {
      throw damaged('a column is shorter than what it is in')
    }
    return { ...array, buffers: own, children, dictionary: undefined }
  }
  return fields.map(arrayOf)
}

const VIEW_BYTES = 16

/** Beside the one that says which values are there. */
function ownBuffers(layout: Layout, length: number, { next, views }: Buffers): Uint8Array[] {
  switch (layout.kind) {
    case 'null':
    case 'array':
    case 'struct':
      return []
    case 'bits':
      return [next(Math.ceil(length / 8))]
    case 'fixed':
    case 'bytes':
      return [next(length * layout.bytesEach)]
    case 'text':
      return [next(offsetsBytes(length, layout.offsetBytes)), next(0)]
    case 'views':
      return [next(length * VIEW_BYTES), ...views()]
    case 'list':
      return [next(offsetsBytes(length, layout.offsetBytes))]
  }
}

/** Of nothing, there may be no offset at all. */
const offsetsBytes = (length: number, each: number) => (length === 0 ? 0 : (length + 1) * each)

function itemsOf(layout: Layout, length: number): number {
  if (layout.kind === 'array') return length * layout.itemsEach
  return layout.kind === 'struct' ? length : 0
}
