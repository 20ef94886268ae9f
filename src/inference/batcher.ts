import { type Pool, PoolError } from '../platform/pool/pool.ts'
import type { RunTime } from '../platform/pool/protocol.ts'
import {
  type Attributes,
  type BegunSpan,
  beginSpan,
  type Tracing,
} from '../platform/tracing/tracing.ts'
import type { Batch, ModelFile, Task } from './inference.worker.ts'
import { inferenceProblems } from './problems.ts'

export type InferencePool = Pool<ModelFile[], undefined, Batch, Float64Array>

export interface BatcherOptions {
  pool: InferencePool
  model: Pick<ModelFile, 'key' | 'inputWidth' | 'outputWidth'>
  task: Task
  batchRowsMax: number
  queueRowsMax: number
  tracing: Tracing
  /** Hears the size of each batch that goes out. */
  observe: (rows: number) => void
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
  isAbandoned: IsAbandoned
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

const RETRY_AFTER = { 'retry-after': '1' }

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
   * @returns row by row, `outputWidth` a row
   * @throws {Problem} 503 when the queue is full or the model fails, 504 when it does not answer.
   */
  predict(rows: number, values: Float64Array, isAbandoned: IsAbandoned): Promise<Float64Array> {
    const { queueRowsMax, model, task, tracing } = this.#options
    if (this.#queuedRows + rows > queueRowsMax) this.#dropAbandoned()
    if (this.#queuedRows + rows > queueRowsMax) {
      const detail = `${this.#queuedRows} rows are waiting for this model. Try again later.`
      throw inferenceProblems.overloaded({ detail, headers: RETRY_AFTER })
    }
    return new Promise((resolve, reject) => {
      const outputs = new Float64Array(rows * model.outputWidth)
      const item: Item = {
        rows,
        values,
        outputs,
        sent: 0,
        done: 0,
        isAbandoned,
        span: beginSpan(tracing, `${task} ${model.key}`, 'internal'),
        resolve,
        reject,
      }
      this.#queue.push(item)
      this.#queuedRows += rows
      this.#ask()
    })
  }

  /** One standing question to the pool is enough: the batch is formed when a thread is free. */
  #ask(): void {
    if (this.#isAsking) return
    this.#isAsking = true
    let slices: Slice[] = []
    const { pool, tracing } = this.#options
    const watch = tracing.driver === 'none' ? undefined : () => this.#watch(slices)
    pool
      .run(() => {
        this.#isAsking = false
        slices = this.#take()
        if (this.#queue.length > 0) this.#ask()
        return slices.length === 0 ? undefined : this.#batchOf(slices)
      }, watch)
      .then(
        (outputs) => outputs && this.#deliver(slices, outputs),
        (error: unknown) => this.#fail(slices, error),
      )
  }

  #take(): Slice[] {
    const slices: Slice[] = []
    let free = this.#options.batchRowsMax
    while (free > 0) {
      const item = this.#queue[0]
      if (item === undefined) break
      if (item.isAbandoned()) {
        this.#drop(item, abandoned())
        continue
      }
      const rows = Math.min(free, item.rows - item.sent)
      slices.push({ item, from: item.sent, rows })
      item.sent += rows
      free -= rows
      if (item.sent === item.rows) this.#queue.shift()
    }
    this.#queuedRows -= this.#options.batchRowsMax - free
    return slices
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

  #deliver(slices: Slice[], outputs: Float64Array): void {
    const { outputWidth } = this.#options.model
    let at = 0
    for (const { item, from, rows } of slices) {
      copy(outputs, at, item.outputs, from * outputWidth, rows * outputWidth)
      at += rows * outputWidth
      item.done += rows
      if (item.done < item.rows) continue
      item.span?.end(this.#attributesOf(item))
      item.resolve(item.outputs)
    }
  }

  #fail(slices: Slice[], error: unknown): void {
    const problem = problemOf(error)
    // A question that was refused before it formed a batch speaks for everything that waits.
    const items = slices.length === 0 ? [...this.#queue] : slices.map(({ item }) => item)
    if (slices.length === 0) this.#isAsking = false
    for (const item of items) this.#drop(item, problem)
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
    item.span?.end(this.#attributesOf(item), reason)
    item.reject(reason)
  }

  #attributesOf({ rows }: Item): Attributes {
    return { 'model.key': this.#options.model.key, rows }
  }
}

/** Read by nobody. */
const abandoned = () => inferenceProblems.unavailable({ detail: 'The caller did not wait.' })

/** A loop: a `subarray` to hand to `set` costs more than to copy the few values of most requests. */
function copy(from: Float64Array, at: number, to: Float64Array, toAt: number, count: number): void {
  for (let index = 0; index < count; index++) to[toAt + index] = from[at + index]!
}

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
