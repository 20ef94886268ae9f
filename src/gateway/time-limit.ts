import type { Problem } from './problem.ts'
import { problems } from './problems.ts'

/** How a handler learns that nobody waits for it any more: the client has gone, or its time is over. */
export interface Patience {
  readonly signal: AbortSignal
  isAbandoned(): boolean
  /** @throws {Problem} 504 when its time is over, for steps that would begin what nobody waits for. */
  requireTime(): void
}

/**
 * Does what a request asks for with a deadline, and at once where that can be done at once.
 *
 * @throws {Problem} 504 at the deadline, whether or not the handler minds it.
 */
export type TimeLimit = <T>(
  request: Request,
  handle: (patience: Patience) => T | Promise<T>,
) => T | Promise<T>

/** One timer for all requests that have as long: the one that came first is over first. */
export function createTimeLimit(timeoutMs: number): TimeLimit {
  const waiting = new Set<Deadline>()
  let isArmed = false

  function arm(ms: number): void {
    isArmed = true
    setTimeout(giveUp, ms)
  }

  function giveUp(): void {
    isArmed = false
    const now = performance.now()
    for (const deadline of waiting) {
      if (deadline.at > now) {
        arm(Math.ceil(deadline.at - now))
        return
      }
      waiting.delete(deadline)
      deadline.pass(problems.timeout({ detail: `There was no answer in ${timeoutMs} ms.` }))
    }
  }

  return (request, handle) => {
    const deadline = new Deadline(request, timeoutMs)
    const result = handle(deadline)
    if (!(result instanceof Promise)) return result

    return new Promise((resolve, reject) => {
      deadline.reject = reject
      waiting.add(deadline)
      if (!isArmed) arm(timeoutMs)
      result.then(
        (value) => (waiting.delete(deadline) ? resolve(value) : discard(value)),
        (error: unknown) => {
          waiting.delete(deadline)
          reject(error)
        },
      )
    })
  }
}

class Deadline implements Patience {
  readonly at: number
  reject: ((reason: Problem) => void) | undefined
  readonly #request: Request
  #controller: AbortController | undefined
  #over: Problem | undefined

  constructor(request: Request, timeoutMs: number) {
    this.#request = request
    this.at = performance.now() + timeoutMs
  }

  // Made only for the handler that asks for it.
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#over !== undefined) this.#controller.abort(this.#over)
    return AbortSignal.any([this.#controller.signal, this.#request.signal])
  }

  isAbandoned(): boolean {
    return this.#over !== undefined || this.#request.signal.aborted
  }

  requireTime(): void {
    if (this.#over !== undefined) throw this.#over
  }

  pass(over: Problem): void {
    this.#over = over
    this.#controller?.abort(over)
    this.reject?.(over)
  }
}

/** Nobody reads it: what is behind a stream would wait for that for ever. */
function discard(late: unknown): void {
  if (late instanceof Response) late.body?.cancel().catch(() => {})
}
