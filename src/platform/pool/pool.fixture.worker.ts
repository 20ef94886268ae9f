import { serveWorker } from './worker.ts'

/** Numbers that a test shares with all threads of its pool, and where each is. */
export interface FixtureStart {
  memory: Int32Array
  cells: {
    /** Threads that have tried to start. */
    attempts: number
    /** Threads that are to refuse yet. */
    refusals: number
    /** 1 where threads are to hang for a while as they start. */
    hangs: number
    released: number
    /** Of the first thread, as all that follows: it goes on when it is 1. */
    gates: number
    /** Counts up while the thread lives. */
    beats: number
    /** Counts up with each job that asks for it. */
    counts: number
  }
}

export type FixtureJob =
  | { type: 'echo'; value: string }
  /** Blocks the thread as a native call does. */
  | { type: 'block' }
  | { type: 'blockAndExit' }
  | { type: 'fail'; reason: string }
  /** Ends the thread by an error that nobody catches. */
  | { type: 'throw' }
  | { type: 'count' }
  | { type: 'exit' }
  /** Answers, and ends the thread after that. */
  | { type: 'exitLater' }
  | { type: 'answerWithFunction' }

export interface FixtureResult {
  /** The how manieth thread it was, from 0. */
  thread: number
  value: unknown
}

const HANG_MS = 300

let start: FixtureStart
let thread: number

serveWorker<FixtureStart, number, FixtureJob, FixtureResult>({
  async start(given) {
    start = given
    const { memory, cells } = start
    thread = Atomics.add(memory, cells.attempts, 1)
    if (Atomics.sub(memory, cells.refusals, 1) > 0) throw new Error(`thread ${thread} refuses`)
    if (Atomics.load(memory, cells.hangs) === 1)
      Atomics.wait(memory, cells.gates + thread, 0, HANG_MS)
    setInterval(() => Atomics.add(memory, cells.beats + thread, 1), 1)
    return thread
  },
  async run(job) {
    switch (job.type) {
      case 'echo':
        return { thread, value: job.value }
      case 'block':
        Atomics.wait(start.memory, start.cells.gates + thread, 0)
        return { thread, value: 'late' }
      case 'blockAndExit':
        Atomics.wait(start.memory, start.cells.gates + thread, 0)
        return process.exit(0)
      case 'fail':
        throw new Error(job.reason)
      case 'throw':
        setTimeout(() => {
          throw new Error('outside of the job')
        }, 0)
        return new Promise(() => {})
      case 'count':
        Atomics.add(start.memory, start.cells.counts + thread, 1)
        return { thread, value: undefined }
      case 'exit':
        return process.exit(0)
      case 'exitLater':
        setTimeout(() => process.exit(0), 1)
        return { thread, value: 'last words' }
      case 'answerWithFunction':
        return { thread, value: () => {} }
    }
  },
  async release() {
    Atomics.add(start.memory, start.cells.released, 1)
  },
})
