import type { Rows } from './column.ts'
import { GrowingBytes } from './growing-bytes.ts'

/** Gathers which values are there and which are nulls. */
export class Validity {
  readonly #isPresent = new GrowingBytes()
  #nulls = 0

  get length(): number {
    return this.#isPresent.length
  }

  append(rows: Rows, count: number): void {
    const from = this.#isPresent.extend(count)
    const { bytes } = this.#isPresent
    if (rows === undefined) {
      bytes.fill(1, from, from + count)
      return
    }
    for (let at = 0; at < count; at += 1) {
      if (rows[at] === -1) this.#nulls += 1
      else bytes[from + at] = 1
    }
  }

  /** Makes a null of a value. */
  remove(at: number): void {
    const { bytes } = this.#isPresent
    this.#nulls += bytes[at]!
    bytes[at] = 0
  }

  /** Its buffer is empty where nothing is null. */
  take(): { length: number; nulls: number; bits: Uint8Array } {
    const { length } = this.#isPresent
    const nulls = this.#nulls
    this.#nulls = 0
    const flags = this.#isPresent.taken()
    return { length, nulls, bits: nulls === 0 ? new Uint8Array() : bitsOf(flags) }
  }
}

/** A bit for each byte, the lowest first. */
export function bitsOf(flags: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(flags.length / 8))
  for (let at = 0; at < flags.length; at += 1) {
    if (flags[at] !== 0) bits[at >> 3]! |= 1 << (at & 7)
  }
  return bits
}
