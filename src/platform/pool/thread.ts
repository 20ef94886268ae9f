import { epochMs } from '../clock.ts'
import type { FromWorker, RunTime, ToWorker } from './protocol.ts'

/** Why a job has no result. */
export type PoolFailure = 'failed' | 'crashed' | 'timeout' | 'full' | 'closed'

export class PoolError extends Error {
  override name = 'PoolError'
  readonly failure: PoolFailure
  constructor(failure: PoolFailure, message: string) {
    super(message)
    this.failure = failure
  }
}

/**
 * One worker thread and the one job that it has in flight.
 *
 * `terminate()` on a worker that is inside a native call aborts the whole process, so a thread ends
 * in one way only: it answers its last job, releases what it holds, says so, and is then terminated.
 */
export class Thread<Start, Ready, Job, Result> {
  readonly #worker: Worker
  #receive: ((message: FromWorker<Ready, Result>) => void) | undefined
  #fail: ((error: PoolError) => void) | undefined
  #isGone = false
  readonly gone: Promise<void>

  constructor(script: URL) {
    this.#worker = new Worker(script)
    this.gone = new Promise((resolve) => {
      const end = (reason: string) => {
        this.#isGone = true
        this.#fail?.(new PoolError('crashed', reason))
        resolve()
      }
      this.#worker.addEventListener('error', (event) => {
        event.preventDefault()
        end(event.message)
      })
      this.#worker.addEventListener('close', () => end('the worker ended'))
    })
    this.#worker.addEventListener('message', (event: MessageEvent<FromWorker<Ready, Result>>) => {
      this.#receive?.(event.data)
    })
  }

  async start(start: Start, timeoutMs: number): Promise<Ready> {
    const timer = setTimeout(() => {
      this.#fail?.(new PoolError('timeout', `a thread was not ready in ${timeoutMs} ms`))
    }, timeoutMs)
    const reply = await this.#ask({ type: 'start', start }).finally(() => clearTimeout(timer))
    if (reply.type === 'ready') return reply.ready
    throw new PoolError('failed', reply.type === 'refused' ? reply.reason : 'out of order')
  }

  /** @param hear is told when the job ran, whether or not it has a result */
  async run(job: Job, hear?: (time: RunTime) => void): Promise<Result> {
    if (hear === undefined) return resultOf(await this.#ask({ type: 'run', job }))
    const askedAt = epochMs()
    const reply = await this.#ask({ type: 'run', job, isTimed: true })
    if ('time' in reply) hear(between(askedAt, epochMs(), reply.time))
    return resultOf(reply)
  }

  /** Only for a thread without a job in flight. */
  async release(): Promise<void> {
    if (this.#isGone) return
    await this.#ask({ type: 'release' }).catch(() => {})
    this.#worker.terminate()
  }

  #ask(message: ToWorker<Start, Job>): Promise<FromWorker<Ready, Result>> {
    return new Promise<FromWorker<Ready, Result>>((resolve, reject) => {
      if (this.#isGone) return reject(new PoolError('crashed', 'the worker ended'))
      this.#receive = resolve
      this.#fail = reject
      this.#worker.postMessage(message)
    })
  }
}

function resultOf<Ready, Result>(reply: FromWorker<Ready, Result>): Result {
  if (reply.type === 'done') return reply.result
  throw new PoolError('failed', reply.type === 'failed' ? reply.reason : 'out of order')
}

/**
 * A thread's clock is some tenths of a millisecond off another's: how long a job took is as the
 * thread says, and when it was lies between the question and the answer.
 */
function between(askedAt: number, answeredAt: number, time: RunTime): RunTime {
  const ms = time.endedAt - time.startedAt
  const startedAt = Math.max(askedAt, Math.min(time.startedAt, answeredAt - ms))
  return { startedAt, endedAt: startedAt + ms }
}
