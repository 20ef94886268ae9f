/** The time, as an argument: tests hand in one that they move. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }

let lastMs = Number.NaN
let lastText = ''

/**
 * Milliseconds since the Unix epoch as ISO 8601 in UTC. The last answer is kept: under load many
 * requests fall into one millisecond, and to spell it out is 2 % of what each of them costs.
 */
export function isoTime(ms: number): string {
  if (ms !== lastMs) {
    lastText = new Date(ms).toISOString()
    lastMs = ms
  }
  return lastText
}

/** Where `performance.now()` began; moved when the system's clock was set. */
let origin = performance.timeOrigin
const DRIFT_MS_MAX = 50

/**
 * Milliseconds since the Unix epoch with what is below them, in any thread: for what is measured
 * in one thread and told beside what was measured in another.
 */
export function epochMs(): number {
  const now = origin + performance.now()
  const drift = Date.now() - now
  if (Math.abs(drift) < DRIFT_MS_MAX) return now
  origin += drift
  return now + drift
}
