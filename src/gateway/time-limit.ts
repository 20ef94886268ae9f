import { problems } from './problems.ts'

/**
 * Runs a handler with a deadline. Its signal aborts at the deadline, and when the client goes.
 *
 * @throws {Problem} 504 at the deadline, whether or not the handler minds its signal.
 */
export function inTime<T>(
  timeoutMs: number,
  request: Request,
  handle: (signal: () => AbortSignal) => T | Promise<T>,
): T | Promise<T> {
  let controller: AbortController | undefined
  // Made only for the handler that asks for it.
  const result = handle(() => {
    controller ??= new AbortController()
    return AbortSignal.any([controller.signal, request.signal])
  })
  if (!(result instanceof Promise)) return result

  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const problem = problems.timeout({ detail: `There was no answer in ${timeoutMs} ms.` })
      controller?.abort(problem)
      reject(problem)
    }, timeoutMs)
    result.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
