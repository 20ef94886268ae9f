import { problems } from './problems.ts'

/** How a handler learns that nobody waits for it any more: the client has gone, or its time is over. */
export interface Patience {
  readonly signal: AbortSignal
  isAbandoned(): boolean
}

/**
 * Runs a handler with a deadline.
 *
 * @throws {Problem} 504 at the deadline, whether or not the handler minds it.
 */
export function inTime<T>(
  timeoutMs: number,
  request: Request,
  handle: (patience: Patience) => T | Promise<T>,
): T | Promise<T> {
  let controller: AbortController | undefined
  let isOver = false
  const result = handle({
    // Made only for the handler that asks for it.
    get signal() {
      controller ??= new AbortController()
      return AbortSignal.any([controller.signal, request.signal])
    },
    isAbandoned: () => isOver || request.signal.aborted,
  })
  if (!(result instanceof Promise)) return result

  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      isOver = true
      const problem = problems.timeout({ detail: `There was no answer in ${timeoutMs} ms.` })
      controller?.abort(problem)
      reject(problem)
    }, timeoutMs)
    result.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
