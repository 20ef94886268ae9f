import { dataOf } from '../engine/vectors.ts'
import { type Column, presentRows } from './column.ts'
import { GrowingBytes } from './growing-bytes.ts'
import { bitsOf, Validity } from './validity.ts'

/** What Arrow has in place of the bytes that DuckDB has; a value that Arrow lacks is made a null. */
type Change = (stored: Uint8Array, validity: Validity) => Uint8Array

/** Of values that all take as many bytes. */
export function fixedColumn(bytesEach: number, change: Change = (stored) => stored): Column {
  const values = new GrowingBytes()
  const validity = new Validity()
  return {
    append(vector, size, meant) {
      const rows = presentRows(vector, size, meant)
      const stored = dataOf(vector, size * bytesEach)
      const count = rows?.length ?? size
      const from = values.extend(count * bytesEach)
      if (rows === undefined) values.bytes.set(stored, from)
      else gather(stored, rows, bytesEach, values, from)
      validity.append(rows, count)
    },
    get bytes() {
      return values.length + validity.length
    },
    take() {
      const changed = change(values.taken(), validity)
      const { length, nulls, bits } = validity.take()
      return { length, nulls, buffers: [bits, changed], children: [] }
    },
  }
}

/** What nulls have in their places is left out: it may be anything that was in the memory before. */
function gather(
  stored: Uint8Array,
  rows: Int32Array,
  bytesEach: number,
  values: GrowingBytes,
  from: number,
): void {
  const inWords = bytesEach % 4 === 0
  const source = inWords ? wordsOf(stored) : stored
  const target = inWords ? values.words : values.bytes
  const each = inWords ? bytesEach / 4 : bytesEach
  let to = inWords ? from / 4 : from
  for (let at = 0; at < rows.length; at += 1, to += each) {
    const row = rows[at]!
    if (row === -1) continue
    for (let part = 0; part < each; part += 1) target[to + part] = source[row * each + part]!
  }
}

export const bits: Change = (stored) => bitsOf(stored)

/** From a decimal of 2, 4 or 8 bytes, or of 16, to one of 16. */
export const decimals =
  (bytesEach: number): Change =>
  (stored) => {
    if (bytesEach === 16) return stored
    const count = stored.length / bytesEach
    const wide = new Int32Array(count * 4)
    const { buffer, byteOffset } = stored
    const narrow =
      bytesEach === 2
        ? new Int16Array(buffer, byteOffset, count)
        : new Int32Array(buffer, byteOffset, stored.length / 4)
    const step = bytesEach === 8 ? 2 : 1
    for (let at = 0; at < count; at += 1) {
      const last = narrow[at * step + step - 1]!
      wide[at * 4] = narrow[at * step]!
      wide[at * 4 + 1] = step === 2 ? last : last >> 31
      wide[at * 4 + 2] = last >> 31
      wide[at * 4 + 3] = last >> 31
    }
    return bytesOf(wide)
  }

/** Of months, days and microseconds, what has nanoseconds; they are as many bytes. */
export const intervals: Change = (stored) => {
  const parts = new BigInt64Array(stored.buffer, stored.byteOffset, stored.length / 8)
  for (let at = 1; at < parts.length; at += 2) parts[at] = parts[at]! * 1000n
  return stored
}

/** Days without the ends of time, which Arrow has no way to say. */
export const finiteDays: Change = (stored, validity) => {
  const days = new Int32Array(stored.buffer, stored.byteOffset, stored.length / 4)
  for (let at = 0; at < days.length; at += 1) {
    if (Math.abs(days[at]!) !== END_OF_DAYS) continue
    days[at] = 0
    validity.remove(at)
  }
  return stored
}

/** As `finiteDays`, of eight bytes: ±(2⁶³ - 1). */
export const finiteTimes: Change = (stored, validity) => {
  const words = wordsOf(stored)
  for (let at = 0; at < words.length; at += 2) {
    const [low, high] = [words[at], words[at + 1]]
    const isEnd =
      (high === 0x7fff_ffff && low === 0xffff_ffff) || (high === 0x8000_0000 && low === 1)
    if (!isEnd) continue
    words.fill(0, at, at + 2)
    validity.remove(at / 2)
  }
  return stored
}

const END_OF_DAYS = 2 ** 31 - 1

const wordsOf = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new Uint32Array(buffer, byteOffset, byteLength / 4)

const bytesOf = ({ buffer, byteOffset, byteLength }: Int32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength)
