import { RateLimiterRes } from 'rate-limiter-flexible'

import { type Limits, WINDOW_SECONDS } from '../platform/limits/limits.ts'
import { problems } from './problems.ts'

/** Counts requests a minute and key, and says so in headers. */
export interface RateLimit {
  /**
   * Counts one request, and adds to its headers those that tell the caller where it stands (IETF
   * draft-ietf-httpapi-ratelimit-headers).
   *
   * @throws {Problem} 429 with `Retry-After` when the limit is used up.
   */
  count(key: string, headers: Record<string, string>): Promise<void>
}

export function createRateLimit(options: {
  limits: Limits
  name: string
  requestsPerMinute: number
}): RateLimit {
  const { name, requestsPerMinute } = options
  const limit = options.limits.create({ name, requestsPerMinute })
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
    count: (key, headers) =>
      limit
        .consume(key)
        .then((standing) => void Object.assign(headers, headersOf(standing)), refuse),
  }
}
