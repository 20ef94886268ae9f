import { LRUCache } from 'lru-cache'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'

import { problems } from './problems.ts'

const WINDOW_SECONDS = 60

/** Counts requests a minute and key, in memory. */
export interface RateLimit {
  /**
   * Counts one request.
   *
   * @returns the headers that tell the caller where it stands (IETF draft-ietf-httpapi-ratelimit-headers).
   * @throws {Problem} 429 with `Retry-After` when the limit is used up.
   */
  count(key: string): Promise<Record<string, string>>
}

export function createRateLimit(options: {
  name: string
  requestsPerMinute: number
  keysMax: number
}): RateLimit {
  const { name, requestsPerMinute, keysMax } = options
  const limiter = new RateLimiterMemory({ points: requestsPerMinute, duration: WINDOW_SECONDS })
  // The limiter itself keeps every key for the whole window, however many there are.
  const keys = new LRUCache<string, true>({
    max: keysMax,
    dispose: (_, key, reason) => {
      if (reason === 'evict') void limiter.delete(key)
    },
  })
  const policy = `"${name}";q=${requestsPerMinute};w=${WINDOW_SECONDS}`
  const headersOf = ({ remainingPoints, msBeforeNext }: RateLimiterRes) => ({
    'ratelimit-policy': policy,
    ratelimit: `"${name}";r=${remainingPoints};t=${Math.ceil(msBeforeNext / 1000)}`,
  })

  function refuse(refusal: unknown): never {
    if (!(refusal instanceof RateLimiterRes)) throw refusal
    const retryAfter = String(Math.max(1, Math.ceil(refusal.msBeforeNext / 1000)))
    throw problems.tooManyRequests({
      detail: `At most ${requestsPerMinute} requests a minute. Try again in ${retryAfter} s.`,
      headers: { ...headersOf(refusal), 'retry-after': retryAfter },
    })
  }

  return {
    count(key) {
      keys.set(key, true)
      return limiter.consume(key).then(headersOf, refuse)
    },
  }
}
