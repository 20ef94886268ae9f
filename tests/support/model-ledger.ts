import { expect } from 'bun:test'

/** Of a model for which nobody has said another. */
const FIRST_TRAFFIC = { split: [{ version: 'latest', weight: 1 }], shadow: null }

/** What is known of one model from outside, across kills. */
export class ModelLedger {
  readonly name: string
  /** By version what it says: of all that were ever acknowledged, or seen. */
  readonly #bases = new Map<number, number>()
  /** Of uploads that were begun and not acknowledged. */
  readonly #unsure = new Set<number>()
  readonly #removing = new Set<number>()
  readonly #removed = new Set<number>()
  /** What traffic may be: as it was acknowledged last, or as it was asked for since. */
  #traffic: unknown[] = [FIRST_TRAFFIC]

  constructor(name: string) {
    this.name = name
  }

  /** Versions that are there for sure. */
  get versions(): number[] {
    return [...this.#bases.keys()].filter(
      (version) => !this.#removing.has(version) && !this.#removed.has(version),
    )
  }

  beginUpload(base: number): void {
    this.#unsure.add(base)
  }

  endUpload(base: number, version: number): void {
    // No number is given twice, and none to two.
    expect(this.#bases.get(version)).toBeUndefined()
    this.#bases.set(version, base)
    this.#unsure.delete(base)
  }

  /** An upload that was refused. */
  giveUp(base: number): void {
    this.#unsure.delete(base)
  }

  beginRemoval(version: number): void {
    this.#removing.add(version)
  }

  /** @param isRemoved whether it was; otherwise it was refused. */
  endRemoval(version: number, isRemoved: boolean): void {
    this.#removing.delete(version)
    if (isRemoved) this.#removed.add(version)
  }

  beginTraffic(traffic: unknown): void {
    this.#traffic.push(traffic)
  }

  endTraffic(traffic: unknown): void {
    this.#traffic = [traffic]
  }

  /**
   * Compares what is there after a restart, by version what it says, with what must and may be.
   *
   * @param traffic none where there is no such model.
   */
  expectAsKnown(found: ReadonlyMap<number, number>, traffic: unknown): void {
    for (const version of this.versions)
      expect([version, found.has(version)]).toEqual([version, true])
    for (const version of this.#removed) expect(found.has(version)).toBe(false)
    for (const [version, base] of found) {
      const known = this.#bases.get(version)
      if (known === undefined) expect(this.#unsure).toContain(base)
      this.#bases.set(version, known ?? base)
      expect([version, base]).toEqual([version, this.#bases.get(version)!])
    }
    for (const version of this.#removing) if (!found.has(version)) this.#removed.add(version)
    this.#removing.clear()
    this.#unsure.clear()
    if (traffic === undefined) return
    expect(this.#traffic).toContainEqual(traffic)
    this.#traffic = [traffic]
  }
}
