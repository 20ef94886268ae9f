import { hasBit } from '../engine/vectors.ts'
import type { ArrowArray } from './arrays.ts'
import { damaged } from './source.ts'

/** Values of an array by where they are, -1 being a null. */
export type Rows = Int32Array

/** So many that follow each other. */
export function rowsFrom(from: number, count: number): Rows {
  const rows = new Int32Array(count)
  for (let at = 0; at < count; at += 1) rows[at] = from + at
  return rows
}

/** With -1 for those that the array has no value for. */
export function presentRows({ bits, field }: ArrowArray, rows: Rows): Rows {
  if (field.dictionary === undefined && field.layout.kind === 'null') return rows.map(() => -1)
  if (bits === undefined) return rows
  return rows.map((row) => (row !== -1 && hasBit(bits, row) ? row : -1))
}

/** Where in its dictionary each value of an array is. */
export function dictionaryRows({ buffers, field, dictionary }: ArrowArray, rows: Rows): Rows {
  const { keyBytes, isSigned } = field.dictionary!
  const [numbers] = buffers as [Uint8Array]
  const view = new DataView(numbers.buffer, numbers.byteOffset, numbers.length)
  const numberAt = readers[keyBytes]!(view, isSigned)
  const length = dictionary?.length ?? 0
  return rows.map((row) => {
    if (row === -1) return -1
    const number = numberAt(row * keyBytes)
    if (number >= 0 && number < length) return number
    throw damaged('a value is not in its dictionary')
  })
}

const readers: Record<number, (view: DataView, isSigned: boolean) => (at: number) => number> = {
  1: (view, isSigned) => (isSigned ? (at) => view.getInt8(at) : (at) => view.getUint8(at)),
  2: (view, isSigned) =>
    isSigned ? (at) => view.getInt16(at, true) : (at) => view.getUint16(at, true),
  4: (view, isSigned) =>
    isSigned ? (at) => view.getInt32(at, true) : (at) => view.getUint32(at, true),
  8: (view) => (at) => Number(view.getBigInt64(at, true)),
}
