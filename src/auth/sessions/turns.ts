import { authProblems } from '../problems.ts'

const RETRY_AFTER_SECONDS = '2'

/** Lets one at a time through for each key. */
export interface Turns {
  /** @throws {Problem} 503 with `Retry-After` when too many wait, for whatever key. */
  take<T>(key: string, work: () => Promise<T>): Promise<T>
}

export function createTurns(waitingMax: number): Turns {
  const queues = new Map<string, (() => void)[]>()
  let waiting = 0

  return {
    async take(key, work) {
      const queue = queues.get(key)
      if (queue === undefined) queues.set(key, [])
      else if (waiting >= waitingMax) {
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
