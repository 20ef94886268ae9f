import { type BegunSpan, beginSpan, type Tracing } from '../../platform/tracing/tracing.ts'
import type { Batcher, IsAbandoned, Timings } from './batcher.ts'
import { abandoned, overloaded } from './refusals.ts'

/** Answers rows for one model: at once, or when its turn comes. */
export type RunModel = (
  rows: number,
  values: Float64Array,
  isAbandoned: IsAbandoned,
  isUrgent?: boolean,
) => Float64Array | Promise<Float64Array>

/** Rows that go down the trees together; further ones gain nothing. */
const TOGETHER_ROWS = 64
/** Requests that came at once are answered for so long; then others get their turn. */
const TURN_MS = 4

interface Asked {
  rows: number
  values: Float64Array
  isAbandoned: IsAbandoned
  isUrgent: boolean
  askedAt: number
  span: BegunSpan | undefined
  resolve: (answers: Float64Array) => void
  reject: (error: unknown) => void
}

/**
 * Trees are evaluated where they are asked for as long as that takes less than to hand rows to another
 * thread; what would hold up other requests goes there.
 *
 * Requests that were read in one turn of the event loop are answered together at its end: their rows share
 * a walk down each tree, and their answers leave one after the other, which wakes a client once and not for
 * each.
 */
export function inPlace(
  options: {
    key: string
    /** For one request; 0 sends everything to the threads. */
    microsecondsMax: number
    nsPerRow: number
    queueRowsMax: number
    /** Of what is asked, and of what is answered. */
    inputWidth: number
    outputWidth: number
    tracing: Tracing
    /** Hears the size of each call. */
    observe: (rows: number) => void
    timings: Timings
  },
  run: (rows: number, values: Float64Array) => Float64Array,
  batcher: Batcher,
): RunModel {
  const { key, inputWidth, outputWidth, queueRowsMax, tracing, observe, timings } = options
  const rowsMax = Math.floor((options.microsecondsMax * 1000) / options.nsPerRow)
  let waiting: Asked[] = []
  let waitingRows = 0

  function takeTurn(): void {
    const startedAt = performance.now()
    dropAbandoned()
    let from = 0
    while (from < waiting.length && performance.now() - startedAt < TURN_MS) {
      let to = from
      let rows = 0
      while (to < waiting.length && (to === from || rows + waiting[to]!.rows <= TOGETHER_ROWS)) {
        rows += waiting[to]!.rows
        to += 1
      }
      waitingRows -= rows
      answer(waiting.slice(from, to), rows)
      from = to
    }
    waiting = waiting.slice(from)
    if (waiting.length > 0) setImmediate(takeTurn)
  }

  /** What nobody waits for takes no time of those who do. */
  function dropAbandoned(): void {
    if (!waiting.some((each) => each.isAbandoned())) return
    const dropped = waiting.filter((each) => each.isAbandoned())
    waiting = waiting.filter((each) => !dropped.includes(each))
    for (const { rows, span, reject } of dropped) {
      waitingRows -= rows
      const reason = abandoned()
      span?.end({ 'model.key': key }, reason)
      reject(reason)
    }
  }

  /** Of equal urgency the first comes first. */
  function enqueue(asked: Asked): void {
    const position = asked.isUrgent ? waiting.findIndex(({ isUrgent }) => !isUrgent) : -1
    if (position === -1) waiting.push(asked)
    else waiting.splice(position, 0, asked)
    waitingRows += asked.rows
  }

  function answer(asked: readonly Asked[], rows: number): void {
    const startedAt = performance.now()
    observe(rows)
    try {
      const answers = run(rows, valuesOf(asked, rows))
      timings.ran(rows, performance.now() - startedAt)
      let at = 0
      for (const { rows: count, askedAt, span, resolve } of asked) {
        timings.queued(startedAt - askedAt)
        span?.end({ 'model.key': key, 'batch.rows': rows })
        resolve(asked.length === 1 ? answers : answers.slice(at, at + count * outputWidth))
        at += count * outputWidth
      }
    } catch (error) {
      for (const { span, reject } of asked) {
        span?.end({ 'model.key': key, 'batch.rows': rows }, error)
        reject(error)
      }
    }
  }

  function valuesOf(asked: readonly Asked[], rows: number): Float64Array {
    if (asked.length === 1) return asked[0]!.values
    const values = new Float64Array(rows * inputWidth)
    let at = 0
    for (const each of asked) {
      values.set(each.values, at)
      at += each.values.length
    }
    return values
  }

  return (rows, values, isAbandoned, isUrgent = false) => {
    if (rows > rowsMax) return batcher.predict(rows, values, isAbandoned, isUrgent)
    if (waitingRows + rows > queueRowsMax) dropAbandoned()
    if (waitingRows + rows > queueRowsMax) throw overloaded(waitingRows)
    return new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(takeTurn)
      const span = beginSpan(tracing, `run ${key}`, 'internal')
      const askedAt = performance.now()
      enqueue({ rows, values, isAbandoned, isUrgent, askedAt, span, resolve, reject })
    })
  }
}
