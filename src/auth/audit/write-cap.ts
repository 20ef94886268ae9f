import { limitKey } from '../../gateway/address.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'

const MINUTE_MS = 60_000
/** Of one kind of act, by whoever does it. */
const ANONYMOUS_ACTS_PER_MINUTE_MAX = 300
/** So that nobody alone has the acts of all others left out. */
const ANONYMOUS_ACTS_PER_ADDRESS_MAX = 30
/** Of those whose acts are left out, so many are named in the log, a minute. */
const NAMED_MAX = 10

/** Whether the audit may tell of an act from an address, against somebody who is here or not. */
export type MayRecord = (address: string, isKnown: boolean) => boolean

/**
 * For acts of whoever has not said who they are, which cost them nothing: says of so many a minute, in this
 * process, that the audit may tell of them, so that a flood of them is no flood of writes. Acts against
 * somebody who is here are counted apart: names that are made up keep none of them out. Whose acts are
 * left out is in the log.
 */
export function createWriteCap(deps: { clock: Clock; log: Log }): MayRecord {
  const budgets = { known: createBudget(deps), unknown: createBudget(deps) }
  return (address, isKnown) => budgets[isKnown ? 'known' : 'unknown'](address)
}

function createBudget({ clock, log }: { clock: Clock; log: Log }): (address: string) => boolean {
  let startedAt = -Infinity
  let acts = 0
  // As many as there are acts in a minute, at most.
  const actsOf = new Map<string, number>()
  const named = new Set<string>()

  function begin(now: number): void {
    startedAt = now
    acts = 0
    actsOf.clear()
    named.clear()
  }

  function refuse(key: string): false {
    if (named.size < NAMED_MAX && !named.has(key)) {
      named.add(key)
      log.warn({ address: key }, 'the audit leaves out acts of a stranger for the rest of a minute')
    }
    return false
  }

  return (address) => {
    const now = clock.now()
    if (Math.abs(now - startedAt) >= MINUTE_MS) begin(now)
    const key = limitKey(address)
    const ofAddress = actsOf.get(key) ?? 0
    const isOver =
      acts >= ANONYMOUS_ACTS_PER_MINUTE_MAX || ofAddress >= ANONYMOUS_ACTS_PER_ADDRESS_MAX
    if (isOver) return refuse(key)
    acts += 1
    actsOf.set(key, ofAddress + 1)
    return true
  }
}
