import { Refused } from '../engine/refused.ts'
import { dataOf, pointedToFrom } from '../engine/vectors.ts'
import { type Column, presentRows } from './column.ts'
import { GrowingBytes } from './growing-bytes.ts'
import { Validity } from './validity.ts'

/** What DuckDB has of a text beside its length; longer ones are elsewhere. */
const INLINE_BYTES_MAX = 12
/** What offsets of 32 bits reach. */
const BYTES_MAX = 2 ** 31 - 1

/** Of text or bytes. */
export function textColumn(): Column {
  const offsets = new GrowingBytes()
  const data = new GrowingBytes()
  const validity = new Validity()
  offsets.extend(4)
  return {
    append(vector, size, meant) {
      const rows = presentRows(vector, size, meant)
      const count = rows?.length ?? size
      const stored = dataOf(vector, size * 16)
      const words = new Uint32Array(stored.buffer, stored.byteOffset, size * 4)
      const ends = offsets.extend(count * 4) / 4
      for (let at = 0; at < count; at += 1) {
        const row = rows === undefined ? at : rows[at]!
        if (row !== -1) appendText(data, stored, row, words[row * 4]!)
        offsets.words[ends + at] = data.length
      }
      if (data.length > BYTES_MAX) throw new Refused('A few rows have more than 2 GiB of text.')
      validity.append(rows, count)
    },
    get bytes() {
      return offsets.length + data.length + validity.length
    },
    take() {
      const { length, nulls, bits } = validity.take()
      const buffers = [bits, offsets.taken(), data.taken()]
      offsets.extend(4)
      return { length, nulls, buffers, children: [] }
    },
  }
}

function appendText(data: GrowingBytes, stored: Uint8Array, row: number, length: number): void {
  const to = data.extend(length)
  const from = row * 16
  if (length > INLINE_BYTES_MAX) {
    data.bytes.set(pointedToFrom(stored, from + 8, length), to)
    return
  }
  const { bytes } = data
  for (let at = 0; at < length; at += 1) bytes[to + at] = stored[from + 4 + at]!
}
