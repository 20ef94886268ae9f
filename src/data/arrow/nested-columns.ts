import { Refused } from '../engine/refused.ts'
import { arrayChildOf, dataOf, listChildOf, listSizeOf, structChildOf } from '../engine/vectors.ts'
import { type Column, presentRows } from './column.ts'
import { GrowingBytes } from './growing-bytes.ts'
import { Validity } from './validity.ts'

const ITEMS_MAX = 2 ** 31 - 1

/** Of lists, or of maps, which are lists of their entries. */
export function listColumn(items: Column): Column {
  const offsets = new GrowingBytes()
  const validity = new Validity()
  let length = 0
  offsets.extend(4)
  return {
    append(vector, size, meant) {
      const rows = presentRows(vector, size, meant)
      const count = rows?.length ?? size
      const stored = dataOf(vector, size * 16)
      // Where its items begin and how many they are, in eight bytes each.
      const entries = new Uint32Array(stored.buffer, stored.byteOffset, size * 4)
      const ends = offsets.extend(count * 4) / 4
      const first = length
      for (let at = 0; at < count; at += 1) {
        const row = rows === undefined ? at : rows[at]!
        if (row !== -1) length += entries[row * 4 + 2]!
        if (length > ITEMS_MAX) throw new Refused('A few rows have more than 2³¹ items in lists.')
        offsets.words[ends + at] = length
      }
      const itemRows = new Int32Array(length - first)
      for (let at = 0, to = 0; at < count; at += 1) {
        const row = rows === undefined ? at : rows[at]!
        if (row === -1) continue
        const from = entries[row * 4]!
        for (let item = 0; item < entries[row * 4 + 2]!; item += 1) itemRows[to++] = from + item
      }
      items.append(listChildOf(vector), listSizeOf(vector), itemRows)
      validity.append(rows, count)
    },
    get bytes() {
      return offsets.length + validity.length + items.bytes
    },
    take() {
      const { length: count, nulls, bits } = validity.take()
      const buffers = [bits, offsets.taken()]
      offsets.extend(4)
      length = 0
      return { length: count, nulls, buffers, children: [items.take()] }
    },
  }
}

/** Of arrays, each of as many items; so many a null has, too. */
export function arrayColumn(items: Column, itemsEach: number): Column {
  const validity = new Validity()
  return {
    append(vector, size, meant) {
      const rows = presentRows(vector, size, meant)
      const count = rows?.length ?? size
      const itemRows = rows && new Int32Array(count * itemsEach).fill(-1)
      rows?.forEach((row, at) => {
        if (row === -1) return
        for (let item = 0; item < itemsEach; item += 1) {
          itemRows![at * itemsEach + item] = row * itemsEach + item
        }
      })
      items.append(arrayChildOf(vector), size * itemsEach, itemRows)
      validity.append(rows, count)
    },
    get bytes() {
      return validity.length + items.bytes
    },
    take() {
      const { length, nulls, bits } = validity.take()
      return { length, nulls, buffers: [bits], children: [items.take()] }
    },
  }
}

/** What is in a null is null. */
export function structColumn(members: readonly Column[]): Column {
  const validity = new Validity()
  return {
    append(vector, size, meant) {
      const rows = presentRows(vector, size, meant)
      for (const [at, member] of members.entries()) {
        member.append(structChildOf(vector, at), size, rows)
      }
      validity.append(rows, rows?.length ?? size)
    },
    get bytes() {
      return members.reduce((sum, { bytes }) => sum + bytes, validity.length)
    },
    take() {
      const { length, nulls, bits } = validity.take()
      return { length, nulls, buffers: [bits], children: members.map((member) => member.take()) }
    },
  }
}
