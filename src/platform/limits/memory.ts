import { LRUCache } from 'lru-cache'
import { RateLimiterMemory } from 'rate-limiter-flexible'

import { type Limits, WINDOW_SECONDS } from './limits.ts'

/** Counts in this process, at most `keysMax` keys a limit; the least recently seen ones start anew. */
export function createMemoryLimits({ keysMax }: { keysMax: number }): Limits {
  return {
    driver: 'memory',
    create({ requestsPerMinute }) {
      const limiter = new RateLimiterMemory({ points: requestsPerMinute, duration: WINDOW_SECONDS })
      // The limiter itself keeps every key for the whole window, however many there are.
      const keys = new LRUCache<string, true>({
        max: keysMax,
        dispose: (_, key, reason) => {
          if (reason === 'evict') void limiter.delete(key)
        },
      })
      return {
        consume(key) {
          keys.set(key, true)
          return limiter.consume(key)
        },
      }
    },
  }
}
