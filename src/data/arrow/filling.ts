import {
  arrayChildOf,
  copyToVector,
  fillNulls,
  hasBit,
  listChildOf,
  resizeList,
  setText,
  structChildOf,
  validityOf,
  type Vector,
} from '../engine/vectors.ts'
import type { ArrowArray } from './arrays.ts'
import type { ArrowField } from './fields.ts'
import type { Layout } from './layouts.ts'
import { dictionaryRows, presentRows, type Rows } from './rows.ts'
import { damaged } from './source.ts'

/** Fills a vector with the values of an array at `rows`, and what is inside it likewise. */
export function fill(vector: Vector, array: ArrowArray, rows: Rows): void {
  const present = presentRows(array, rows)
  if (array.field.dictionary === undefined) {
    fillNulls(vector, present)
    fillers[array.field.layout.kind](vector, array, present, array.field.layout as never)
    return
  }
  const found = dictionaryRows(array, present)
  if (array.dictionary === undefined) fillNulls(vector, found)
  else fill(vector, array.dictionary, found)
}

type Filler<Kind> = (
  vector: Vector,
  array: ArrowArray,
  rows: Rows,
  layout: Extract<Layout, { kind: Kind }>,
) => void

const fillers: { [Kind in Layout['kind']]: Filler<Kind> } = {
  null() {},
  bits(vector, { buffers }, rows) {
    const [bits] = buffers as [Uint8Array]
    const values = Uint8Array.from(rows, (row) =>
      row === -1 ? 0 : (bits[row >> 3]! >> (row & 7)) & 1,
    )
    put(vector, values)
  },
  fixed(vector, { buffers, field }, rows, { bytesEach, change }) {
    put(vector, change(gathered(buffers[0]!, bytesEach, rows), field.refused))
  },
  bytes(vector, { buffers }, rows, { bytesEach }) {
    const [values] = buffers as [Uint8Array]
    eachOf(rows, (row, at) => {
      setText(vector, at, values.subarray(row * bytesEach, (row + 1) * bytesEach))
    })
  },
  text(vector, { buffers, field }, rows, { offsetBytes }) {
    const [offsets, values] = buffers as [Uint8Array, Uint8Array]
    const rangeAt = rangesOf(offsets, offsetBytes, values.length)
    eachOf(rows, (row, at) => {
      const { from, to } = rangeAt(row)
      setText(vector, at, values.subarray(from, to))
    })
    refuseLost(vector, rows, field)
  },
  views(vector, { buffers, field }, rows) {
    const [views, ...values] = buffers as [Uint8Array, ...Uint8Array[]]
    const viewAt = viewsOf(views, values)
    eachOf(rows, (row, at) => setText(vector, at, viewAt(row)))
    refuseLost(vector, rows, field)
  },
  list(vector, { buffers, children }, rows, { offsetBytes }) {
    const [child] = children as [ArrowArray]
    const rangeAt = rangesOf(buffers[0]!, offsetBytes, child.length)
    const entries = new BigUint64Array(rows.length * 2)
    let items = 0
    eachOf(rows, (row, at) => {
      const { from, to } = rangeAt(row)
      entries[at * 2] = BigInt(items)
      entries[at * 2 + 1] = BigInt(to - from)
      items += to - from
    })
    const itemRows = new Int32Array(items)
    let end = 0
    eachOf(rows, (row) => {
      const { from, to } = rangeAt(row)
      for (let item = from; item < to; item += 1) itemRows[end++] = item
    })
    resizeList(vector, items)
    put(vector, new Uint8Array(entries.buffer))
    fill(listChildOf(vector), child, itemRows)
  },
  array(vector, { children }, rows, { itemsEach }) {
    const itemRows = new Int32Array(rows.length * itemsEach)
    for (const [at, row] of rows.entries()) {
      for (let item = 0; item < itemsEach; item += 1) {
        itemRows[at * itemsEach + item] = row === -1 ? -1 : row * itemsEach + item
      }
    }
    fill(arrayChildOf(vector), children[0]!, itemRows)
  },
  struct(vector, { children }, rows) {
    for (const [at, child] of children.entries()) fill(structChildOf(vector, at), child, rows)
  },
}

function eachOf(rows: Rows, use: (row: number, at: number) => void): void {
  for (let at = 0; at < rows.length; at += 1) {
    const row = rows[at]!
    if (row !== -1) use(row, at)
  }
}

const put = (vector: Vector, { buffer, byteOffset, length }: Uint8Array) =>
  copyToVector(vector, 0, buffer as ArrayBuffer, byteOffset, length)

/** DuckDB makes nulls of texts that are not of UTF-8. */
function refuseLost(vector: Vector, rows: Rows, { refused }: ArrowField): void {
  const bits = validityOf(vector, rows.length)
  if (bits === undefined) return
  eachOf(rows, (_, at) => {
    if (!hasBit(bits, at)) throw refused('text that is not valid UTF-8')
  })
}

/** Zeros for what is null. */
function gathered(values: Uint8Array, bytesEach: number, rows: Rows): Uint8Array {
  const target = new Uint8Array(rows.length * bytesEach)
  if (follow(rows)) {
    const from = rows[0]! * bytesEach
    target.set(values.subarray(from, from + target.length))
    return target
  }
  eachOf(rows, (row, at) => {
    const [from, to] = [row * bytesEach, at * bytesEach]
    for (let byte = 0; byte < bytesEach; byte += 1) target[to + byte] = values[from + byte]!
  })
  return target
}

/** Whether they are there, one after the other. */
function follow(rows: Rows): boolean {
  if (rows.length === 0 || rows[0] === -1) return false
  for (let at = 1; at < rows.length; at += 1) if (rows[at] !== rows[0]! + at) return false
  return true
}

/** What belongs to a row, by offsets of where each begins and the last ends. */
function rangesOf(offsets: Uint8Array, offsetBytes: 4 | 8, length: number) {
  const view = new DataView(offsets.buffer, offsets.byteOffset, offsets.length)
  const offsetAt =
    offsetBytes === 4
      ? (at: number) => view.getInt32(at * 4, true)
      : (at: number) => Number(view.getBigInt64(at * 8, true))
  return (row: number) => {
    const [from, to] = [offsetAt(row), offsetAt(row + 1)]
    if (from >= 0 && from <= to && to <= length) return { from, to }
    throw damaged('a value is not inside its buffer')
  }
}

const VIEW_BYTES = 16
/** What is not longer is in the view itself. */
const INLINE_BYTES_MAX = 12

/** @see https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout */
function viewsOf(views: Uint8Array, values: readonly Uint8Array[]) {
  const view = new DataView(views.buffer, views.byteOffset, views.length)
  return (row: number): Uint8Array => {
    const at = row * VIEW_BYTES
    const length = view.getInt32(at, true)
    if (length >= 0 && length <= INLINE_BYTES_MAX) return views.subarray(at + 4, at + 4 + length)
    const buffer = values[view.getInt32(at + 8, true)]
    const from = view.getInt32(at + 12, true)
    if (length > 0 && buffer !== undefined && from >= 0 && from + length <= buffer.length) {
      return buffer.subarray(from, from + length)
    }
    throw damaged('a value is not inside its buffer')
  }
}
