import type { Log } from '../log.ts'
import type { RunTime } from './protocol.ts'
import { PoolError, Thread } from './thread.ts'

export { PoolError } from './thread.ts'

export interface PoolOptions<Start> {
  name: string
  /** A module that calls `serveWorker`. */
  script: URL
  /** Sent to each thread before its first job: what it is to know as of then. */
  start: () => Start
  threads: number
  /** Jobs that may wait for a thread. */
  queueMax: number
  /** Longest time until a new thread is ready. */
  startTimeoutMs?: number
  /** Longest time for one job, from the moment that a thread has it. */
  runTimeoutMs: number
  log: Log
}

interface Ticket<Job, Result> {
  /** Asked for when a thread is free, so that what goes out is as full as it can be. */
  take: () => Job | undefined
  watch: (() => ((time: RunTime) => void) | undefined) | undefined
  timeoutMs: number
  resolve: (result: Result | undefined) => void
  reject: (error: unknown) => void
}

/** When a job goes: a background one after all that are not. */
export interface RunOptions {
  isBackground?: boolean
  /** Asked, after `take`, who wants to hear when the job ran; it is timed for them only. */
  watch?: (() => ((time: RunTime) => void) | undefined) | undefined
  /** Longest time for it, where that is not the pool's. */
  timeoutMs?: number
}

/** Waits before the first, second, … replacement in a row that does not start. */
const RESTART_DELAYS_MS = [0, 100, 500, 2000, 10_000]
const RELEASE_TIMEOUT_MS = 2000
/** To load large models from a slow disk takes its time; for ever is a fault. */
const START_TIMEOUT_MS = 120_000

/**
 * Worker threads that run one job each at a time, in the order of asking.
 *
 * A thread that crashes is replaced. One that exceeds the run time is stuck: nothing can cancel a
 * native call, so its caller is answered, another thread takes its place, and it is released when
 * its late answer comes. While more threads are stuck than the pool has, no other is started: there
 * are never more than twice as many.
 */
export class Pool<Start, Ready, Job, Result> {
  readonly #options: PoolOptions<Start>
  readonly #members = new Set<Thread<Start, Ready, Job, Result>>()
  readonly #idle: Thread<Start, Ready, Job, Result>[] = []
  /** Each until it serves, or does not. */
  readonly #arriving = new Map<Thread<Start, Ready, Job, Result>, Promise<unknown>>()
  readonly #stuck = new Set<Thread<Start, Ready, Job, Result>>()
  /** Stuck ones that have missed a job for each thread, so that they serve no more. */
  readonly #outdated = new WeakSet<Thread<Start, Ready, Job, Result>>()
  readonly #waiting: Ticket<Job, Result>[] = []
  readonly #background: Ticket<Job, Result>[] = []
  /** Jobs for one thread each, which go before those for any. */
  readonly #own = new Map<Thread<Start, Ready, Job, Result>, Ticket<Job, Result>[]>()
  readonly #running = new Set<Promise<void>>()
  /** Replacements on their way. */
  #starting = 0
  #failedStarts = 0
  #isClosed = false

  private constructor(options: PoolOptions<Start>) {
    this.#options = options
  }

  /**
   * Starts the threads and hands back what the first of them said when it was ready.
   *
   * @throws {PoolError} with the reason that the worker gave when it can't start.
   */
  static async open<Start, Ready, Job, Result>(
    options: PoolOptions<Start>,
  ): Promise<{ pool: Pool<Start, Ready, Job, Result>; ready: Ready }> {
    const pool = new Pool<Start, Ready, Job, Result>(options)
    const starts = Array.from({ length: options.threads }, () => pool.#addThread())
    const settled = await Promise.allSettled(starts)
    const [first] = settled
    if (first?.status === 'fulfilled' && settled.every(({ status }) => status === 'fulfilled')) {
      return { pool, ready: first.value }
    }
    await pool.close()
    const refusal = settled.find((start) => start.status === 'rejected')
    throw refusal?.reason ?? new PoolError('closed', 'a pool needs at least one thread')
  }

  /** Threads that can take a job, busy or not. */
  get threads(): number {
    return this.#members.size
  }

  get stuckThreads(): number {
    return this.#stuck.size
  }

  /**
   * Waits for a free thread, then runs what `take` returns; `undefined` when there is nothing to do
   * any more.
   *
   * @throws {PoolError} `full`, `failed`, `crashed`, `timeout` or `closed`.
   */
  run(take: () => Job | undefined, options: RunOptions = {}): Promise<Result | undefined> {
    const { isBackground = false, watch, timeoutMs = this.#options.runTimeoutMs } = options
    const waiting = isBackground ? this.#background : this.#waiting
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new PoolError('closed', 'the pool is closed'))
      if (waiting.length >= this.#options.queueMax) {
        return reject(new PoolError('full', `${this.#options.queueMax} jobs are waiting`))
      }
      waiting.push({ take, watch, timeoutMs, resolve, reject })
      return this.#dispatch()
    })
  }

  /**
   * Runs a job once on each thread, one thread after the other, so that the others go on meanwhile. A
   * thread that ends on the way has no part in it: what takes its place starts from `start`.
   *
   * @throws {PoolError} `failed` as the first thread that says so, `timeout`, `closed`.
   */
  async runOnEach(job: Job): Promise<void> {
    for (const thread of this.#stuck) this.#outdated.add(thread)
    for (const thread of [...this.#members, ...this.#arriving.keys()]) {
      await this.#arriving.get(thread)?.catch(() => {})
      if (this.#isClosed) throw new PoolError('closed', 'the pool is closed')
      if (this.#members.has(thread) && (await this.#isDoneBy(thread, job))) continue
      // It may be stuck, and come back without having done it.
      this.#outdated.add(thread)
    }
  }

  /** @returns `false` where the thread ends, or gets stuck, before it has had the job. */
  async #isDoneBy(thread: Thread<Start, Ready, Job, Result>, job: Job): Promise<boolean> {
    try {
      await this.#runOn(thread, job)
      return true
    } catch (error) {
      if (error instanceof PoolError && error.failure === 'crashed') return false
      throw error
    }
  }

  #runOn(thread: Thread<Start, Ready, Job, Result>, job: Job): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const own = this.#own.get(thread) ?? []
      // What is done to each thread prepares it, as its start does, and may take as long.
      const { startTimeoutMs: timeoutMs = START_TIMEOUT_MS } = this.#options
      const ticket = { take: () => job, watch: undefined, timeoutMs, resolve, reject }
      this.#own.set(thread, [...own, ticket])
      this.#dispatch()
    })
  }

  /**
   * Takes no further job, refuses the waiting ones, waits for the running ones and ends the
   * threads. A thread that does not answer in time is left to the end of the process.
   */
  async close(): Promise<void> {
    this.#isClosed = true
    const own = [...this.#own.values()].flat()
    this.#own.clear()
    for (const ticket of [...this.#waiting.splice(0), ...this.#background.splice(0), ...own]) {
      ticket.reject(new PoolError('closed', 'the pool is closed'))
    }
    await Promise.all(this.#running)
    this.#members.clear()
    const released = Promise.all(this.#idle.splice(0).map((thread) => thread.release()))
    const { promise: late, resolve: giveUp } = Promise.withResolvers<void>()
    const timer = setTimeout(giveUp, RELEASE_TIMEOUT_MS)
    await Promise.race([released, late])
    clearTimeout(timer)
  }

  #dispatch(): void {
    for (const [thread, [ticket]] of this.#own) {
      const position = this.#idle.indexOf(thread)
      if (ticket === undefined || position === -1) continue
      this.#idle.splice(position, 1)
      this.#forgetOwn(thread, ticket)
      this.#begin(thread, ticket)
    }
    while (this.#idle.length > 0 && this.#waiting.length + this.#background.length > 0) {
      const ticket = (this.#waiting.shift() ?? this.#background.shift())!
      // Before `take`, which may ask for another thread.
      this.#begin(this.#idle.pop()!, ticket)
    }
  }

  #begin(thread: Thread<Start, Ready, Job, Result>, ticket: Ticket<Job, Result>): void {
    const job = this.#take(ticket)
    if (job === undefined) return void this.#idle.push(thread)
    const running = this.#run(thread, job, ticket)
    this.#running.add(running)
    void running.finally(() => this.#running.delete(running))
  }

  #forgetOwn(thread: Thread<Start, Ready, Job, Result>, ticket: Ticket<Job, Result>): void {
    const left = (this.#own.get(thread) ?? []).filter((other) => other !== ticket)
    if (left.length === 0) this.#own.delete(thread)
    else this.#own.set(thread, left)
  }

  /** What was for this thread alone is not done by another. */
  #refuseOwn(thread: Thread<Start, Ready, Job, Result>): void {
    const own = this.#own.get(thread) ?? []
    this.#own.delete(thread)
    for (const ticket of own) ticket.reject(new PoolError('crashed', 'the worker ended'))
  }

  /** `undefined` when the ticket has been answered without a job. */
  #take(ticket: Ticket<Job, Result>): Job | undefined {
    try {
      const job = ticket.take()
      if (job === undefined) ticket.resolve(undefined)
      return job
    } catch (error) {
      ticket.reject(error)
      return undefined
    }
  }

  async #run(
    thread: Thread<Start, Ready, Job, Result>,
    job: Job,
    ticket: Ticket<Job, Result>,
  ): Promise<void> {
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      ticket.reject(new PoolError('timeout', `no answer in ${ticket.timeoutMs} ms`))
      this.#setAside(thread)
      answer()
    }, ticket.timeoutMs)

    const finished = thread
      .run(job, ticket.watch?.())
      .then(ticket.resolve, ticket.reject)
      .finally(() => {
        clearTimeout(timer)
        if (this.#stuck.delete(thread)) this.#admit(thread)
        else if (this.#members.has(thread)) this.#offer(thread)
      })
    await Promise.race([finished, answered])
  }

  #offer(thread: Thread<Start, Ready, Job, Result>): void {
    this.#idle.push(thread)
    if (!this.#isClosed) this.#dispatch()
  }

  #setAside(thread: Thread<Start, Ready, Job, Result>): void {
    this.#options.log.error({ pool: this.#options.name }, 'a worker thread is stuck')
    this.#members.delete(thread)
    this.#stuck.add(thread)
    this.#refuseOwn(thread)
    this.#replace()
  }

  /**
   * A new thread, or a late one that is sound again, serves where a place is free and goes
   * otherwise.
   */
  #admit(thread: Thread<Start, Ready, Job, Result>): void {
    const isFull = this.#members.size >= this.#options.threads
    if (this.#isClosed || isFull || this.#outdated.has(thread)) {
      void thread.release()
      return this.#replace()
    }
    this.#members.add(thread)
    this.#offer(thread)
  }

  #addThread(): Promise<Ready> {
    const thread = new Thread<Start, Ready, Job, Result>(this.#options.script)
    const arriving = this.#start(thread)
    this.#arriving.set(thread, arriving)
    return arriving
  }

  async #start(thread: Thread<Start, Ready, Job, Result>): Promise<Ready> {
    try {
      const { start, startTimeoutMs = START_TIMEOUT_MS } = this.#options
      const ready = await thread.start(start(), startTimeoutMs)
      this.#failedStarts = 0
      void thread.gone.then(() => this.#lose(thread))
      this.#arriving.delete(thread)
      this.#admit(thread)
      return ready
    } catch (error) {
      this.#arriving.delete(thread)
      this.#failedStarts += 1
      void thread.release()
      throw error
    }
  }

  #lose(thread: Thread<Start, Ready, Job, Result>): void {
    const wasStuck = this.#stuck.delete(thread)
    if (!this.#members.delete(thread) && !wasStuck) return
    const position = this.#idle.indexOf(thread)
    if (position !== -1) this.#idle.splice(position, 1)
    this.#refuseOwn(thread)
    this.#options.log.error({ pool: this.#options.name }, 'a worker thread ended')
    this.#replace()
  }

  /** Starts a thread where one is missing, unless more than may be are stuck. */
  #replace(): void {
    const { threads } = this.#options
    const isComplete = this.#members.size + this.#starting >= threads
    if (this.#isClosed || isComplete || this.#stuck.size > threads) return
    this.#starting += 1
    const delay = RESTART_DELAYS_MS[Math.min(this.#failedStarts, RESTART_DELAYS_MS.length - 1)]
    setTimeout(() => void this.#startAnother(), delay).unref()
  }

  async #startAnother(): Promise<void> {
    const { log, name } = this.#options
    try {
      if (!this.#isClosed) await this.#addThread()
    } catch (error) {
      if (!this.#isClosed) log.error({ error, pool: name }, 'a worker thread did not start')
    }
    this.#starting -= 1
    this.#replace()
  }
}
