import { expect, test } from 'bun:test'

import type { Problem } from './problem.ts'
import { createTimeLimit, type Patience } from './time-limit.ts'

const LIMIT_MS = 40
const request = () => new Request('http://localhost/')

/** How long something took that was given up, and what of it. */
async function givenUp(work: unknown): Promise<{ ms: number; status: number }> {
  const startedAt = performance.now()
  try {
    await work
  } catch (error) {
    return { ms: performance.now() - startedAt, status: (error as Problem).kind.status }
  }
  throw new Error('it was not given up')
}

const never = () => new Promise<never>(() => {})

test('what is done at once is answered at once', () => {
  expect(createTimeLimit(LIMIT_MS)(request(), () => 'done')).toBe('done')
})

test('who comes later has as long as who came before', async () => {
  const inTime = createTimeLimit(LIMIT_MS)
  const first = givenUp(inTime(request(), never))
  const done = inTime(request(), async () => 'done')
  await Bun.sleep(LIMIT_MS / 2)
  const second = givenUp(inTime(request(), never))
  expect(await done).toBe('done')
  for (const { ms, status } of [await first, await second]) {
    expect(status).toBe(504)
    expect(ms).toBeGreaterThanOrEqual(LIMIT_MS - 1)
  }
  // Nobody waited meanwhile: it begins anew.
  const third = await givenUp(inTime(request(), never))
  expect(third.ms).toBeGreaterThanOrEqual(LIMIT_MS - 1)
})

test('the handler learns that its time is over', async () => {
  const inTime = createTimeLimit(LIMIT_MS)
  let patience: Patience | undefined
  let reason: unknown
  const work = inTime(request(), (given) => {
    patience = given
    given.signal.addEventListener('abort', () => (reason = given.signal.reason))
    given.requireTime()
    return never()
  })
  expect(patience!.isAbandoned()).toBe(false)
  expect((await givenUp(work)).status).toBe(504)
  expect(patience!.isAbandoned()).toBe(true)
  expect(reason).toBeInstanceOf(Error)
  expect(patience!.signal.aborted).toBe(true)
  expect(() => patience!.requireTime()).toThrow('There was no answer')
})

test('an answer that comes too late is not left open', async () => {
  const inTime = createTimeLimit(LIMIT_MS)
  const late = Promise.withResolvers<Response>()
  const { status } = await givenUp(inTime(request(), () => late.promise))
  expect(status).toBe(504)
  const cancelled = Promise.withResolvers<void>()
  late.resolve(new Response(new ReadableStream({ cancel: () => cancelled.resolve() })))
  await cancelled.promise
})
