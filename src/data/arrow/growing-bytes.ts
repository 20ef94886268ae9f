const FIRST_BYTES = 1024

/** Bytes that more are added to, in memory that is kept from one batch to the next. */
export class GrowingBytes {
  #bytes = new Uint8Array(FIRST_BYTES)
  #words = new Uint32Array(this.#bytes.buffer)
  length = 0

  /** All that there is room for. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** The same memory, four bytes each. */
  get words(): Uint32Array {
    return this.#words
  }

  /** Makes room for more, which are of zeros, and says where they begin. */
  extend(count: number): number {
    const at = this.length
    this.length += count
    if (this.length > this.#bytes.length) {
      const larger = new Uint8Array(
        Math.ceil(Math.max(this.length, this.#bytes.length * 2) / 8) * 8,
      )
      larger.set(this.#bytes.subarray(0, at))
      this.#bytes = larger
      this.#words = new Uint32Array(larger.buffer)
    } else {
      this.#bytes.fill(0, at, this.length)
    }
    return at
  }

  /** What was added, as long as nothing else is. */
  taken(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.length)
    this.length = 0
    return taken
  }
}
