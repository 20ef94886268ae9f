import { isUnstorable } from '../database/database.ts'
import type { Log } from '../log.ts'
import { inTrace, type Tracing } from '../tracing/tracing.ts'
import { JobFailed, type JobType, type JobUpdate } from './jobs.ts'
import type { ClaimedJob, Ending, Leases } from './leases.ts'
import { CANCELLED, INTERNAL, LOST, RunningJob, STOPPED } from './running-job.ts'

export interface WorkerOptions {
  leases: Leases
  types: ReadonlyMap<string, JobType<unknown>>
  log: Log
  tracing: Tracing
  /** Jobs that this process does at once. */
  concurrency: number
  leaseMs: number
  pollMs: number
  /** What one attempt may take. */
  timeoutMs: number
  observe: (type: string, state: Ending['state'], seconds: number) => void
  tell: (update: JobUpdate) => void
}

const HEARTBEATS_A_LEASE = 3
/** How often its own jobs are looked at: how far they are, and whether their time is over. */
const LOOK_INTERVAL_MS = 500
const GIVE_BACK_GRACE_MS = 1000

/**
 * Takes jobs, as many as there are places free, and does them. Looks for work when it is woken,
 * when a place gets free, and every `pollMs` in case that a wake-up was lost.
 */
export class JobWorker {
  readonly #options: WorkerOptions
  readonly #running = new Map<string, RunningJob>()
  readonly #timers: Timer[] = []
  /** Ended, and not written down yet: many go in one statement. */
  #endings: Ending[] = []
  #writing: Promise<void> | undefined
  #looking: Promise<void> | undefined
  #changing: Promise<void> = Promise.resolve()
  #isWoken = false
  #isStopped = false
  #isDatabaseAway = false

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  start(): void {
    const { pollMs, leaseMs } = this.#options
    const every = (ms: number, work: () => Promise<void>) => {
      let isAtIt = false
      const tick = async () => {
        if (isAtIt) return
        isAtIt = true
        await this.#attempt(work)
        isAtIt = false
      }
      const timer = setInterval(() => void tick(), ms)
      timer.unref()
      this.#timers.push(timer)
    }
    every(pollMs, async () => {
      if (this.#isStopped) return
      await this.#options.leases.reclaim([...this.#running.keys()])
      this.wake()
    })
    every(leaseMs / HEARTBEATS_A_LEASE, () => this.#beat())
    every(LOOK_INTERVAL_MS, () => {
      this.#abortOverdue()
      this.#loseSilent()
      return this.#writeProgress()
    })
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
    await Promise.all([this.#looking, this.#changing])
    const ended = Promise.all([...this.#running.values()].map(async ({ done }) => done))
    await Promise.race([ended, Bun.sleep(deadlineMs)])
    for (const running of this.#running.values()) running.abort(STOPPED)
    await Promise.race([ended, Bun.sleep(this.#running.size === 0 ? 0 : GIVE_BACK_GRACE_MS)])
    // Until now what runs was held, and could be cancelled.
    for (const timer of this.#timers) clearInterval(timer)
    await this.#attempt(() => this.#change(() => this.#write()))
    // What still runs is left to its lease, or another process would do it meanwhile.
    const over = [...this.#running.values()].filter(({ isOver }) => isOver)
    await this.#attempt(() => this.#options.leases.giveBack(over))
  }

  async #look(): Promise<void> {
    const { leases, concurrency } = this.#options
    while (this.#isWoken && !this.#isStopped) {
      this.#isWoken = false
      const free = concurrency - this.#running.size
      if (free <= 0) return
      const askedAt = performance.now()
      const jobs = await leases.claim(free)
      for (const job of jobs) this.#begin(job, askedAt)
      // There may be more; where fewer came than could, the next wake-up tells.
      if (jobs.length === free) this.#isWoken = true
    }
  }

  #begin(job: ClaimedJob, askedAt: number): void {
    const running = new RunningJob(job, askedAt)
    const former = this.#running.get(job.id)
    if (former !== undefined) this.#lose(former)
    this.#running.set(running.id, running)
    this.#tell(running, 'active', job.progress)
    running.done = this.#do(running)
  }

  /** Another process does it, or this one anew: how the attempt ends is not heard any more. */
  #lose(running: RunningJob): void {
    running.abort(LOST)
    this.#running.delete(running.id)
    this.#endings = this.#endings.filter(({ id }) => id !== running.id)
  }

  async #do(running: RunningJob): Promise<void> {
    const { job } = running
    if (job.isCancelRequested) running.abort(CANCELLED)
    let ending: Ending
    try {
      ending = running.succeeded(await this.#run(running))
    } catch (error) {
      ending = running.failed(error)
    }
    running.isOver = true
    const { abortReason } = running
    const isGivenBack = abortReason === STOPPED && ending.state !== 'done'
    if (abortReason === LOST || isGivenBack) return
    this.#options.observe(job.type, ending.state, (performance.now() - running.startedAt) / 1000)
    this.#endings.push(ending)
    await this.#writeEndings()
    this.wake()
  }

  #run(running: RunningJob): Promise<unknown> {
    const { id, attempt, traceparent, job } = running
    const { types, log, tracing } = this.#options
    // Below what enqueued it, not linked to it: a job has one cause, and one trace tells it all.
    const span = {
      name: `job ${job.type}`,
      kind: 'consumer' as const,
      attributes: { 'job.id': id, 'job.type': job.type, 'job.attempt': attempt },
    }
    return inTrace(tracing, traceparent, span, async () => {
      try {
        if (running.abortReason === CANCELLED) throw CANCELLED
        return await types.get(job.type)!.run(running)
      } catch (error) {
        // Whoever was told to end has not failed.
        if (running.abortReason === undefined || running.isOverdue) {
          log.warn({ error, job: id, type: job.type, attempt }, 'a job failed')
        }
        throw error
      }
    })
  }

  /** Whoever ends while a write is under way shares the next one. */
  async #writeEndings(): Promise<void> {
    await this.#writing
    this.#writing ??= this.#change(() => this.#write()).finally(() => (this.#writing = undefined))
    await this.#writing
  }

  /** One at a time: two statements over the same jobs could each wait for a row that the other has. */
  #change(work: () => Promise<void>): Promise<void> {
    const result = this.#changing.then(work)
    this.#changing = result.catch(() => {})
    return result
  }

  async #write(): Promise<void> {
    const endings = this.#endings
    if (endings.length === 0) return
    this.#endings = []
    // Until it is written each ending holds its place, so that nobody else fills it meanwhile.
    const places = endings.filter(({ id }) => this.#running.has(id)).length
    const askedAt = performance.now()
    let next: ClaimedJob[]
    try {
      next = await this.#options.leases.finish(endings, this.#isStopped ? 0 : places)
    } catch (error) {
      if (isUnstorable(error)) await this.#writeOneByOne(endings)
      else this.#keep(endings, error)
      return
    }
    this.#forget(endings)
    for (const job of next) this.#begin(job, askedAt)
  }

  /** The lease goes on, and the next heartbeat tries again. */
  #keep(endings: Ending[], error: unknown): void {
    this.#endings.unshift(...endings)
    this.#report(error)
  }

  /** One of them can't be stored, such as a result with a cycle: that is its failure, and not the others'. */
  async #writeOneByOne(endings: Ending[]): Promise<void> {
    const { leases, log } = this.#options
    const failed: Ending[] = []
    for (const ending of endings) {
      try {
        await leases.finish([ending], 0)
        this.#forget([ending])
      } catch (error) {
        if (isUnstorable(error)) {
          const { id, attempt, ownerId } = ending
          log.error({ error, job: id }, 'how a job ended can not be stored')
          failed.push({ id, attempt, ownerId, state: 'failed', error: INTERNAL })
        } else {
          this.#keep([ending], error)
        }
      }
    }
    if (failed.length === 0) return
    this.#endings.push(...failed)
    await this.#write()
  }

  #forget(endings: Ending[]): void {
    for (const { id, attempt, state } of endings) {
      const running = this.#running.get(id)
      if (running?.attempt !== attempt) continue
      this.#running.delete(id)
      this.#tell(
        running,
        state === 'retry' ? 'ready' : state,
        state === 'done' ? 1 : running.job.progress,
      )
    }
  }

  #beat(): Promise<void> {
    return this.#change(async () => {
      await this.#write()
      const ids = [...this.#running.keys()]
      if (ids.length === 0) return
      const askedAt = performance.now()
      const held = await this.#options.leases.heartbeat(ids)
      for (const id of ids) {
        const running = this.#running.get(id)
        if (running === undefined) continue
        const lease = held.get(id)
        if (lease?.attempt !== running.attempt) {
          this.#lose(running)
          continue
        }
        running.confirmedAt = askedAt
        if (lease.isCancelled) running.abort(CANCELLED)
      }
    })
  }

  #abortOverdue(): void {
    const { timeoutMs } = this.#options
    const since = performance.now() - timeoutMs
    for (const running of this.#running.values()) {
      if (running.startedAt >= since) continue
      running.abort(new JobFailed(`It took longer than ${timeoutMs / 1000} s.`))
    }
  }

  /** Cut off from the database, it can't know whether another process has taken them over. */
  #loseSilent(): void {
    const since = performance.now() - this.#options.leaseMs
    for (const running of this.#running.values()) {
      // How one ended is kept: nobody may have taken it over, and it need not be done again.
      if (!running.isOver && running.confirmedAt < since) this.#lose(running)
    }
  }

  #writeProgress(): Promise<void> {
    return this.#change(async () => {
      const told = [...this.#running.values()].filter(({ share }) => share !== undefined)
      if (told.length === 0) return
      const shares = new Map(told.map((running) => [running, running.share!]))
      for (const running of told) running.share = undefined
      await this.#options.leases.writeProgress(shares)
      for (const running of told) this.#tell(running, 'active', shares.get(running)!)
    })
  }

  #tell({ job }: RunningJob, state: JobUpdate['state'], progress: number): void {
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
