const PREFLIGHT_MAX_AGE_SECONDS = '600'
const ALLOWED_HEADERS = 'authorization, x-api-key, content-type, x-request-id, traceparent'
const EXPOSED_HEADERS =
  'x-request-id, traceparent, ratelimit, ratelimit-policy, retry-after, location'

/** Cross-origin rules from an exact list of origins: no patterns, no wildcard. */
export interface Cors {
  /** Headers of an answer to a page of `origin`; `undefined` where CORS has no say. */
  headers(origin: string | null): Record<string, string> | undefined
  /** Further headers of the answer to a preflight request. */
  preflight(origin: string, methods: readonly string[]): Record<string, string>
}

export function createCors(origins: readonly string[]): Cors {
  const allowed = new Set(origins)
  const refused = { vary: 'origin' }
  return {
    headers(origin) {
      if (allowed.size === 0) return undefined
      if (origin === null || !allowed.has(origin)) return refused
      return {
        vary: 'origin',
        'access-control-allow-origin': origin,
        'access-control-expose-headers': EXPOSED_HEADERS,
      }
    },
    preflight(origin, methods) {
      if (!allowed.has(origin)) return {}
      return {
        'access-control-allow-methods': methods.join(', '),
        'access-control-allow-headers': ALLOWED_HEADERS,
        'access-control-max-age': PREFLIGHT_MAX_AGE_SECONDS,
      }
    },
  }
}
