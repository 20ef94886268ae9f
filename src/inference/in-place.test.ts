import { expect, test } from 'bun:test'
import { join } from 'node:path'

import { createNoTracing } from '../platform/tracing/none.ts'
import type { Batcher } from './batcher.ts'
import { inPlace } from './in-place.ts'
import { openTreePredictor } from './trees/tree-predictor.ts'

const MODEL = join(import.meta.dir, '../../tests/bench/models/trees/1/model.txt')
const trees = openTreePredictor(await Bun.file(MODEL).bytes())!
const tracing = createNoTracing()
const isAbandoned = () => false

function open(microsecondsMax: number) {
  const handed: number[] = []
  const observed: number[] = []
  const batcher = {
    predict(rows: number) {
      handed.push(rows)
      return Promise.resolve(new Float64Array(rows * trees.outputWidth))
    },
  } as unknown as Batcher
  const { nsPerRow } = trees
  const observe = (rows: number) => void observed.push(rows)
  const options = {
    key: 'trees/1',
    microsecondsMax,
    nsPerRow,
    tracing,
    observe,
    timings: { queued() {}, ran() {} },
  }
  const run = inPlace(options, trees.predict, batcher)
  return { run, handed, observed }
}

test('what takes no longer than it may is answered at once, and the rest by the threads', async () => {
  const rows = Math.floor(500_000 / trees.nsPerRow)
  const { run, handed, observed } = open(500)
  const few = run(rows, new Float64Array(rows * 10), isAbandoned)
  expect(few).toBeInstanceOf(Float64Array)
  const many = run(rows + 1, new Float64Array((rows + 1) * 10), isAbandoned)
  expect(many).toBeInstanceOf(Promise)
  await many
  expect([handed, observed]).toEqual([[rows + 1], [rows]])
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
