import type { Clock } from '../clock.ts'
import { isDatabaseAway } from '../database/database.ts'
import type { Log } from '../log.ts'
import { inTrace, type Tracing } from '../tracing/tracing.ts'
import type { Attempt, JobType, JobUpdate } from './jobs.ts'
import { JobFailed, JobRefused } from './jobs.ts'
import type { ClaimedJob, Demand, Ending, Queue } from './queue.ts'

export interface WorkerOptions {
  queue: Queue
  types: ReadonlyMap<string, JobType<unknown>>
  clock: Clock
  log: Log
  tracing: Tracing
  /** Jobs that this process does at once. */
  concurrency: number
  leaseMs: number
  pollMs: number
  observe: (type: string, state: Ending['state'], seconds: number) => void
  tell: (update: JobUpdate) => void
}

interface Running {
  job: ClaimedJob
  abort: AbortController
  /** Told by the handler and not written down yet. */
  progress: number | undefined
  isLost: boolean
  done: Promise<void>
}

const HEARTBEATS_A_LEASE = 3
const PROGRESS_INTERVAL_MS = 500
const GIVE_BACK_GRACE_MS = 1000

/** Why a handler's signal aborts. */
const CANCELLED = new Error('the job was cancelled')
const LOST = new Error('the job was given to another process')
const STOPPED = new Error('the process stops')

/**
 * Takes jobs, as many as there are places free, and does them. Looks for work when it is woken,
 * when a place gets free, and every `pollMs` in case that a wake-up was lost.
 */
export class JobWorker {
  /** Unlike any other process's, now and ever. */
  readonly name = `${process.pid}-${Bun.randomUUIDv7()}`
  readonly #options: WorkerOptions
  readonly #running = new Map<string, Running>()
  readonly #timers: Timer[] = []
  /** Ended, and not written down yet: many go in one statement. */
  #endings: Ending[] = []
  #writing: Promise<void> | undefined
  #looking: Promise<void> | undefined
  #isWoken = false
  #isStopped = false
  #isDatabaseAway = false

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  start(): void {
    const { pollMs, leaseMs } = this.#options
    const every = (ms: number, work: () => Promise<void>) => {
      const timer = setInterval(() => void this.#attempt(work), ms)
      timer.unref()
      this.#timers.push(timer)
    }
    every(pollMs, async () => {
      if (this.#isStopped) return
      await this.#options.queue.reclaim(this.name)
      this.wake()
    })
    every(leaseMs / HEARTBEATS_A_LEASE, () => this.#beat())
    every(PROGRESS_INTERVAL_MS, () => this.#writeProgress())
    this.wake()
  }

  /** Something may have become due. */
  wake(): void {
    this.#isWoken = true
    this.#looking ??= this.#attempt(() => this.#look()).finally(() => {
      this.#looking = undefined
      if (this.#isWoken && !this.#isStopped && !this.#isDatabaseAway) this.wake()
    })
  }

  /** Looks at once whether a job that it does was cancelled. */
  beat(): void {
    void this.#attempt(() => this.#beat())
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#isStopped = true
    await Promise.all([this.#looking, this.#writing])
    const ended = Promise.all([...this.#running.values()].map(({ done }) => done))
    await Promise.race([ended, Bun.sleep(deadlineMs)])
    for (const { abort } of this.#running.values()) abort.abort(STOPPED)
    await Promise.race([ended, Bun.sleep(this.#running.size === 0 ? 0 : GIVE_BACK_GRACE_MS)])
    // Until now what runs was held, and could be cancelled.
    for (const timer of this.#timers) clearInterval(timer)
    await this.#attempt(() => this.#write())
    await this.#attempt(() => this.#options.queue.giveBack(this.name, [...this.#running.keys()]))
  }

  async #look(): Promise<void> {
    const { queue, types, concurrency } = this.#options
    while (this.#isWoken && !this.#isStopped) {
      this.#isWoken = false
      const free = concurrency - this.#running.size
      if (free <= 0 || types.size === 0) return
      const jobs = await queue.claim(this.name, this.#demand(free))
      for (const job of jobs) this.#begin(job)
      // There may be more; where fewer came than could, the next wake-up tells.
      if (jobs.length === free) this.#isWoken = true
    }
  }

  #demand(limit: number): Demand {
    return { types: [...this.#options.types.keys()], limit }
  }

  #begin(job: ClaimedJob): void {
    const running: Running = {
      job,
      abort: new AbortController(),
      progress: undefined,
      isLost: false,
      done: Promise.resolve(),
    }
    this.#running.set(job.id, running)
    this.#tell(running, 'active', job.progress)
    running.done = this.#do(running)
  }

  async #do(running: Running): Promise<void> {
    const { job, abort } = running
    const { tracing, observe } = this.#options
    const startedAt = performance.now()
    const attempt: Attempt<unknown> = {
      id: job.id,
      payload: job.payload,
      attempt: job.attempt,
      ownerId: job.ownerId,
      traceparent: job.traceparent,
      signal: abort.signal,
      progress(share) {
        if (Number.isFinite(share)) running.progress = Math.min(1, Math.max(0, share))
      },
    }
    let ending: Ending
    try {
      if (job.isCancelRequested) throw CANCELLED
      // Below what enqueued it, not linked to it: a job has one cause, and one trace tells it all.
      const span = {
        name: `job ${job.type}`,
        kind: 'consumer' as const,
        attributes: { 'job.id': job.id, 'job.type': job.type, 'job.attempt': job.attempt },
      }
      const result = await inTrace(tracing, job.traceparent, span, () =>
        this.#run(running, attempt),
      )
      ending = { id: job.id, attempt: job.attempt, state: 'done', result }
    } catch (error) {
      ending = this.#failed(job, abort.signal, error)
    }
    // Given back by `stop`, or another's by now.
    const isGivenBack = abort.signal.reason === STOPPED && ending.state !== 'done'
    if (running.isLost || isGivenBack) return
    observe(job.type, ending.state, (performance.now() - startedAt) / 1000)
    this.#endings.push(ending)
    await this.#writeEndings()
    this.wake()
  }

  async #run(running: Running, attempt: Attempt<unknown>): Promise<unknown> {
    const { job } = running
    const { types, log } = this.#options
    try {
      return await types.get(job.type)!.run(attempt)
    } catch (error) {
      // Whoever was told to end has not failed.
      if (!attempt.signal.aborted) {
        log.warn({ error, job: job.id, type: job.type, attempt: job.attempt }, 'a job failed')
      }
      throw error
    }
  }

  #failed(job: ClaimedJob, signal: AbortSignal, error: unknown): Ending {
    const { id, attempt } = job
    if (signal.reason === CANCELLED || error === CANCELLED)
      return { id, attempt, state: 'cancelled' }
    const message = error instanceof JobFailed ? error.message : 'An internal error.'
    const isLast = error instanceof JobRefused || attempt >= job.attemptsMax
    return { id, attempt, state: isLast ? 'failed' : 'retry', error: message }
  }

  /** Whoever ends while a write is under way shares the next one. */
  async #writeEndings(): Promise<void> {
    await this.#writing
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined))
    await this.#writing
  }

  async #write(): Promise<void> {
    const endings = this.#endings
    if (endings.length === 0) return
    this.#endings = []
    // Until it is written each ending holds its place, so that nobody else fills it meanwhile.
    const places = endings.filter(({ id }) => this.#running.has(id)).length
    const demand = this.#demand(this.#isStopped ? 0 : places)
    let next: ClaimedJob[]
    try {
      next = await this.#options.queue.finish(this.name, endings, demand)
    } catch (error) {
      if (isDatabaseAway(error)) {
        // The lease goes on, and the next heartbeat tries again.
        this.#endings.unshift(...endings)
        this.#report(error)
      } else {
        await this.#writeOneByOne(endings)
      }
      return
    }
    this.#forget(endings)
    for (const job of next) this.#begin(job)
  }

  /** One of them can't be stored, such as a result with a cycle: that is its failure, and not the others'. */
  async #writeOneByOne(endings: Ending[]): Promise<void> {
    const { queue, log } = this.#options
    const nothing = this.#demand(0)
    for (const ending of endings) {
      try {
        await queue.finish(this.name, [ending], nothing)
      } catch (error) {
        log.error({ error, job: ending.id }, 'how a job ended can not be stored')
        const { id, attempt } = ending
        const failed: Ending = { id, attempt, state: 'failed', error: 'An internal error.' }
        await this.#attempt(async () => void (await queue.finish(this.name, [failed], nothing)))
      }
      this.#forget([ending])
    }
  }

  #forget(endings: Ending[]): void {
    for (const { id, state } of endings) {
      const running = this.#running.get(id)
      if (running === undefined) continue
      this.#running.delete(id)
      this.#tell(
        running,
        state === 'retry' ? 'ready' : state,
        state === 'done' ? 1 : running.job.progress,
      )
    }
  }

  async #beat(): Promise<void> {
    await this.#write()
    const ids = [...this.#running.keys()]
    if (ids.length === 0) return
    const held = await this.#options.queue.heartbeat(this.name, ids)
    for (const id of ids) {
      const running = this.#running.get(id)
      if (running === undefined) continue
      if (held.get(id) === true) running.abort.abort(CANCELLED)
      if (held.has(id)) continue
      running.isLost = true
      running.abort.abort(LOST)
      this.#running.delete(id)
    }
  }

  async #writeProgress(): Promise<void> {
    for (const running of this.#running.values()) {
      const { progress, job } = running
      if (progress === undefined) continue
      running.progress = undefined
      await this.#options.queue.writeProgress(this.name, job.id, progress)
      this.#tell(running, 'active', progress)
    }
  }

  #tell({ job }: Running, state: JobUpdate['state'], progress: number): void {
    this.#options.tell({ id: job.id, type: job.type, ownerId: job.ownerId, state, progress })
  }

  /** The database may be away for a while: that is said once, and what was to be done is tried again later. */
  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.#isDatabaseAway = false
    } catch (error) {
      this.#report(error)
    }
  }

  #report(error: unknown): void {
    if (!this.#isDatabaseAway) this.#options.log.error({ error }, 'the jobs can not be reached')
    this.#isDatabaseAway = true
  }
}
