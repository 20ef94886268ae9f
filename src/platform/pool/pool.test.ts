import { afterEach, describe, expect, test } from 'bun:test'

import { refusal } from '../../../tests/support/refusal.ts'
import { epochMs } from '../clock.ts'
import { openLog } from '../log.ts'
import type { FixtureJob, FixtureResult, FixtureStart } from './pool.fixture.worker.ts'
import { Pool, type PoolOptions } from './pool.ts'

const THREADS_MAX = 16
const FIRST_GATE = 4
const cells = {
  attempts: 0,
  refusals: 1,
  released: 2,
  hangs: 3,
  gates: FIRST_GATE,
  beats: FIRST_GATE + THREADS_MAX,
  counts: FIRST_GATE + 2 * THREADS_MAX,
}
const CELLS = FIRST_GATE + 3 * THREADS_MAX

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

interface Settings extends Partial<PoolOptions<FixtureStart>> {
  /** Threads that are to refuse at first. */
  refusals?: number
  /** Whether threads hang as they start. */
  hangs?: boolean
}

/** A pool of fixture workers, with a view of the memory that they share with the test. */
async function openPool({ refusals = 0, hangs = false, ...options }: Settings = {}) {
  const memory = new Int32Array(new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT))
  memory[cells.refusals] = refusals
  memory[cells.hangs] = hangs ? 1 : 0
  const lines: { message: string; at: number }[] = []
  const write = (line: string) =>
    void lines.push({ message: String(JSON.parse(line).message), at: performance.now() })
  const { pool, ready } = await Pool.open<FixtureStart, number, FixtureJob, FixtureResult>({
    name: 'fixture',
    script: new URL('pool.fixture.worker.ts', import.meta.url),
    start: () => ({ memory, cells }),
    threads: 1,
    queueMax: 10,
    runTimeoutMs: 5000,
    log: openLog({ LOG_LEVEL: 'info' }, { write }).log,
    ...options,
  })
  const openGate = (thread: number) => {
    Atomics.store(memory, cells.gates + thread, 1)
    Atomics.notify(memory, cells.gates + thread)
  }
  const openGates = () => Array.from({ length: THREADS_MAX }, (_, thread) => openGate(thread))
  closing.push(() => {
    openGates()
    return pool.close()
  })
  return {
    pool,
    ready,
    lines,
    openGate,
    openGates,
    run: (job: FixtureJob) => pool.run(() => job),
    echo: async (value: string) => (await pool.run(() => ({ type: 'echo', value })))?.value,
    refuse: (times: number) => Atomics.store(memory, cells.refusals, times),
    attempts: () => Atomics.load(memory, cells.attempts),
    released: () => Atomics.load(memory, cells.released),
    counts: () =>
      Array.from({ length: Atomics.load(memory, cells.attempts) }, (_, thread) =>
        Atomics.load(memory, cells.counts + thread),
      ),
    beats: (thread: number) => Atomics.load(memory, cells.beats + thread),
  }
}

/** Waits until `isSo`; the test's own time limit ends it otherwise. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await Bun.sleep(1)
}

describe('jobs', () => {
  test('run one at a time a thread, in the order of asking', async () => {
    const { pool, openGates } = await openPool()
    const order: string[] = []
    const ask = (name: string, job: FixtureJob) =>
      pool
        .run(() => {
          order.push(`${name} out`)
          return job
        })
        .then(() => order.push(`${name} back`))
    const answered = [
      ask('a', { type: 'block' }),
      ask('b', { type: 'echo', value: '' }),
      ask('c', { type: 'echo', value: '' }),
    ]
    expect(order).toEqual(['a out'])
    openGates()
    await Promise.all(answered)
    expect(order).toEqual(['a out', 'a back', 'b out', 'b back', 'c out', 'c back'])
  })

  test('run side by side on as many threads as there are', async () => {
    const { run, openGates, pool } = await openPool({ threads: 2 })
    expect(pool.threads).toBe(2)
    const blocked = [run({ type: 'block' }), run({ type: 'block' })]
    let isTaken = false
    const third = pool.run(() => {
      isTaken = true
      return { type: 'echo', value: '' }
    })
    await Bun.sleep(5)
    expect(isTaken).toBe(false)
    openGates()
    const threads = (await Promise.all(blocked)).map((result) => result?.thread)
    expect(new Set(threads)).toEqual(new Set([0, 1]))
    await third
  })

  test('that have nothing to do when their turn comes leave the thread to the next', async () => {
    const { pool, echo, run, openGates } = await openPool()
    const blocked = run({ type: 'block' })
    const nothing = pool.run(() => undefined)
    const next = echo('next')
    openGates()
    await blocked
    expect(await nothing).toBeUndefined()
    expect(await next).toBe('next')
  })

  test('wait up to queueMax of them, and are refused above it', async () => {
    const { run, echo, openGates } = await openPool({ queueMax: 2 })
    const blocked = run({ type: 'block' })
    const waiting = [echo('first'), echo('second')]
    expect(await refusal(echo('third'))).toMatchObject({ name: 'PoolError', failure: 'full' })
    openGates()
    await blocked
    expect(await Promise.all(waiting)).toEqual(['first', 'second'])
    expect(await echo('third')).toBe('third')
  })

  test('that fail give the worker’s reason, and the thread lives on', async () => {
    const { run, attempts } = await openPool()
    expect(await refusal(run({ type: 'fail', reason: 'a row too short' }))).toMatchObject({
      failure: 'failed',
      message: 'a row too short',
    })
    expect(await run({ type: 'echo', value: 'next' })).toEqual({ thread: 0, value: 'next' })
    expect(attempts()).toBe(1)
  })

  test('are timed by their thread for who wants to know, whether or not they have a result', async () => {
    const { pool } = await openPool()
    const times: { startedAt: number; endedAt: number }[] = []
    const askedAt = epochMs()
    const watch = () => (time: (typeof times)[number]) => void times.push(time)
    await pool.run(() => ({ type: 'echo', value: 'a' }), { watch })
    await refusal(pool.run(() => ({ type: 'fail', reason: 'no' }), { watch }))
    await pool.run(() => ({ type: 'echo', value: 'b' }), { watch: () => undefined })
    expect(times.length).toBe(2)
    for (const { startedAt, endedAt } of times) {
      expect(startedAt).toBeGreaterThanOrEqual(askedAt)
      expect(endedAt).toBeGreaterThanOrEqual(startedAt)
      expect(endedAt).toBeLessThanOrEqual(epochMs())
    }
  })

  test('that can’t be sent harm nobody else', async () => {
    const { pool, echo, attempts } = await openPool()
    const unsendable = { type: 'echo', value: () => {} } as unknown as FixtureJob
    expect(await refusal(pool.run(() => unsendable))).toMatchObject({ name: 'DataCloneError' })
    expect(await echo('next')).toBe('next')
    expect(attempts()).toBe(1)
  })
})

describe('a job in the background', () => {
  test('waits for all that are not, whenever they come, and has a queue of its own', async () => {
    const { pool, openGates, run } = await openPool({ queueMax: 2 })
    const order: string[] = []
    const ask = (value: string, isBackground: boolean) =>
      pool.run(() => ({ type: 'echo', value }), { isBackground }).then(() => order.push(value))
    const blocked = run({ type: 'block' })
    const answered = [
      ask('later', true),
      ask('last', true),
      ask('first', false),
      ask('next', false),
    ]
    expect(await refusal(ask('no more', true))).toMatchObject({ failure: 'full' })
    openGates()
    await blocked
    await Promise.all(answered)
    expect(order).toEqual(['first', 'next', 'later', 'last'])
  })
})

describe('a job for each thread', () => {
  test('runs once on each, before what waits for any, while the others go on', async () => {
    const { pool, echo, openGate, counts } = await openPool({ threads: 3 })
    const blocked = [0, 1, 2].map(() => pool.run(() => ({ type: 'block' })))
    const each = pool.runOnEach({ type: 'count' })
    openGate(1)
    openGate(2)
    expect(await echo('others go on')).toBe('others go on')
    expect(counts()[0]).toBe(0)
    openGate(0)
    await Promise.all([each, ...blocked])
    expect(counts()).toEqual([1, 1, 1])
  })

  test('says what the first thread says that refuses, and nothing of one that ends', async () => {
    const { pool } = await openPool({ threads: 2 })
    expect(await refusal(pool.runOnEach({ type: 'fail', reason: 'no room' }))).toMatchObject({
      failure: 'failed',
      message: 'no room',
    })
    await pool.runOnEach({ type: 'exit' })
    await until(() => pool.threads === 2)
  })

  test('waits for a thread that is starting, and is not missed by one that was stuck', async () => {
    const { pool, run, openGates, counts, attempts } = await openPool({ runTimeoutMs: 50 })
    await refusal(run({ type: 'block' }))
    // The first is stuck, and its replacement on its way.
    await until(() => attempts() === 2)
    await pool.runOnEach({ type: 'count' })
    expect(counts()).toEqual([0, 1])
    openGates()
    await until(() => pool.stuckThreads === 0)
    expect(await run({ type: 'echo', value: 'next' })).toEqual({ thread: 1, value: 'next' })
  })

  test('is not missed by one that gets stuck before its turn, and is sound again before another is there', async () => {
    const { pool, run, refuse, openGate, counts } = await openPool({ runTimeoutMs: 50 })
    refuse(3)
    const stuck = refusal(run({ type: 'block' }))
    const each = pool.runOnEach({ type: 'count' })
    expect(await stuck).toMatchObject({ failure: 'timeout' })
    await each
    openGate(0)
    expect((await run({ type: 'echo', value: '' }))?.thread).not.toBe(0)
    expect(counts()[0]).toBe(0)
  })

  test('is refused where the pool closes', async () => {
    const { pool, run, openGates } = await openPool()
    const running = run({ type: 'block' })
    const each = refusal(pool.runOnEach({ type: 'count' }))
    const closed = pool.close()
    expect(await each).toMatchObject({ failure: 'closed' })
    openGates()
    await Promise.all([running, closed])
  })
})

describe('a crashed thread', () => {
  test.each<FixtureJob['type']>(['throw', 'exit', 'answerWithFunction'])(
    'by %s is told to its caller, and another takes its place',
    async (type) => {
      const { run, pool, lines } = await openPool()
      expect(await refusal(run({ type } as FixtureJob))).toMatchObject({ failure: 'crashed' })
      expect(await run({ type: 'echo', value: 'next' })).toEqual({ thread: 1, value: 'next' })
      expect(pool.threads).toBe(1)
      expect(lines.map(({ message }) => message)).toEqual(['a worker thread ended'])
    },
  )

  test('is replaced also when it had no job', async () => {
    const { run, pool } = await openPool()
    await run({ type: 'exitLater' })
    await until(() => pool.threads === 0)
    expect(await run({ type: 'echo', value: 'next' })).toEqual({ thread: 1, value: 'next' })
  })

  test('leaves the others to work', async () => {
    const { run, echo, pool } = await openPool({ threads: 2 })
    const crashed = refusal(run({ type: 'exit' }))
    const jobs = ['a', 'b', 'c', 'd'].map(echo)
    expect(await crashed).toMatchObject({ failure: 'crashed' })
    expect(await Promise.all(jobs)).toEqual(['a', 'b', 'c', 'd'])
    await until(() => pool.threads === 2)
  })

  test('is replaced ever more slowly while no replacement starts', async () => {
    const { run, refuse, lines, echo } = await openPool()
    refuse(2)
    await refusal(run({ type: 'exit' }))
    // Refused at once, again after 100 ms; the next one, 500 ms later, starts.
    expect(await echo('served at last')).toBe('served at last')
    const servedAt = performance.now()
    const refusedAt = lines
      .filter(({ message }) => message === 'a worker thread did not start')
      .map(({ at }) => at)
    expect(refusedAt).toHaveLength(2)
    expect(refusedAt[1]! - refusedAt[0]!).toBeGreaterThan(90)
    expect(servedAt - refusedAt[1]!).toBeGreaterThan(450)
  })
})

describe('a stuck thread', () => {
  const stuckAfter = { runTimeoutMs: 50 }

  test('is given up at the deadline; its caller is answered, a replacement serves', async () => {
    const { run, pool, lines } = await openPool(stuckAfter)
    const askedAt = performance.now()
    const late = refusal(run({ type: 'block' }))
    const next = run({ type: 'echo', value: 'next' })
    expect(await late).toMatchObject({ failure: 'timeout', message: 'no answer in 50 ms' })
    expect(performance.now() - askedAt).toBeWithin(45, 2500)
    expect(await next).toEqual({ thread: 1, value: 'next' })
    expect(pool.stuckThreads).toBe(1)
    expect(pool.threads).toBe(1)
    expect(lines.map(({ message }) => message)).toEqual(['a worker thread is stuck'])
  })

  test('is released when its late answer comes after all', async () => {
    const { run, echo, pool, openGates, released, beats } = await openPool(stuckAfter)
    await refusal(run({ type: 'block' }))
    await echo('by the replacement')
    openGates()
    await until(() => released() === 1)
    expect(pool.stuckThreads).toBe(0)
    expect(pool.threads).toBe(1)
    // The thread itself is gone, and not only out of sight.
    let last: number
    do {
      last = beats(0)
      await Bun.sleep(20)
    } while (beats(0) > last)
  })

  test('serves again where none has taken its place', async () => {
    const { run, pool, openGates, attempts } = await openPool(stuckAfter)
    await refusal(run({ type: 'block' }))
    await refusal(run({ type: 'block' }))
    // As many threads as the pool has are stuck, and one more: that is the bound.
    expect(pool.stuckThreads).toBe(2)
    expect(pool.threads).toBe(0)
    const waiting = run({ type: 'echo', value: 'late' })
    await Bun.sleep(20)
    expect(attempts()).toBe(2)
    openGates()
    expect((await waiting)?.value).toBe('late')
    await until(() => pool.stuckThreads === 0)
    expect(pool.threads).toBe(1)
    expect(attempts()).toBe(2)
  })

  test('serves again while its replacement does not start', async () => {
    const { run, refuse, openGates, attempts, lines } = await openPool(stuckAfter)
    refuse(99)
    await refusal(run({ type: 'block' }))
    await until(() => lines.some(({ message }) => message === 'a worker thread did not start'))
    openGates()
    expect(await run({ type: 'echo', value: 'sound' })).toEqual({ thread: 0, value: 'sound' })
    expect(attempts()).toBeLessThan(4)
  })

  test('that ends makes room for a replacement', async () => {
    const { run, openGate, pool } = await openPool(stuckAfter)
    await refusal(run({ type: 'blockAndExit' }))
    await refusal(run({ type: 'block' }))
    expect(pool.stuckThreads).toBe(2)
    openGate(0)
    expect(await run({ type: 'echo', value: 'next' })).toEqual({ thread: 2, value: 'next' })
  })
})

describe('closing', () => {
  test('waits for the running job, and then ends the threads', async () => {
    const { run, pool, openGates, released } = await openPool({ threads: 2 })
    const running = run({ type: 'block' })
    const closed = pool.close()
    let isClosed = false
    void closed.then(() => (isClosed = true))
    await Bun.sleep(10)
    expect(isClosed).toBe(false)
    openGates()
    expect((await running)?.value).toBe('late')
    await closed
    expect(released()).toBe(2)
    expect(pool.threads).toBe(0)
  })

  test('refuses the waiting jobs and every later one', async () => {
    const { run, echo, pool, openGates } = await openPool()
    const running = run({ type: 'block' })
    const waiting = refusal(echo('waiting'))
    const closed = pool.close()
    expect(await waiting).toMatchObject({ failure: 'closed' })
    expect(await refusal(echo('later'))).toMatchObject({ failure: 'closed' })
    openGates()
    await Promise.all([running, closed])
  })

  test('does not wait for a stuck thread', async () => {
    const { run, echo, pool } = await openPool({ runTimeoutMs: 20 })
    await refusal(run({ type: 'block' }))
    await echo('by the replacement')
    const startedAt = performance.now()
    await pool.close()
    expect(performance.now() - startedAt).toBeLessThan(1500)
  })

  test('waits no longer than the deadline of a job that gets stuck meanwhile', async () => {
    const { run, pool, attempts } = await openPool({ runTimeoutMs: 50 })
    const stuck = refusal(run({ type: 'block' }))
    await pool.close()
    expect(await stuck).toMatchObject({ failure: 'timeout' })
    expect(attempts()).toBe(1)
  })

  test('starts no replacement any more', async () => {
    const { run, refuse, pool, lines, attempts } = await openPool()
    refuse(99)
    await refusal(run({ type: 'exit' }))
    await until(() => lines.some(({ message }) => message === 'a worker thread did not start'))
    await pool.close()
    await Bun.sleep(150)
    expect(attempts()).toBe(2)
  })

  test('leaves nothing that keeps the process alive', async () => {
    const script = `
      import { Pool } from '${import.meta.dir}/pool.ts'
      const script = new URL('file://${import.meta.dir}/pool.fixture.worker.ts')
      const start = () => ({ memory: new Int32Array(new SharedArrayBuffer(256)), cells: ${JSON.stringify(cells)} })
      const { pool } = await Pool.open({ name: '', script, start, threads: 1, queueMax: 1, runTimeoutMs: 9000 })
      await pool.close()
      console.log('closed')`
    const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe' })
    for await (const chunk of child.stdout) {
      expect(Buffer.from(chunk).toString()).toBe('closed\n')
      break
    }
    expect(await Promise.race([child.exited, Bun.sleep(1000)])).toBe(0)
  })
})

describe('a worker that can’t start', () => {
  test('is the reason for which the pool does not open', async () => {
    expect(await refusal(openPool({ threads: 2, refusals: 1 }))).toMatchObject({
      failure: 'failed',
      message: expect.stringMatching(/^thread [01] refuses$/),
    })
  })

  test('in its time is given up', async () => {
    expect(await refusal(openPool({ hangs: true, startTimeoutMs: 50 }))).toMatchObject({
      failure: 'timeout',
      message: 'a thread was not ready in 50 ms',
    })
  })

  test('because its script is missing says so', async () => {
    const script = new URL('there-is-no-such.worker.ts', import.meta.url)
    expect(await refusal(openPool({ script }))).toMatchObject({
      failure: 'crashed',
      message: expect.stringContaining('there-is-no-such.worker.ts'),
    })
  })

  test('is also one that nobody asked for', async () => {
    expect(await refusal(openPool({ threads: 0 }))).toMatchObject({ name: 'PoolError' })
  })
})
