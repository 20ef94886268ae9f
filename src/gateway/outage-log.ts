import type { Log } from '../platform/log.ts'
import type { Unavailable } from '../platform/unavailable.ts'

const SILENCE_MS = 60_000

/** Says that a part is away once a minute, and not once a request: the access lines tell those. */
export function createOutageLog(log: Log) {
  const reported = new Map<string, { atMs: number; refusals: number }>()
  return {
    report(away: Unavailable): void {
      const now = performance.now()
      const last = reported.get(away.message)
      if (last !== undefined && now - last.atMs < SILENCE_MS) {
        last.refusals += 1
        return
      }
      log.warn({ error: away, refusals_since: last?.refusals }, away.message)
      reported.set(away.message, { atMs: now, refusals: 0 })
    },
  }
}
