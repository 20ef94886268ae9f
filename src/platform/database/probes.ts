import type { SQL } from 'bun'

const INTERVAL_TICKS = 2
const GIVEN_UP_AFTER_TICKS = 10

interface Probe {
  client: SQL
  sentAtTick: number
}

/**
 * Asks a server whether it still answers, past the pool: there a statement may wait for a lock, for
 * a connection, or on a connection that is dead while the server lives. Several at once, since one
 * that was sent into a silence may never come back.
 */
export class Probes {
  readonly #open: () => SQL
  readonly #hear: () => void
  readonly #sent = new Set<Probe>()
  /** The last one that was answered: it need not connect again. */
  #resting: SQL | undefined

  /** @param hear is called for each answer. */
  constructor(open: () => SQL, hear: () => void) {
    this.#open = open
    this.#hear = hear
  }

  /** To be called at each tick while the server is in doubt. */
  send(tick: number): void {
    let latest = -Infinity
    for (const probe of this.#sent) {
      latest = Math.max(latest, probe.sentAtTick)
      if (tick - probe.sentAtTick >= GIVEN_UP_AFTER_TICKS) this.#drop(probe)
    }
    if (tick - latest < INTERVAL_TICKS) return
    const probe = { client: this.#resting ?? this.#open(), sentAtTick: tick }
    this.#resting = undefined
    this.#sent.add(probe)
    void this.#ask(probe)
  }

  /** Leaves no connection behind. */
  close(): void {
    for (const probe of this.#sent) this.#drop(probe)
    void this.#resting?.close({ timeout: 0 })
    this.#resting = undefined
  }

  async #ask(probe: Probe): Promise<void> {
    const isHeard = await probe.client.unsafe('select 1').then(() => true, isAnswer)
    if (!this.#sent.has(probe)) return
    if (isHeard && this.#resting === undefined) {
      this.#sent.delete(probe)
      this.#resting = probe.client
    } else {
      this.#drop(probe)
    }
    if (isHeard) this.#hear()
  }

  #drop(probe: Probe): void {
    this.#sent.delete(probe)
    void probe.client.close({ timeout: 0 })
  }
}

/** An error with a SQLSTATE was written by the server; others are the client's own. */
export const isAnswer = (error: unknown) =>
  error instanceof Error && 'errno' in error && error.errno !== undefined
