const FIRST_MS = 1000
const LONGEST_MS = 15 * 60 * 1000

/**
 * How long to wait after the `attempt`-th failure, in milliseconds: twice as long each time, and of
 * that something between half and all, so that what failed together does not come back together.
 */
export function backOffMs(attempt: number, random = Math.random()): number {
  const whole = Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 1))
  return Math.round(whole * (0.5 + random / 2))
}
