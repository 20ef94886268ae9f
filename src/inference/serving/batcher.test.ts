import { describe, expect, test } from 'bun:test'

import { refusal } from '../../../tests/support/refusal.ts'
import { type PoolFailure, PoolError } from '../../platform/pool/thread.ts'
import { createNoTracing } from '../../platform/tracing/none.ts'
import { Batcher, type InferencePool } from './batcher.ts'
import type { Batch } from './inference.worker.ts'

/** Of the model of these tests, which returns its rows as they are. */
const WIDTH = 2

interface Running {
  batch: Batch
  /** Answers with the rows themselves. */
  answer: () => void
  fail: (error: Error) => void
}

/** A pool whose threads the test plays. */
function createPool(threads: number) {
  type Ticket = {
    take: () => Batch | undefined
    settle: PromiseWithResolvers<Float64Array | undefined>
  }
  const waiting: Ticket[] = []
  const running: Running[] = []
  let free = threads
  let refusedWith: PoolFailure | undefined

  function dispatch() {
    while (free > 0 && waiting.length > 0) {
      const { take, settle } = waiting.shift()!
      free -= 1
      const batch = take()
      const giveBack = () => {
        free += 1
        dispatch()
      }
      if (batch === undefined) {
        settle.resolve(undefined)
        giveBack()
        continue
      }
      running.push({
        batch,
        answer() {
          settle.resolve(batch.values.slice())
          giveBack()
        },
        fail(error) {
          settle.reject(error)
          giveBack()
        },
      })
    }
  }

  const pool = {
    run(take: Ticket['take']) {
      if (refusedWith !== undefined) return Promise.reject(new PoolError(refusedWith, 'refused'))
      const settle = Promise.withResolvers<Float64Array | undefined>()
      waiting.push({ take, settle })
      dispatch()
      return settle.promise
    },
  } as unknown as InferencePool

  return {
    pool,
    running,
    /** From now on, and for everything that waits. */
    refuse(failure: PoolFailure) {
      refusedWith = failure
      for (const { settle } of waiting.splice(0)) settle.reject(new PoolError(failure, 'refused'))
    },
    accept() {
      refusedWith = undefined
    },
  }
}

function createBatcher({
  threads = 1,
  batchRowsMax = 8,
  queueRowsMax = 100,
  tracing = createNoTracing(),
} = {}) {
  const { pool, running, ...fake } = createPool(threads)
  const observed: number[] = []
  const model = { key: 'identity/1', path: '', inputWidth: WIDTH, outputWidth: WIDTH }
  const observe = (rows: number) => void observed.push(rows)
  const batcher = new Batcher({
    pool,
    model,
    task: 'predict',
    batchRowsMax,
    queueRowsMax,
    observe,
    timings: { queued() {}, ran() {} },
    tracing,
  })
  return {
    ...fake,
    batcher,
    observed,
    running,
    ask: (id: number, rows: number, isAbandoned = () => false, isUrgent = false) =>
      batcher.predict(rows, rowsOf(id, rows), isAbandoned, isUrgent),
    /** Answers what runs, and what goes out then, until nothing does. */
    async finish() {
      while (running.length > 0) {
        running.shift()!.answer()
        await Bun.sleep(0)
      }
    },
  }
}

/** Rows that tell whose they are and the how manieth. */
const rowsOf = (id: number, rows: number) =>
  Float64Array.from({ length: rows * WIDTH }, (_, at) => (at % WIDTH === 0 ? id : at >> 1))

const rowsIn = ({ batch }: Running) =>
  Array.from({ length: batch.rows }, (_, row) => [
    ...batch.values.subarray(row * WIDTH, (row + 1) * WIDTH),
  ])

const overloaded = (status: number) => ({
  name: 'Problem',
  kind: { status },
  options: { headers: { 'retry-after': '1' } },
})

describe('batches', () => {
  test('go out at once when a thread is free', () => {
    const { ask, running, batcher } = createBatcher()
    void ask(1, 3)
    expect(running.map(rowsIn)).toEqual([
      [
        [1, 0],
        [1, 1],
        [1, 2],
      ],
    ])
    expect(running[0]?.batch.key).toBe('identity/1')
    expect(batcher.queuedRows).toBe(0)
  })

  test('grow while none is, by rows and not by requests', async () => {
    const { ask, running, observed, finish, batcher } = createBatcher({ batchRowsMax: 8 })
    const asked = [ask(0, 1), ask(1, 3), ask(2, 3), ask(3, 3)]
    expect(batcher.queuedRows).toBe(9)
    running.shift()!.answer()
    expect(rowsIn(running[0]!).map(([id]) => id)).toEqual([1, 1, 1, 2, 2, 2, 3, 3])
    expect(batcher.queuedRows).toBe(1)
    await finish()
    expect(observed).toEqual([1, 8, 1])
    expect(await Promise.all(asked)).toEqual([1, 3, 3, 3].map((rows, id) => rowsOf(id, rows)))
  })

  test('take parts of a request that is larger, on all threads, in whatever order they end', async () => {
    const { ask, running, observed } = createBatcher({ threads: 3, batchRowsMax: 4 })
    const asked = ask(7, 10)
    expect(new Set(observed)).toEqual(new Set([4, 2]))
    const [first, ...others] = running.splice(0).toReversed()
    first!.answer()
    expect(await Promise.race([asked, Bun.sleep(1)])).toBeUndefined()
    for (const part of others) part.answer()
    expect(await asked).toEqual(rowsOf(7, 10))
  })

  test('leave nothing to a large request that others need: they share what is free', async () => {
    const { ask, running, finish } = createBatcher({ batchRowsMax: 4 })
    const large = ask(1, 6)
    const small = ask(2, 1)
    running.shift()!.answer()
    expect(rowsIn(running[0]!)).toEqual([
      [1, 4],
      [1, 5],
      [2, 0],
    ])
    await finish()
    expect(await large).toEqual(rowsOf(1, 6))
    expect(await small).toEqual(rowsOf(2, 1))
  })
})

describe('the queue', () => {
  test('holds its limit of rows, and refuses one more until there is room', async () => {
    const { ask, running, batcher, finish } = createBatcher({ batchRowsMax: 4, queueRowsMax: 10 })
    // What runs does not wait.
    const asked = [ask(0, 4), ask(1, 7), ask(2, 3)]
    expect(batcher.queuedRows).toBe(10)
    expect(await refusal((async () => ask(3, 1))())).toMatchObject(overloaded(503))
    expect(batcher.queuedRows).toBe(10)
    running.shift()!.answer()
    expect(batcher.queuedRows).toBe(6)
    asked.push(ask(3, 4))
    expect(batcher.queuedRows).toBe(10)
    await finish()
    expect(await Promise.all(asked)).toEqual([4, 7, 3, 4].map((rows, id) => rowsOf(id, rows)))
    expect(batcher.queuedRows).toBe(0)
  })
})

describe('a request that nobody waits for', () => {
  /** Its caller, who can go away. */
  function createCaller() {
    let isGone = false
    return { isGone: () => isGone, go: () => void (isGone = true) }
  }

  test('is left out of the batch, and its neighbours get their own answers', async () => {
    const { ask, running, batcher, finish } = createBatcher()
    const caller = createCaller()
    const before = [ask(0, 1), ask(1, 2)]
    const abandoned = refusal(ask(2, 3, caller.isGone))
    const after = ask(3, 2)
    caller.go()
    running.shift()!.answer()
    expect(rowsIn(running[0]!).map(([id]) => id)).toEqual([1, 1, 3, 3])
    expect(await abandoned).toMatchObject({ message: 'The caller did not wait.' })
    expect(batcher.queuedRows).toBe(0)
    await finish()
    expect(await Promise.all([...before, after])).toEqual([
      rowsOf(0, 1),
      rowsOf(1, 2),
      rowsOf(3, 2),
    ])
  })

  test('of which a part runs sends no other', async () => {
    const { ask, running, observed, finish } = createBatcher({ batchRowsMax: 4 })
    const caller = createCaller()
    const abandoned = refusal(ask(1, 10, caller.isGone))
    const neighbour = ask(2, 2)
    caller.go()
    running.shift()!.answer()
    expect(rowsIn(running[0]!).map(([id]) => id)).toEqual([2, 2])
    expect(await abandoned).toMatchObject({ message: 'The caller did not wait.' })
    await finish()
    expect(observed).toEqual([4, 2])
    expect(await neighbour).toEqual(rowsOf(2, 2))
  })

  test('makes room in a full queue', async () => {
    const { ask, finish } = createBatcher({ batchRowsMax: 4, queueRowsMax: 10 })
    const caller = createCaller()
    const asked = [ask(0, 4), ask(1, 3)]
    const abandoned = refusal(ask(2, 7, caller.isGone))
    caller.go()
    asked.push(ask(3, 7))
    expect(await abandoned).toMatchObject({ message: 'The caller did not wait.' })
    await finish()
    expect(await Promise.all(asked)).toEqual([rowsOf(0, 4), rowsOf(1, 3), rowsOf(3, 7)])
  })

  test('that was the only one leaves the thread to others', async () => {
    const { ask, running, batcher, finish } = createBatcher()
    const caller = createCaller()
    const first = ask(0, 1)
    const abandoned = refusal(ask(1, 1, caller.isGone))
    caller.go()
    running.shift()!.answer()
    await abandoned
    expect(running).toEqual([])
    const next = ask(2, 1)
    expect(batcher.queuedRows).toBe(0)
    await finish()
    expect(await Promise.all([first, next])).toEqual([rowsOf(0, 1), rowsOf(2, 1)])
  })
})

describe('a batch that fails', () => {
  test('fails its requests, with their rows that still wait, and no other', async () => {
    const { ask, running, batcher, finish } = createBatcher({ batchRowsMax: 4 })
    const first = ask(0, 1)
    const [small, large, other] = [ask(1, 2), ask(2, 5), ask(3, 1)]
    const refused = [refusal(small), refusal(large)]
    running.shift()!.answer()
    running.shift()!.fail(new PoolError('crashed', 'the worker ended'))
    expect(await Promise.all(refused)).toMatchObject([overloaded(503), overloaded(503)])
    await finish()
    expect(await Promise.all([first, other])).toEqual([rowsOf(0, 1), rowsOf(3, 1)])
    expect(batcher.queuedRows).toBe(0)
  })

  test.each<[PoolFailure, number]>([
    ['crashed', 503],
    ['timeout', 504],
    ['full', 503],
    ['closed', 503],
  ])('because of %s is answered by %d, with when to try again', async (failure, status) => {
    const { ask, running } = createBatcher()
    const asked = ask(1, 1)
    running.shift()!.fail(new PoolError(failure, 'the cause'))
    const problem = await refusal(asked)
    expect(problem).toMatchObject(overloaded(status))
    expect(problem).toMatchObject({ cause: { failure } })
  })

  test('because the model refuses checked rows is a bug, and stays one', async () => {
    const { ask, running } = createBatcher()
    const asked = ask(1, 1)
    const error = new PoolError('failed', 'Invalid rank for input')
    running.shift()!.fail(error)
    expect(await refusal(asked)).toBe(error)
  })
})

describe('a batch that the model refuses', () => {
  const failure = () => new PoolError('failed', 'Invalid rank for input')
  const idsOf = ({ batch }: Running) => rowsIn({ batch } as Running).map(([id]) => id)

  test('is asked for again row by row, so that one bad row fails its own request alone', async () => {
    const { ask, running } = createBatcher({ batchRowsMax: 8 })
    const first = ask(0, 1)
    const good = [ask(1, 2), ask(3, 1)]
    const bad = refusal(ask(2, 3))
    running.shift()!.answer()
    await first
    running.shift()!.fail(failure())
    await Bun.sleep(0)
    const alone: (number | undefined)[][] = []
    while (running.length > 0) {
      const each = running.shift()!
      alone.push(idsOf(each))
      if (idsOf(each)[0] === 2) each.fail(failure())
      else each.answer()
      await Bun.sleep(0)
    }
    // Of the request that failed its last row is not asked for any more.
    expect(alone).toEqual([[1], [1], [3], [2], [2]])
    expect(await Promise.all(good)).toEqual([rowsOf(1, 2), rowsOf(3, 1)])
    expect(await bad).toMatchObject({ failure: 'failed' })
  })

  test('is not asked for a third time, nor where nobody waits', async () => {
    let hasGone = false
    const { ask, running } = createBatcher({ batchRowsMax: 8 })
    const first = ask(0, 1)
    const gone = refusal(ask(1, 2, () => hasGone))
    const bad = refusal(ask(2, 1))
    running.shift()!.answer()
    await first
    running.shift()!.fail(failure())
    hasGone = true
    await Bun.sleep(0)
    expect(running.map(idsOf)).toEqual([[2]])
    running.shift()!.fail(failure())
    await Bun.sleep(0)
    expect(running).toEqual([])
    expect(await bad).toMatchObject({ failure: 'failed' })
    expect(await gone).toMatchObject({ kind: { status: 503 } })
  })

  test('fails with the pool, where that closes before its rows went out', async () => {
    const { ask, running, refuse } = createBatcher({ batchRowsMax: 8 })
    const first = ask(0, 1)
    const bad = refusal(ask(1, 2))
    running.shift()!.answer()
    await first
    refuse('closed')
    running.shift()!.fail(failure())
    expect(await bad).toMatchObject({ kind: { status: 503 } })
  })
})

test('what is urgent goes before what is not, and keeps its own order', async () => {
  const { ask, running, finish } = createBatcher({ batchRowsMax: 1 })
  const order: number[] = []
  const asked = [0, 1, 2, 3, 4].map((id) => ask(id, 1, undefined, id === 2 || id === 4))
  while (running.length > 0) {
    order.push(running[0]!.batch.values[0]!)
    running.shift()!.answer()
    await Bun.sleep(0)
  }
  await finish()
  await Promise.all(asked)
  expect(order).toEqual([0, 2, 4, 1, 3])
})

describe('a pool that refuses', () => {
  test('fails everything that waits, and what runs ends well', async () => {
    const { ask, running, refuse, batcher } = createBatcher()
    const runs = ask(0, 1)
    const waiting = [refusal(ask(1, 2)), refusal(ask(2, 2))]
    refuse('closed')
    expect(await Promise.all(waiting)).toMatchObject([overloaded(503), overloaded(503)])
    running.shift()!.answer()
    expect(await runs).toEqual(rowsOf(0, 1))
    expect(batcher.queuedRows).toBe(0)
    expect(await refusal(ask(3, 1))).toMatchObject(overloaded(503))
    expect(await refusal(ask(4, 1))).toMatchObject(overloaded(503))
  })

  test('is asked again by the next request', async () => {
    const { ask, refuse, accept, finish } = createBatcher()
    refuse('full')
    expect(await refusal(ask(1, 1))).toMatchObject(overloaded(503))
    accept()
    const next = ask(2, 1)
    await finish()
    expect(await next).toEqual(rowsOf(2, 1))
  })
})

test('whatever the sizes and the order of answers, each request gets its own rows back', async () => {
  // A linear congruential generator: the same course at each run.
  let seed = 20_260_801
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  for (let round = 0; round < 30; round += 1) {
    const { ask, running, batcher, observed } = createBatcher({
      threads: 1 + random(4),
      batchRowsMax: 1 + random(16),
      queueRowsMax: 1e6,
    })
    const sizes = Array.from({ length: 40 }, () => 1 + random(random(3) === 0 ? 60 : 5))
    const abandoned = new Set<number>()
    const answers = sizes.map((rows, id) => {
      const answer = ask(id, rows, () => abandoned.has(id)).catch(() => undefined)
      if (random(5) === 0) {
        abandoned.add(id)
      }
      while (random(2) === 0) running.splice(random(running.length), 1)[0]?.answer()
      return answer
    })
    while (running.length > 0) {
      running.splice(random(running.length), 1)[0]!.answer()
      await Promise.resolve()
    }
    for (const [id, answer] of (await Promise.all(answers)).entries()) {
      if (answer === undefined) expect(abandoned).toContain(id)
      else expect(answer).toEqual(rowsOf(id, sizes[id]!))
    }
    expect(batcher.queuedRows).toBe(0)
    expect(observed.every((rows) => rows > 0)).toBe(true)
  }
})
