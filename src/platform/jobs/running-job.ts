import { type Attempt, JobFailed, JobRefused } from './jobs.ts'
import type { ClaimedJob, Ending } from './leases.ts'

/** Why the signal of an attempt aborts. */
export const CANCELLED = new Error('the job was cancelled')
export const LOST = new Error('the job was given to another process')
export const STOPPED = new Error('the process stops')

/** What an owner is told of a bug. */
export const INTERNAL = 'An internal error.'

/** A job that this process does: what its handler is given, and what the worker knows of it. */
export class RunningJob implements Attempt<unknown> {
  readonly id: string
  readonly payload: unknown
  readonly attempt: number
  readonly ownerId: string | null
  readonly traceparent: string | null
  readonly job: ClaimedJob
  /** By the monotonic clock, in milliseconds. */
  readonly startedAt = performance.now()
  /** When its lease was asked for that it has. */
  confirmedAt: number
  /** Its handler has returned. */
  isOver = false
  /** Told by the handler and not written down yet. */
  share: number | undefined
  /** Resolves when its end was written down. */
  done: Promise<void> | undefined
  /** The first that there was. */
  abortReason: Error | undefined
  /** Most handlers do not look at it. */
  #controller: AbortController | undefined

  constructor(job: ClaimedJob, confirmedAt: number) {
    this.job = job
    this.confirmedAt = confirmedAt
    this.id = job.id
    this.payload = job.payload
    this.attempt = job.attempt
    this.ownerId = job.ownerId
    this.traceparent = job.traceparent
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.abortReason !== undefined) this.#controller.abort(this.abortReason)
    }
    return this.#controller.signal
  }

  /** Its time is over: that is its own failure. */
  get isOverdue(): boolean {
    return this.abortReason instanceof JobFailed
  }

  abort(reason: Error): void {
    this.abortReason ??= reason
    this.#controller?.abort(this.abortReason)
  }

  // Bound: handlers take what they are given apart.
  readonly progress = (share: number): void => {
    if (Number.isFinite(share)) this.share = Math.min(1, Math.max(0, share))
  }

  /** How the attempt ended, now that its handler has returned. */
  succeeded(result: unknown): Ending {
    const { id, attempt, ownerId } = this
    return { id, attempt, ownerId, state: 'done', result }
  }

  /** The same, where it threw. */
  failed(error: unknown): Ending {
    const { id, attempt, ownerId, job } = this
    if (this.abortReason === CANCELLED) return { id, attempt, ownerId, state: 'cancelled' }
    const isLast = error instanceof JobRefused || attempt >= job.attemptsMax
    const reason = this.isOverdue ? this.abortReason : error
    const message = reason instanceof JobFailed ? reason.message : INTERNAL
    return { id, attempt, ownerId, state: isLast ? 'failed' : 'retry', error: message }
  }
}
