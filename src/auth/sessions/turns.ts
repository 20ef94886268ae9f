import { authProblems } from '../problems.ts'

const RETRY_AFTER_SECONDS = '2'
/** So that those for one key don't keep all others out. */
const WAITING_PER_KEY_MAX = 16

/** Lets one at a time through for each key. */
export interface Turns {
  /** Whether one has the turn of a key, so that another would wait. */
  isTaken(key: string): boolean
  /** @throws {Problem} 503 with `Retry-After` when too many wait, for this key or for all together. */
  take<T>(key: string, work: () => Promise<T>): Promise<T>
}

export function createTurns(waitingMax: number): Turns {
  const queues = new Map<string, (() => void)[]>()
  let waiting = 0

  return {
    isTaken: (key) => queues.has(key),
    async take(key, work) {
      const queue = queues.get(key)
      if (queue === undefined) queues.set(key, [])
      else if (waiting >= waitingMax || queue.length >= WAITING_PER_KEY_MAX) {
        throw authProblems.busy({ headers: { 'retry-after': RETRY_AFTER_SECONDS } })
      } else {
        waiting += 1
        await new Promise<void>((resolve) => queue.push(resolve))
        waiting -= 1
      }
      try {
        return await work()
      } finally {
        const next = queues.get(key)!.shift()
        if (next === undefined) queues.delete(key)
        else next()
      }
    },
  }
}
