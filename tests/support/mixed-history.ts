/** A time, and when it was over. */
export interface Span {
  from: number
  to: number
}

/** Versions that may answer: these, or whichever is the newest. */
export type Lead = { versions: readonly number[]; shadow: number | undefined } | 'latest'

/**
 * What was done to a model and when, from which follows what a request may have met: a change has its effect
 * at some time between its request and its answer.
 */
export class MixedHistory {
  readonly #leads: { lead: Lead; begunAt: number; endedAt: number }[] = [
    { lead: 'latest', begunAt: 0, endedAt: Number.POSITIVE_INFINITY },
  ]
  readonly #uploads: Span[] = []
  readonly #removals = new Map<number, Span>()
  readonly #absences: Span[] = []
  readonly #poisons: Span[] = []

  /** Versions that were acknowledged, and whose removal nobody asked for. */
  get versions(): number[] {
    return Array.from(this.#uploads, (_, at) => at + 1).filter(
      (version) => !this.#removals.has(version) && this.#uploads[version - 1]!.to < Infinity,
    )
  }

  /** All that were ever begun. */
  get uploads(): number {
    return this.#uploads.length
  }

  /** Those that no removal may hit. */
  get led(): readonly number[] {
    const { lead } = this.#leads.at(-1)!
    if (lead === 'latest') return [this.versions.at(-1) ?? 0]
    return [...lead.versions, ...(lead.shadow === undefined ? [] : [lead.shadow])]
  }

  async upload(work: () => Promise<unknown>): Promise<void> {
    const span = { from: performance.now(), to: Infinity }
    this.#uploads.push(span)
    await work()
    span.to = performance.now()
  }

  async lead(lead: Lead, work: () => Promise<unknown>): Promise<void> {
    const before = this.#leads.at(-1)!
    this.#leads.push({ lead, begunAt: performance.now(), endedAt: Infinity })
    await work()
    before.endedAt = performance.now()
  }

  async remove(version: number, work: () => Promise<unknown>): Promise<void> {
    const span = { from: performance.now(), to: Infinity }
    this.#removals.set(version, span)
    await work()
    span.to = performance.now()
  }

  readonly absent = (work: () => Promise<unknown>) => during(this.#absences, work)
  readonly poisoned = (work: () => Promise<unknown>) => during(this.#poisons, work)

  wasAbsent = (span: Span) => this.#absences.some((other) => meet(span, other))
  wasPoisoned = (span: Span) => this.#poisons.some((other) => meet(span, other))
  /** Whether somebody asked to remove it before this was over. */
  wasRemoved = (version: number, { to }: Span) =>
    (this.#removals.get(version)?.from ?? Infinity) <= to

  /** Whether this version may have answered a request that did not name it. */
  mayAnswer(version: number, span: Span): boolean {
    if ((this.#removals.get(version)?.to ?? Infinity) < span.from) return false
    return this.#leads.some(({ lead, begunAt, endedAt }) => {
      if (!meet(span, { from: begunAt, to: endedAt })) return false
      return lead === 'latest' ? this.#mayBeLatest(version, span) : lead.versions.includes(version)
    })
  }

  #mayBeLatest(version: number, { from, to }: Span): boolean {
    const isBegun = (this.#uploads[version - 1]?.from ?? Infinity) <= to
    const isOvertaken = (this.#uploads[version]?.to ?? Infinity) < from
    return isBegun && !isOvertaken
  }
}

export const meet = (one: Span, other: Span) => one.from <= other.to && other.from <= one.to

async function during(spans: Span[], work: () => Promise<unknown>): Promise<void> {
  const span = { from: performance.now(), to: Infinity }
  spans.push(span)
  try {
    await work()
  } finally {
    span.to = performance.now()
  }
}
