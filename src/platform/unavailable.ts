/** Something that the server depends on does not answer now. The gateway says so by 503 and Retry-After. */
export class Unavailable extends Error {
  override name = 'Unavailable'
  /** What is away, as a noun for the caller: `The object storage`. */
  readonly part: string
  readonly retryAfterSeconds: number

  constructor(part: string, { retryAfterSeconds = 5, cause }: UnavailableOptions = {}) {
    super(`${part} does not answer`, { cause })
    this.part = part
    this.retryAfterSeconds = retryAfterSeconds
  }
}

interface UnavailableOptions {
  retryAfterSeconds?: number
  cause?: unknown
}
