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
export function inTime<T>(
  timeoutMs: number,
  request: Request,
  handle: (patience: Patience) => T | Promise<T>,
): T | Promise<T> {
  let controller: AbortController | undefined
  let over: Problem | undefined
  const result = handle({
    // Made only for the handler that asks for it.
    get signal() {
      controller ??= new AbortController()
      if (over !== undefined) controller.abort(over)
      return AbortSignal.any([controller.signal, request.signal])
    },
    isAbandoned: () => over !== undefined || request.signal.aborted,
    requireTime() {
      if (over !== undefined) throw over
    },
  })
  if (!(result instanceof Promise)) return result

  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      over = problems.timeout({ detail: `There was no answer in ${timeoutMs} ms.` })
      controller?.abort(over)
      reject(over)
    }, timeoutMs)
    result
      .then((value) => (over === undefined ? resolve(value) : discard(value)), reject)
      .finally(() => clearTimeout(timer))
  })
}

/** Nobody reads it: what is behind a stream would wait for that for ever. */
function discard(late: unknown): void {
  if (late instanceof Response) late.body?.cancel().catch(() => {})
}
