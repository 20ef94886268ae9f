import { expect, test } from 'bun:test'
import { join } from 'node:path'

import { openLog } from '../../platform/log.ts'
import { Pool } from '../../platform/pool/pool.ts'
import { createNoTracing } from '../../platform/tracing/none.ts'
import { Batcher } from './batcher.ts'
import type {
  Batch,
  InferenceJob,
  InferenceResult,
  ModelFile,
  ThreadStart,
} from './inference.worker.ts'

const FIXTURES = join(import.meta.dir, '..', '..', '..', 'tests', 'fixtures', 'models')
const PATH = join(FIXTURES, 'classification', '1', 'model.onnx')
const digestOf = async (path: string) =>
  new Bun.CryptoHasher('sha256').update(await Bun.file(path).bytes()).digest('base64url')
const model: ModelFile = {
  key: 'classification/1',
  path: PATH,
  digest: await digestOf(PATH),
  inputs: [
    { name: 'x1', type: 'number' },
    { name: 'x2', type: 'number' },
  ],
  inputWidth: 2,
  outputWidth: 2,
}

async function openPool(threads: number) {
  const { pool } = await Pool.open<ThreadStart, undefined, InferenceJob, InferenceResult>({
    name: 'inference',
    script: new URL('inference.worker.ts', import.meta.url),
    start: () => ({ files: [model], isStrict: true }),
    threads,
    queueMax: 100,
    runTimeoutMs: 10_000,
    log: openLog({ LOG_LEVEL: 'silent' }, { write() {} }).log,
  })
  return pool
}

const batchOf = (rows: number): Batch => ({
  key: model.key,
  task: 'predict',
  rows,
  values: Float64Array.from({ length: rows * model.inputWidth }, (_, at) => (at * 37) % 11),
})

test('threads can be opened and closed over and over while they are inside the model', async () => {
  // Ending a worker inside a native call aborts the process: then this test ends all of them.
  for (let cycle = 0; cycle < 20; cycle += 1) {
    const pool = await openPool(2)
    const jobs = Array.from({ length: 6 }, () => pool.run(() => batchOf(2000)))
    if (cycle % 2 === 0) await jobs[0]
    const settled = Promise.allSettled(jobs)
    await pool.close()
    const answered = (await settled).filter(({ status }) => status === 'fulfilled')
    expect(answered.length).toBeGreaterThanOrEqual(2)
  }
})

test('a row gets the same answer alone, in a batch and in parts', async () => {
  const pool = await openPool(2)
  const { values } = batchOf(50)
  const options = {
    pool,
    model,
    task: 'predict' as const,
    queueRowsMax: 1000,
    tracing: createNoTracing(),
    observe() {},
    timings: { queued() {}, ran() {} },
  }
  const isAbandoned = () => false
  const [whole, parts] = await Promise.all(
    [64, 7].map((batchRowsMax) =>
      new Batcher({ ...options, batchRowsMax }).predict(50, values, isAbandoned),
    ),
  )
  const alone = new Batcher({ ...options, batchRowsMax: 1 })
  const rows = Array.from({ length: 50 }, (_, row) =>
    alone.predict(1, values.subarray(row * 2, row * 2 + 2), isAbandoned),
  )
  const single = (await Promise.all(rows)).flatMap((row) => [...row])
  expect([...parts!]).toEqual([...whole!])
  expect(single).toEqual([...whole!])
  expect(new Set(whole).size).toBeGreaterThan(10)
  await pool.close()
})
