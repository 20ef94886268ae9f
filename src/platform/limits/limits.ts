import type { RateLimiterRes } from 'rate-limiter-flexible'

export const WINDOW_SECONDS = 60

/** Counts requests a minute, by key. */
export interface Limits {
  readonly driver: 'memory' | 'redis'
  /** A limit that is counted apart from those of other names. */
  create(limit: LimitOptions): Limit
}

interface LimitOptions {
  name: string
  requestsPerMinute: number
}

interface Limit {
  /**
   * Counts one request.
   *
   * @returns what is left of the minute that began with the key's first request.
   * @throws {RateLimiterRes} the same, when the limit was used up before it.
   */
  consume(key: string): Promise<RateLimiterRes>
}
