import { limitKey } from '../../gateway/address.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'

const MINUTE_MS = 60_000
/** Of one kind of act, by whoever does it. */
const ANONYMOUS_ACTS_PER_MINUTE_MAX = 300
/** So that nobody alone has the acts of all others left out. */
const ANONYMOUS_ACTS_PER_ADDRESS_MAX = 30

/**
 * For acts of whoever has not said who they are, which cost them nothing: says of so many a minute, in this
 * process, that the audit may tell of them, so that a flood of them is no flood of writes. That some are
 * left out is in the log, once a minute.
 */
export function createWriteCap(deps: { clock: Clock; log: Log }): (address: string) => boolean {
  const { clock, log } = deps
  let startedAt = -Infinity
  let acts = 0
  let isTold = false
  // As many as there are acts in a minute, at most.
  const actsOf = new Map<string, number>()

  function begin(now: number): void {
    startedAt = now
    acts = 0
    isTold = false
    actsOf.clear()
  }

  function refuse(address: string): false {
    if (!isTold) log.warn({ address }, 'the audit leaves out acts of strangers for a minute')
    isTold = true
    return false
  }

  return (address) => {
    const now = clock.now()
    if (Math.abs(now - startedAt) >= MINUTE_MS) begin(now)
    const key = limitKey(address)
    const ofAddress = actsOf.get(key) ?? 0
    const isOver =
      acts >= ANONYMOUS_ACTS_PER_MINUTE_MAX || ofAddress >= ANONYMOUS_ACTS_PER_ADDRESS_MAX
    if (isOver) return refuse(address)
    acts += 1
    actsOf.set(key, ofAddress + 1)
    return true
  }
}
