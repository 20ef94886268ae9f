import { type Pool, PoolError } from '../../platform/pool/pool.ts'
import type { RunTime } from '../../platform/pool/protocol.ts'
import {
  type Attributes,
  type BegunSpan,
  beginSpan,
  type Tracing,
} from '../../platform/tracing/tracing.ts'
import { inferenceProblems } from '../problems.ts'
import type {
  Batch,
  InferenceJob,
  InferenceResult,
  ModelFile,
  Task,
  ThreadStart,
} from './inference.worker.ts'
import { abandoned, overloaded, RETRY_AFTER } from './refusals.ts'

export type InferencePool = Pool<ThreadStart, undefined, InferenceJob, InferenceResult>

export interface BatcherOptions {
  pool: InferencePool
  model: Pick<ModelFile, 'key' | 'inputWidth' | 'outputWidth'>
  task: Task
  batchRowsMax: number
  queueRowsMax: number
  /** Whether it gives way to all that are not. */
  isBackground?: boolean
  tracing: Tracing
  /** Hears the size of each batch that goes out. */
  observe: (rows: number) => void
  timings: Timings
}

/** Hears how long things took, in milliseconds. */
export interface Timings {
  /** A request, until the first of its rows went out. */
  queued(ms: number): void
  /** A call of the model, and its rows. */
  ran(rows: number, ms: number): void
}

/** Whether nobody waits for a request any more: its client has gone, or has had its 504. */
export type IsAbandoned = () => boolean

/** Rows of one request that wait for the model, or for the rest of their answer. */
interface Item {
  rows: number
  values: Float64Array
  outputs: Float64Array
  /** Rows that have gone out, and rows that have come back. */
  sent: number
  done: number
  /** Whether it has been refused, so that its other rows are of no use. */
  isRefused: boolean
  isAbandoned: IsAbandoned
  isUrgent: boolean
  enqueuedAt: number
  /** From the question to the answer: the wait, and the calls that its rows went out in. */
  span: BegunSpan | undefined
  resolve: (outputs: Float64Array) => void
  reject: (error: unknown) => void
}

/** A run of rows of one request inside a batch. */
interface Slice {
  item: Item
  from: number
  rows: number
}

/**
 * Gathers the rows of concurrent requests for one model into calls of up to `batchRowsMax` rows.
 *
 * Greedy: what is queued goes out as soon as a thread is free, so a lone request never waits and
 * batches grow by themselves under load. It counts rows, not requests; a request larger than a
 * batch goes out in parts.
 */
export class Batcher {
  readonly #options: BatcherOptions
  readonly #queue: Item[] = []
  /** Rows of a call that failed, each to be asked for alone: one bad row must not fail its neighbours. */
  readonly #alone: Slice[] = []
  #queuedRows = 0
  #isAsking = false

  constructor(options: BatcherOptions) {
    this.#options = options
  }

  get queuedRows(): number {
    return this.#queuedRows
  }

  /**
   * @param values row by row, `inputWidth` a row
   * @param isUrgent whether it goes before all that are not
   * @returns row by row, `outputWidth` a row
   * @throws {Problem} 503 when the queue is full or the model fails, 504 when it does not answer.
   */
  predict(
    rows: number,
    values: Float64Array,
    isAbandoned: IsAbandoned,
    isUrgent = false,
  ): Promise<Float64Array> {
    const { queueRowsMax, model, task, tracing } = this.#options
    if (this.#queuedRows + rows > queueRowsMax) this.#dropAbandoned()
    if (this.#queuedRows + rows > queueRowsMax) {
      throw overloaded(this.#queuedRows)
    }
    return new Promise((resolve, reject) => {
      const outputs = new Float64Array(rows * model.outputWidth)
      const item: Item = {
        rows,
        values,
        outputs,
        sent: 0,
        done: 0,
        isRefused: false,
        isAbandoned,
        isUrgent,
        enqueuedAt: performance.now(),
        span: beginSpan(tracing, `${task} ${model.key}`, 'internal'),
        resolve,
        reject,
      }
      this.#enqueue(item)
      this.#queuedRows += rows
      this.#ask()
    })
  }

  /** Of equal urgency the first comes first; what has begun to go out is not overtaken. */
  #enqueue(item: Item): void {
    const isBefore = ({ isUrgent, sent }: Item) => isUrgent || sent > 0
    const position = item.isUrgent ? this.#queue.findIndex((other) => !isBefore(other)) : -1
    if (position === -1) this.#queue.push(item)
    else this.#queue.splice(position, 0, item)
  }

  /** One standing question to the pool is enough: the batch is formed when a thread is free. */
  #ask(): void {
    if (this.#isAsking) return
    this.#isAsking = true
    let slices: Slice[] = []
    let sentAt = 0
    const { pool, tracing, isBackground = false } = this.#options
    const watch = tracing.driver === 'none' ? undefined : () => this.#watch(slices)
    pool
      .run(
        () => {
          this.#isAsking = false
          slices = this.#take()
          sentAt = performance.now()
          if (this.#queue.length > 0 || this.#alone.length > 0) this.#ask()
          return slices.length === 0 ? undefined : this.#batchOf(slices)
        },
        { watch, isBackground },
      )
      .then(
        (outputs) =>
          outputs && this.#deliver(slices, outputs as Float64Array, performance.now() - sentAt),
        (error: unknown) => this.#fail(slices, error),
      )
  }

  #take(): Slice[] {
    const alone = this.#takeAlone()
    if (alone !== undefined) return [alone]
    const slices: Slice[] = []
    let free = this.#options.batchRowsMax
    while (free > 0) {
      const item = this.#queue[0]
      if (item === undefined) break
      if (item.isAbandoned()) {
        this.#drop(item, abandoned())
        continue
      }
      if (item.sent === 0) this.#options.timings.queued(performance.now() - item.enqueuedAt)
      const rows = Math.min(free, item.rows - item.sent)
      slices.push({ item, from: item.sent, rows })
      item.sent += rows
      free -= rows
      if (item.sent === item.rows) this.#queue.shift()
    }
    this.#queuedRows -= this.#options.batchRowsMax - free
    return slices
  }

  #takeAlone(): Slice | undefined {
    let slice: Slice | undefined
    do slice = this.#alone.shift()
    while (slice?.item.isRefused)
    if (!slice?.item.isAbandoned()) return slice
    this.#drop(slice.item, abandoned())
    return this.#takeAlone()
  }

  #batchOf(slices: Slice[]): Batch {
    const { key, inputWidth } = this.#options.model
    let rows = 0
    for (const slice of slices) rows += slice.rows
    const values = new Float64Array(rows * inputWidth)
    let at = 0
    for (const { item, from, rows: count } of slices) {
      copy(item.values, from * inputWidth, values, at, count * inputWidth)
      at += count * inputWidth
    }
    this.#options.observe(rows)
    return { key, task: this.#options.task, rows, values }
  }

  /** Of a call that many requests share, each has a span: a trace is read alone. */
  #watch(slices: Slice[]): ((time: RunTime) => void) | undefined {
    if (slices.every(({ item }) => item.span === undefined)) return undefined
    const { model } = this.#options
    return (time) => {
      const rows = slices.reduce((sum, slice) => sum + slice.rows, 0)
      const attributes = { 'model.key': model.key, 'batch.rows': rows }
      for (const { item } of slices) {
        item.span?.recordChild({ name: `run ${model.key}`, ...time, attributes })
      }
    }
  }

  #deliver(slices: Slice[], outputs: Float64Array, ms: number): void {
    const { outputWidth } = this.#options.model
    this.#options.timings.ran(outputs.length / outputWidth, ms)
    let at = 0
    for (const { item, from, rows } of slices) {
      copy(outputs, at, item.outputs, from * outputWidth, rows * outputWidth)
      at += rows * outputWidth
      item.done += rows
      if (item.done < item.rows || item.isRefused) continue
      item.span?.end(this.#attributesOf(item))
      item.resolve(item.outputs)
    }
  }

  #fail(slices: Slice[], error: unknown): void {
    if (isByRows(error, slices)) return this.#askAlone(slices)
    const problem = problemOf(error)
    // A question that was refused before it formed a batch speaks for everything that waits.
    const waiting = [...this.#queue, ...this.#alone.map(({ item }) => item)]
    const items = slices.length === 0 ? waiting : slices.map(({ item }) => item)
    if (slices.length === 0) this.#isAsking = false
    for (const item of items) this.#drop(item, problem)
  }

  #askAlone(slices: Slice[]): void {
    for (const { item, from, rows } of slices) {
      for (let row = 0; row < rows; row++) this.#alone.push({ item, from: from + row, rows: 1 })
    }
    this.#ask()
  }

  #dropAbandoned(): void {
    const items = this.#queue.filter((item) => item.isAbandoned())
    for (const item of items) this.#drop(item, abandoned())
  }

  #drop(item: Item, reason: unknown): void {
    const position = this.#queue.indexOf(item)
    if (position !== -1) {
      this.#queue.splice(position, 1)
      this.#queuedRows -= item.rows - item.sent
    }
    if (item.isRefused) return
    item.isRefused = true
    item.span?.end(this.#attributesOf(item), reason)
    item.reject(reason)
  }

  #attributesOf({ rows }: Item): Attributes {
    return { 'model.key': this.#options.model.key, rows }
  }
}

/** A loop: a `subarray` to hand to `set` costs more than to copy the few values of most requests. */
function copy(from: Float64Array, at: number, to: Float64Array, toAt: number, count: number): void {
  for (let index = 0; index < count; index++) to[toAt + index] = from[at + index]!
}

/** Whether a call of several rows failed by what is in them; a single one has had its turn. */
const isByRows = (error: unknown, slices: readonly Slice[]) =>
  error instanceof PoolError &&
  error.failure === 'failed' &&
  slices.reduce((sum, { rows }) => sum + rows, 0) > 1

function problemOf(error: unknown): unknown {
  if (!(error instanceof PoolError)) return error
  switch (error.failure) {
    case 'timeout':
      return inferenceProblems.runTimeout({ cause: error, headers: RETRY_AFTER })
    case 'full':
      return inferenceProblems.overloaded({ cause: error, headers: RETRY_AFTER })
    case 'crashed':
    case 'closed':
      return inferenceProblems.unavailable({ cause: error, headers: RETRY_AFTER })
    case 'failed':
      // The model itself refused checked rows: that is a bug, of the model or of ours.
      return error
  }
}
