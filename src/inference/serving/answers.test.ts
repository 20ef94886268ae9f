import { expect, test } from 'bun:test'

import { refusal } from '../../../tests/support/refusal.ts'
import type { Cache } from '../../platform/cache/cache.ts'
import { createAnswers } from './answers.ts'
import type { IsAbandoned } from './batcher.ts'
import { createModelStats } from './model-stats.ts'
import type { ServedModel } from './served-model.ts'

/** A cached model of one number, whose calls end when they are told to. */
function open() {
  const kept = new Map<string, Uint8Array>()
  const cache = {
    get: (key: string) => Promise.resolve(kept.get(key)),
    set(key: string, value: Uint8Array) {
      kept.set(key, value)
      return Promise.resolve()
    },
  } as unknown as Cache
  const calls: (PromiseWithResolvers<Float64Array> & { isAbandoned: IsAbandoned })[] = []
  const counted = { hits: 0, misses: 0, failed: 0 }
  const model = {
    manifest: {
      name: 'm',
      version: '1',
      kind: 'regression',
      outputs: [{ name: 'y', type: 'number' }],
      cache: true,
    },
    digest: 'd',
    run(_rows: number, _values: Float64Array, isAbandoned: IsAbandoned) {
      const call = { ...Promise.withResolvers<Float64Array>(), isAbandoned }
      calls.push(call)
      return call.promise
    },
    metrics: {
      stats: createModelStats(),
      latency() {},
      count() {},
      cacheHit: () => void (counted.hits += 1),
      cacheMiss: () => void (counted.misses += 1),
      failed: () => void (counted.failed += 1),
    },
  } as unknown as ServedModel
  const answers = createAnswers({ askShadow() {}, cache, cacheTtlSeconds: 60 })
  const ask = (value: number, isAbandoned: IsAbandoned = () => false) =>
    answers(
      model,
      { rows: 1, values: Float64Array.of(value), horizons: undefined, timelines: undefined },
      { isAbandoned },
    )
  return { ask, calls, counted, kept }
}
const settled = () => Bun.sleep(1)

test('who asks for the same at the same time shares one call', async () => {
  const { ask, calls, counted } = open()
  const asked = [ask(1), ask(1), ask(2), ask(1)]
  await settled()
  expect(calls).toHaveLength(2)
  calls[0]!.resolve(Float64Array.of(10))
  calls[1]!.resolve(Float64Array.of(20))
  expect((await Promise.all(asked)).map(([value]) => value)).toEqual([10, 10, 20, 10])
  expect(counted).toEqual({ hits: 0, misses: 2, failed: 0 })
  expect([...(await ask(1))]).toEqual([10])
  expect(calls).toHaveLength(2)
  expect(counted.hits).toBe(1)
})

test('it is given up only when nobody waits any more', async () => {
  const gone = [false, false]
  const { ask, calls } = open()
  void ask(1, () => gone[0]!)
  await settled()
  void ask(1, () => gone[1]!)
  await settled()
  gone[0] = true
  expect(calls[0]!.isAbandoned()).toBe(false)
  gone[1] = true
  expect(calls[0]!.isAbandoned()).toBe(true)
})

test('a failure is told to all who share it, and never kept', async () => {
  const { ask, calls, counted, kept } = open()
  const asked = [refusal(ask(1)), refusal(ask(1))]
  await settled()
  calls[0]!.reject(new Error('broken'))
  for (const each of asked) expect(await each).toMatchObject({ message: 'broken' })
  expect([kept.size, counted.failed]).toEqual([0, 1])
  const again = ask(1)
  await settled()
  calls[1]!.resolve(Float64Array.of(10))
  expect([...(await again)]).toEqual([10])
})
