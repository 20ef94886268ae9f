/** Something that the server depends on can't be used now. The gateway says so by 503 and Retry-After. */
export class Unavailable extends Error {
  override name = 'Unavailable'
  /** What is away, as a noun for the caller: `The object storage`. */
  readonly part: string
  readonly retryAfterSeconds: number

  constructor(part: string, options: UnavailableOptions = {}) {
    const { fault = 'does not answer', retryAfterSeconds = 5, cause } = options
    super(`${part} ${fault}`, { cause })
    this.part = part
    this.retryAfterSeconds = retryAfterSeconds
  }
}

interface UnavailableOptions {
  /** What is wrong with it, for the caller: `has no space left`. */
  fault?: string
  retryAfterSeconds?: number
  cause?: unknown
}
