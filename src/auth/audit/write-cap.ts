import type { Clock } from '../../platform/clock.ts'

const MINUTE_MS = 60_000
/** Of one kind of act, by whoever does it. */
export const ANONYMOUS_ACTS_PER_MINUTE_MAX = 300

/**
 * For acts of whoever has not said who they are, which cost them nothing: says of so many a minute, in this
 * process, that the audit may tell of them, so that a flood of them is no flood of writes.
 */
export function createWriteCap(deps: { clock: Clock; perMinuteMax: number }): () => boolean {
  const { clock, perMinuteMax } = deps
  let minute = { startedAt: -Infinity, acts: 0 }
  return () => {
    const now = clock.now()
    if (Math.abs(now - minute.startedAt) >= MINUTE_MS) minute = { startedAt: now, acts: 0 }
    minute.acts += 1
    return minute.acts <= perMinuteMax
  }
}
