import { mkdirSync, rmSync } from 'node:fs'

import type { Log } from '../../platform/log.ts'
import type { Partials } from '../../platform/storage/partial.ts'
import type { Means, Workspace } from './instance.ts'
import { QueryProcess, type RunOptions, WorkFailed } from './query-process.ts'
import type { Order, Result, Tasks } from './tasks.ts'

/** Does work with DuckDB, in processes beside the server. */
export interface Engine {
  /**
   * Does one piece of work in a directory of its own.
   *
   * @param order makes it for the directory, where what it makes is to lie.
   * @param take reads what was made, before the directory is removed.
   * @throws {WorkFailed}
   * @throws {EngineFull} where too many wait.
   */
  run<Name extends keyof Tasks, Taken>(
    task: Name,
    readable: readonly string[],
    order: (directory: string) => Tasks[Name]['order'],
    options: RunOptions & {
      take: (result: Result<Name>, directory: string) => Promise<Taken>
    },
  ): Promise<Taken>
  readonly waiting: number
  /** Ends what runs. Resolves when nothing is left of it. */
  close(): Promise<void>
}

export class EngineFull extends Error {
  override name = 'EngineFull'
}

/** Without work for so long, processes are ended. */
const IDLE_MS = 60_000

export function createEngine(options: {
  /** At a time, each in a process of its own. */
  atOnceMax: number
  waitingMax: number
  /** Of one piece of work. */
  means: Means
  spillBytesMax: number
  /** For the directories. */
  partials: Partials
  log: Log
}): Engine {
  const { atOnceMax, waitingMax, means, spillBytesMax, partials, log } = options
  const idle: QueryProcess[] = []
  const turns: ((process: Promise<QueryProcess>) => void)[] = []
  const working = new Set<QueryProcess>()
  /** From the question to the answer, those that wait for a process included. */
  const underway = new Set<Promise<unknown>>()
  let busy = 0
  let isClosed = false
  let lastWorkAt = 0
  let sweeper: Timer | undefined

  /** One that waits for work, or a new one. */
  function fresh(): Promise<QueryProcess> {
    for (let known = idle.pop(); known !== undefined; known = idle.pop()) {
      if (!known.hasEnded) return Promise.resolve(known)
    }
    return QueryProcess.start(means, log)
  }

  function acquire(signal: AbortSignal | undefined): Promise<QueryProcess> {
    if (isClosed) throw stopped()
    if (busy < atOnceMax) {
      busy += 1
      return fresh().catch(release)
    }
    if (turns.length >= waitingMax) throw new EngineFull(`${turns.length} queries are waiting.`)
    const { promise, resolve, reject } = Promise.withResolvers<QueryProcess>()
    turns.push(resolve)
    const giveUp = () => {
      const position = turns.indexOf(resolve)
      if (position === -1) return
      turns.splice(position, 1)
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', giveUp, { once: true })
    return promise.finally(() => signal?.removeEventListener('abort', giveUp))
  }

  /** Its place goes to whoever has waited longest. */
  function passOn(): void {
    const next = turns.shift()
    if (next === undefined) busy -= 1
    else next(fresh().catch(release))
  }

  function release(error: unknown): never {
    passOn()
    throw error
  }

  function giveBack(process: QueryProcess): void {
    if (process.isFresh && !isClosed) idle.push(process)
    else process.end()
    lastWorkAt = performance.now()
    if (!isClosed) sweeper ??= setInterval(endIdle, IDLE_MS).unref()
    passOn()
  }

  function endIdle(): void {
    if (performance.now() - lastWorkAt < IDLE_MS) return
    for (const process of idle.splice(0)) process.end()
  }

  const run: Engine['run'] = async (task, readable, orderIn, { take, ...runOptions }) => {
    const process = await acquire(runOptions.signal)
    const directory = partials.newPath(task)
    working.add(process)
    try {
      // Meanwhile the server may have begun to stop.
      if (isClosed) throw stopped()
      mkdirSync(directory, { mode: 0o700 })
      const workspace: Workspace = { directory, readable, spillBytesMax }
      const order = { ...orderIn(directory), workspace } as Order<typeof task>
      return await take(await process.run(task, order, runOptions), directory)
    } finally {
      working.delete(process)
      giveBack(process)
      rmSync(directory, { recursive: true, force: true })
    }
  }

  return {
    run(...asked) {
      const work = run(...asked)
      underway.add(work)
      const forget = () => underway.delete(work)
      work.then(forget, forget)
      return work
    },
    get waiting() {
      return turns.length
    },
    async close() {
      isClosed = true
      clearInterval(sweeper)
      for (const turn of turns.splice(0)) turn(Promise.reject(stopped()))
      for (const process of [...idle.splice(0), ...working]) process.end()
      await Promise.allSettled(underway)
    },
  }
}

const stopped = () => new WorkFailed('interrupted', 'The server stops.')
