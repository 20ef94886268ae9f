import { expect, test } from 'bun:test'
import { join } from 'node:path'

import { refusal } from '../../../tests/support/refusal.ts'
import { createNoTracing } from '../../platform/tracing/none.ts'
import { openTreePredictor } from '../trees/tree-predictor.ts'
import type { Batcher } from './batcher.ts'
import { inPlace } from './in-place.ts'

const MODEL = join(import.meta.dir, '../../../tests/bench/models/trees/1/model.txt')
const trees = openTreePredictor(await Bun.file(MODEL).bytes())!
const tracing = createNoTracing()
const isAbandoned = () => false

function open(microsecondsMax: number, predict = trees.predict, queueRowsMax = 1000) {
  const handed: number[] = []
  const observed: number[] = []
  const batcher = {
    predict(rows: number) {
      handed.push(rows)
      return Promise.resolve(new Float64Array(rows * trees.outputWidth))
    },
  } as unknown as Batcher
  const { nsPerRow, inputWidth, outputWidth } = trees
  const options = {
    key: 'trees/1',
    microsecondsMax,
    nsPerRow,
    queueRowsMax,
    inputWidth,
    outputWidth,
    tracing,
    observe: (rows: number) => void observed.push(rows),
    timings: { queued() {}, ran() {} },
  }
  return { run: inPlace(options, predict, batcher), handed, observed }
}
const rowsOf = (rows: number, seed: number) =>
  Float64Array.from({ length: rows * 10 }, (_, at) => Math.sin(at * 12.9898 + seed) * 2)

test('what takes no longer than it may is answered here, and the rest by the threads', async () => {
  const rows = Math.floor(500_000 / trees.nsPerRow)
  const { run, handed, observed } = open(500)
  await run(rows, new Float64Array(rows * 10), isAbandoned)
  await run(rows + 1, new Float64Array((rows + 1) * 10), isAbandoned)
  expect([handed, observed]).toEqual([[rows + 1], [rows]])
})

test('what comes in one turn is answered together, and each gets its own rows', async () => {
  const { run, observed } = open(500)
  const sizes = [1, 3, 1, 70, 2, 40, 30]
  const answers = await Promise.all(
    sizes.map(async (rows, seed) => run(rows, rowsOf(rows, seed), isAbandoned)),
  )
  // Up to 64 rows a call; a request is never cut.
  expect(observed).toEqual([5, 70, 42, 30])
  for (const [seed, rows] of sizes.entries()) {
    expect(answers[seed]).toEqual(trees.predict(rows, rowsOf(rows, seed)))
  }
  await run(1, rowsOf(1, 9), isAbandoned)
  expect(observed.at(-1)).toBe(1)
})

test('a failure is told to all whose rows were in the call, and to no other', async () => {
  let calls = 0
  const { run } = open(500, (rows, values) => {
    calls += 1
    if (calls === 1) throw new Error('broken')
    return trees.predict(rows, values)
  })
  const bad = [
    refusal(Promise.resolve(run(40, rowsOf(40, 1), isAbandoned))),
    refusal(Promise.resolve(run(20, rowsOf(20, 2), isAbandoned))),
  ]
  const good = run(30, rowsOf(30, 3), isAbandoned)
  for (const each of bad) expect(await each).toMatchObject({ message: 'broken' })
  expect(await good).toEqual(trees.predict(30, rowsOf(30, 3)))
})

test('at 0 nothing is evaluated in place', async () => {
  const { run, handed } = open(0)
  await run(1, new Float64Array(10), isAbandoned)
  expect(handed).toEqual([1])
})

test('a row of 100 trees of 31 leaves is said to take some microseconds, as it does', () => {
  expect(trees.nsPerRow).toBeGreaterThan(1000)
  expect(trees.nsPerRow).toBeLessThan(6000)
})

test('beyond the rows that may wait, it is refused at once', async () => {
  const { run } = open(500, trees.predict, 100)
  const taken = [60, 40].map(async (rows) => run(rows, rowsOf(rows, 1), isAbandoned))
  const refused = refusal(Promise.try(run, 1, rowsOf(1, 3), isAbandoned))
  expect(await refused).toMatchObject({ kind: { status: 503 } })
  expect((await Promise.all(taken)).map(({ length }) => length)).toEqual([120, 80])
  await run(100, rowsOf(100, 4), isAbandoned)
})

test('what nobody waits for is left out, and makes room', async () => {
  const { run, observed } = open(500, trees.predict, 100)
  let isGone = false
  const left = refusal(Promise.resolve(run(90, rowsOf(90, 1), () => isGone)))
  isGone = true
  const taken = run(50, rowsOf(50, 2), isAbandoned)
  expect(await left).toMatchObject({ kind: { status: 503 } })
  expect(await taken).toEqual(trees.predict(50, rowsOf(50, 2)))
  expect(observed).toEqual([50])
})

test('what is urgent goes before what is not', async () => {
  const order: number[] = []
  const { run } = open(500, (rows, values) => {
    order.push(rows)
    return trees.predict(rows, values)
  })
  await Promise.all([
    run(64, rowsOf(64, 1), isAbandoned),
    run(63, rowsOf(63, 2), isAbandoned, true),
    run(62, rowsOf(62, 3), isAbandoned, true),
  ])
  expect(order).toEqual([63, 62, 64])
})
