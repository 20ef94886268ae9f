import { constants, setPriority } from 'node:os'

import type { Log } from '../../platform/log.ts'
import type { Means } from './instance.ts'
import { allocatableBytes, dataBytes, limitMemory } from './memory-limit.ts'
import type { Failure, FromProcess, ToProcess } from './messages.ts'
import type { Order, Result, Tasks } from './tasks.ts'

/** Why work has no result: beside what the process says, that it ended, or did not answer in time. */
export class WorkFailed extends Error {
  override name = 'WorkFailed'
  readonly failure: Failure | 'ended' | 'timeout'

  constructor(failure: WorkFailed['failure'], detail: string) {
    super(detail)
    this.failure = failure
  }
}

export interface RunOptions {
  timeoutMs: number
  signal?: AbortSignal | undefined
  /** Hears how far it is, from 0 to 1, now and then. */
  onProgress?: ((share: number) => void) | undefined
}

const SCRIPT = new URL('query.process.ts', import.meta.url).pathname
const READY_TIMEOUT_MS = 20_000
/** What an interrupt may take; some functions do not mind it at all. */
const INTERRUPT_GRACE_MS = 500
/** Of what a process may allocate. One that keeps more of it has too little left for the next query. */
const KEPT_SHARE_MAX = 0.25
const COMPLAINT_CHARACTERS_MAX = 2000

/**
 * A process of ours with DuckDB in it, which does one piece of work at a time. What it does can harm
 * itself alone: it may be killed, run out of memory or crash while the server goes on.
 */
export class QueryProcess {
  readonly #child: Bun.Subprocess
  readonly #log: Log
  #complaints = ''
  #hear: ((message: FromProcess) => void) | undefined
  #hasEnded = false
  readonly #means: Means
  #startedWithBytes = 0

  private constructor(means: Means, log: Log) {
    this.#means = means
    this.#log = log
    this.#child = Bun.spawn([process.execPath, SCRIPT, JSON.stringify(means)], {
      env: {},
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'pipe',
      serialization: 'json',
      ipc: (message: FromProcess) => this.#hear?.(message),
      onExit: () => {
        this.#hasEnded = true
      },
    })
    void this.#gatherComplaints()
  }

  /** @throws {WorkFailed} `ended` where it does not start. */
  static async start(means: Means, log: Log): Promise<QueryProcess> {
    const made = new QueryProcess(means, log)
    const isReady = new Promise<boolean>((resolve) => {
      made.#hear = ({ kind }) => resolve(kind === 'ready')
    })
    const isLate = Bun.sleep(READY_TIMEOUT_MS).then(() => false)
    const hasEnded = made.#child.exited.then(() => false)
    if (await Promise.race([isReady, isLate, hasEnded])) {
      made.#restrain()
      return made
    }
    made.end()
    throw new WorkFailed('ended', `A query process did not start: ${made.#complaints}`)
  }

  #restrain(): void {
    this.#startedWithBytes = dataBytes(this.pid) ?? 0
    if (!limitMemory(this.pid, this.#means.memoryBytesMax)) {
      this.#log.debug('what a query allocates beyond what DuckDB counts is not bounded here')
    }
    try {
      // Requests come before queries, which take every core that there is.
      setPriority(this.pid, constants.priority.PRIORITY_BELOW_NORMAL)
    } catch (error) {
      this.#log.debug({ error }, 'a query process runs at the priority of the server')
    }
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Whether it has memory enough for another piece of work. */
  get isFresh(): boolean {
    const more = (dataBytes(this.pid) ?? 0) - this.#startedWithBytes
    const kept = more / allocatableBytes(this.#means.memoryBytesMax)
    return !this.#hasEnded && kept <= KEPT_SHARE_MAX
  }

  get pid(): number {
    return this.#child.pid
  }

  /**
   * Does one piece of work. What is not done in time, or is given up by `signal`, is interrupted; and the
   * process is killed where it does not mind that.
   *
   * @throws {WorkFailed}
   */
  async run<Name extends keyof Tasks>(
    task: Name,
    order: Order<Name>,
    { timeoutMs, signal, onProgress }: RunOptions,
  ): Promise<Result<Name>> {
    signal?.throwIfAborted()
    let isLate = false
    const { promise: answered, resolve } = Promise.withResolvers<FromProcess | undefined>()
    this.#hear = (message) => {
      if (message.kind === 'progress') onProgress?.(message.share)
      else resolve(message)
    }
    void this.#child.exited.then(() => resolve(undefined))
    let patience: Timer | undefined
    const giveUp = () => {
      this.#tell({ kind: 'interrupt' })
      patience ??= setTimeout(() => this.end(), INTERRUPT_GRACE_MS)
    }
    const timer = setTimeout(() => {
      isLate = true
      giveUp()
    }, timeoutMs)
    signal?.addEventListener('abort', giveUp, { once: true })
    try {
      this.#tell({ kind: 'run', task, order })
      const answer = await answered
      signal?.throwIfAborted()
      if (answer?.kind === 'done') return answer.result as Result<Name>
      if (isLate) throw new WorkFailed('timeout', `There was no result in ${timeoutMs} ms.`)
      if (answer?.kind !== 'failed') throw this.#endedEarly()
      throw new WorkFailed(answer.failure, answer.detail)
    } finally {
      clearTimeout(timer)
      clearTimeout(patience)
      signal?.removeEventListener('abort', giveUp)
      this.#hear = undefined
    }
  }

  /** At once, whatever it does. */
  end(): void {
    this.#hasEnded = true
    this.#child.kill('SIGKILL')
  }

  #endedEarly(): WorkFailed {
    const { exitCode, signalCode } = this.#child
    const said = this.#complaints
    this.#log.warn({ exitCode, signal: signalCode, said }, 'a query ended the process that ran it')
    return new WorkFailed('ended', 'The query ended the process that ran it.')
  }

  #tell(message: ToProcess): void {
    try {
      this.#child.send(message)
    } catch (error) {
      // It has ended, which is heard of otherwise.
      this.#log.debug({ error }, 'a query process is gone')
    }
  }

  async #gatherComplaints(): Promise<void> {
    const decoder = new TextDecoder()
    for await (const chunk of this.#child.stderr as ReadableStream<Uint8Array>) {
      const text = this.#complaints + decoder.decode(chunk, { stream: true })
      this.#complaints = text.slice(-COMPLAINT_CHARACTERS_MAX)
    }
  }
}
