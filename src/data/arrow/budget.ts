import { Refused } from '../engine/refused.ts'

/** How many bytes there may be when what is compressed in a file is not. */
export class Budget {
  readonly #bytesMax: number
  #spent = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** @throws {Refused} where they are too many. */
  spend(bytes: number): void {
    this.#spent += bytes
    if (this.#spent > this.#bytesMax) {
      throw new Refused(`Expanded, it has more than ${this.#bytesMax} bytes.`)
    }
  }
}
