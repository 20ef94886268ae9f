import { describe, expect, test } from 'bun:test'

import { refusal } from '../../../tests/support/refusal.ts'
import { drivers } from '../database/drivers.fixture.ts'
import {
  createGate,
  jobProcesses,
  MINUTE_MS,
  RESULT_TTL_MS,
  SOON_MS,
  until,
} from './jobs.fixture.ts'
import { JobFailed, JobRefused, TooManyJobs, type Jobs, type JobUpdate } from './jobs.ts'

/** What must hold on every database. */
describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (name, driver) => {
  const { createProcess, enqueue, untilState, at } = jobProcesses(driver)

  describe('a job', () => {
    test('is done, with its payload, and its result is kept', async () => {
      const jobs = createProcess()
      jobs.handle<{ a: number }>('work', { run: async ({ payload }) => ({ b: payload.a + 1 }) })
      await jobs.start()
      const id = await enqueue(jobs, { payload: { a: 1 }, ownerId: 'ada' })
      expect(await untilState(jobs, id, 'done')).toEqual({
        id,
        type: 'work',
        state: 'done',
        progress: 1,
        attempt: 1,
        attemptsMax: 5,
        result: { b: 2 },
        error: null,
        ownerId: 'ada',
        createdAt: new Date(at().clock.now()),
        runAt: new Date(at().clock.now()),
        startedAt: new Date(at().clock.now()),
        finishedAt: new Date(at().clock.now()),
        expiresAt: new Date(at().clock.now() + RESULT_TTL_MS),
      })
    })

    test('exists only if what it follows from was committed', async () => {
      const jobs = createProcess()
      const attempt = at().database.write(async (tx) => {
        await jobs.enqueue(tx, { type: 'work', payload: {} })
        throw new Error('second thoughts')
      })
      await attempt.catch(() => {})
      expect(await jobs.list({ limit: 10 })).toEqual([])
    })

    test('waits until it is due', async () => {
      const jobs = createProcess({ pollMs: 10 })
      const gate = createGate()
      jobs.handle('work', gate)
      await jobs.start()
      await enqueue(jobs, { delayMs: MINUTE_MS })
      await Bun.sleep(100)
      expect(gate.begun).toHaveLength(0)
      at().clock.advance(MINUTE_MS)
      await gate.untilBegun(1)
    })

    test('of a type that this process does not know is left to others', async () => {
      const jobs = createProcess({ pollMs: 10 })
      jobs.handle('work', { run: async () => null })
      await jobs.start()
      const id = await enqueue(jobs, { type: 'other' })
      await Bun.sleep(100)
      expect(await jobs.get(id)).toMatchObject({ state: 'ready' })
    })

    test('of a lane takes none of the other places, and waits for one of its own', async () => {
      const jobs = createProcess({ concurrency: 1 })
      const lane = jobs.openLane({ concurrency: 2 })
      const long = createGate()
      lane.handle('long', long)
      jobs.handle('work', { run: async () => null })
      await jobs.start()
      const ids: string[] = []
      for (let n = 0; n < 3; n += 1) ids.push(await enqueue(jobs, { type: 'long' }))
      await long.untilBegun(2)
      await untilState(jobs, await enqueue(jobs, {}), 'done')
      expect(long.begun).toHaveLength(2)
      await jobs.cancel(ids[2]!)
      expect(await jobs.get(ids[2]!)).toMatchObject({ state: 'cancelled' })
      long.open()
      for (const id of ids.slice(0, 2)) await untilState(jobs, id, 'done')
    })

    test('goes by priority, then by time', async () => {
      const jobs = createProcess({ concurrency: 1 })
      const order: unknown[] = []
      jobs.handle('work', { run: async ({ payload }) => void order.push(payload) })
      await enqueue(jobs, { payload: { n: 1 }, priority: 'low' })
      await enqueue(jobs, { payload: { n: 2 } })
      at().clock.advance(1)
      await enqueue(jobs, { payload: { n: 3 } })
      await enqueue(jobs, { payload: { n: 4 }, priority: 'high' })
      await jobs.start()
      await until(
        () => order.length,
        (length) => length === 4,
      )
      expect(order).toEqual([{ n: 4 }, { n: 2 }, { n: 3 }, { n: 1 }])
    })

    test('with a key is taken in once while one waits, and again when that was begun', async () => {
      const jobs = createProcess({ concurrency: 2 })
      const gate = createGate()
      jobs.handle('work', gate)
      const first = await enqueue(jobs, { key: 'k' })
      expect(await enqueue(jobs, { key: 'k' })).toBe(first)
      expect(await enqueue(jobs, { key: 'other' })).not.toBe(first)
      await jobs.start()
      await gate.untilBegun(2)
      const second = await enqueue(jobs, { key: 'k' })
      expect(second).not.toBe(first)
      expect(await enqueue(jobs, { key: 'k' })).toBe(second)
    })

    test('with a key is taken in once while one waits for its next attempt', async () => {
      const jobs = createProcess()
      jobs.handle('work', {
        run: async () => {
          throw new JobFailed('not yet')
        },
      })
      await jobs.start()
      const id = await enqueue(jobs, { key: 'k' })
      await until(
        () => jobs.get(id),
        (job) => job?.state === 'ready' && job.error !== null,
      )
      expect(await enqueue(jobs, { key: 'k' })).toBe(id)
    })

    test('with a key goes on without it where another waits with it by now', async () => {
      const jobs = createProcess({ concurrency: 1, pollMs: 10 })
      const gate = createGate()
      let failures = 1
      jobs.handle('work', {
        async run(attempt) {
          await gate.run(attempt)
          if (failures-- > 0) throw new JobFailed('not yet')
        },
      })
      await jobs.start()
      const first = await enqueue(jobs, { key: 'k' })
      await gate.untilBegun(1)
      const second = await enqueue(jobs, { key: 'k' })
      gate.open()
      await untilState(jobs, second, 'done')
      at().clock.advance(1000)
      expect(await untilState(jobs, first, 'done')).toMatchObject({ attempt: 2 })
    })

    test('with a key is another one than one that is only to be cancelled', async () => {
      const jobs = createProcess()
      let runs = 0
      jobs.handle('work', {
        async run() {
          runs += 1
          if (runs > 1) return
          await at().execute('update jobs set is_cancel_requested = true')
          throw new JobFailed('not yet')
        },
      })
      await jobs.start()
      const first = await enqueue(jobs, { key: 'k' })
      await until(
        () => jobs.get(first),
        (job) => job?.error != null || job?.state === 'cancelled',
      )
      const second = await enqueue(jobs, { key: 'k' })
      expect(second).not.toBe(first)
      await untilState(jobs, second, 'done')
    })

    if (name === 'postgres') {
      test('with a key is not begun before what else it is enqueued for is committed', async () => {
        const jobs = createProcess({ pollMs: 10 })
        const seen: unknown[] = []
        await at().execute('create table facts (n int)')
        jobs.handle('work', {
          run: async () => void seen.push(...(await at().execute('select n from facts'))),
        })
        const first = await enqueue(jobs, { key: 'k', delayMs: 1000 })
        await jobs.start()
        await at().database.write(async (tx) => {
          const second = await jobs.enqueue(tx, { type: 'work', payload: {}, key: 'k' })
          expect(second).toBe(first)
          at().clock.advance(1000)
          await Bun.sleep(100)
          await at().execute('insert into facts values (7)')
        })
        await untilState(jobs, first, 'done')
        expect(seen).toEqual([7])
      })
    }

    test('with a key is one also when many ask at once', async () => {
      const jobs = createProcess()
      const ids = await Promise.all(Array.from({ length: 20 }, () => enqueue(jobs, { key: 'k' })))
      expect(new Set(ids).size).toBe(1)
      expect(await jobs.list({ limit: 50 })).toHaveLength(1)
    })
  })

  describe('at most so many at once', () => {
    test('run in a process', async () => {
      const jobs = createProcess({ concurrency: 2 })
      const gate = createGate()
      jobs.handle('work', gate)
      await jobs.start()
      for (let n = 0; n < 5; n++) await enqueue(jobs)
      await Bun.sleep(100)
      expect(gate.begun).toHaveLength(2)
      gate.open()
      await gate.untilBegun(5)
    })
  })

  describe('a failure', () => {
    const failing = (times: number) => {
      let failures = 0
      return {
        run: async () => {
          if (failures++ < times) throw new JobFailed(`failure ${failures}`)
          return { failures: failures - 1 }
        },
      }
    }

    test('is tried again after ever longer pauses, until it succeeds', async () => {
      const jobs = createProcess({ pollMs: 10 })
      jobs.handle('work', failing(2))
      await jobs.start()
      const id = await enqueue(jobs)
      for (const longestMs of [1000, 2000]) {
        const job = await until(
          () => jobs.get(id),
          (job) =>
            job?.state === 'ready' && job.error !== null && job.runAt.getTime() > at().clock.now(),
        )
        const waitMs = job!.runAt.getTime() - at().clock.now()
        expect(waitMs).toBeWithin(longestMs / 2, longestMs + 1)
        at().clock.advance(waitMs)
      }
      expect(await untilState(jobs, id, 'done')).toMatchObject({
        attempt: 3,
        error: null,
        result: { failures: 2 },
      })
    })

    test('of the last attempt is kept with its reason, and can be replayed', async () => {
      const jobs = createProcess()
      jobs.handle('work', failing(1))
      await jobs.start()
      const id = await enqueue(jobs, { attemptsMax: 1 })
      expect(await untilState(jobs, id, 'failed')).toMatchObject({ error: 'failure 1' })
      expect(await jobs.replay(id)).toBe(true)
      expect(await untilState(jobs, id, 'done')).toMatchObject({ attempt: 1, error: null })
      expect(await jobs.replay(id)).toBe(false)
      expect(await jobs.replay('no such job')).toBe(false)
    })

    test('by a bug says nothing of its cause', async () => {
      const jobs = createProcess()
      jobs.handle('work', {
        run: async () => {
          throw new Error('/var/secret')
        },
      })
      await jobs.start()
      const id = await enqueue(jobs, { attemptsMax: 1 })
      expect(await untilState(jobs, id, 'failed')).toMatchObject({ error: 'An internal error.' })
    })

    test('is also to take longer than an attempt may', async () => {
      const jobs = createProcess({ timeoutMs: 100 })
      jobs.handle('work', createGate())
      await jobs.start()
      const id = await enqueue(jobs, { attemptsMax: 1 })
      expect(await untilState(jobs, id, 'failed')).toMatchObject({
        error: 'It took longer than 0.1 s.',
      })
    })

    test('that will not mend is not tried again', async () => {
      const jobs = createProcess()
      jobs.handle('work', {
        run: async () => {
          throw new JobRefused('there is no such model')
        },
      })
      await jobs.start()
      const id = await enqueue(jobs)
      expect(await untilState(jobs, id, 'failed')).toMatchObject({
        attempt: 1,
        error: 'there is no such model',
      })
    })
  })

  describe('cancelling', () => {
    test('a waiting job ends it', async () => {
      const jobs = createProcess()
      const id = await enqueue(jobs, { key: 'k' })
      expect(await jobs.cancel(id)).toBe(true)
      expect(await jobs.get(id)).toMatchObject({ state: 'cancelled', attempt: 0 })
      expect(await enqueue(jobs, { key: 'k' })).not.toBe(id)
    })

    test('a running job aborts it, also from another process', async () => {
      const [jobs, other] = [createProcess(), createProcess()]
      const gate = createGate()
      jobs.handle('work', gate)
      await jobs.start()
      const id = await enqueue(jobs)
      await gate.untilBegun(1)
      expect(await other.cancel(id)).toBe(true)
      expect(await untilState(jobs, id, 'cancelled')).toMatchObject({ attempt: 1 })
    })

    test('while an attempt fails leaves no other to wait for', async () => {
      const jobs = createProcess()
      jobs.handle('work', {
        async run() {
          // Past the code under test, so that nothing tells the worker.
          await at().execute('update jobs set is_cancel_requested = true')
          throw new JobFailed('not yet')
        },
      })
      await jobs.start()
      const id = await enqueue(jobs)
      await untilState(jobs, id, 'cancelled')
    })

    test('a replayed job is another matter than cancelling the former one', async () => {
      const jobs = createProcess()
      let failures = 1
      jobs.handle('work', {
        async run() {
          await at().execute('update jobs set is_cancel_requested = true where attempt = 1')
          if (failures-- > 0) throw new JobRefused('no')
          await at().execute('update jobs set is_cancel_requested = false')
        },
      })
      await jobs.start()
      const id = await enqueue(jobs)
      await untilState(jobs, id, 'failed')
      await at().execute('update jobs set is_cancel_requested = true')
      await jobs.replay(id)
      await untilState(jobs, id, 'done')
    })

    test('what has ended changes nothing', async () => {
      const jobs = createProcess()
      jobs.handle('work', { run: async () => null })
      await jobs.start()
      const id = await enqueue(jobs)
      await untilState(jobs, id, 'done')
      expect(await jobs.cancel(id)).toBe(false)
      expect(await jobs.cancel('no such job')).toBe(false)
    })
  })

  describe('what can not be stored', () => {
    test.each<[string, () => unknown]>([
      [
        'a result with a cycle',
        () => {
          const result: Record<string, unknown> = {}
          result['self'] = result
          return result
        },
      ],
      ['a result with a bigint', () => ({ n: 1n })],
    ])('%s fails its own job, and no other', async (_, poison) => {
      const jobs = createProcess()
      jobs.handle<{ poison?: true }>('work', {
        run: async ({ payload }) => (payload.poison === true ? poison() : { fine: true }),
      })
      await jobs.start()
      const bad = await enqueue(jobs, { payload: { poison: true } })
      const good = await Promise.all(Array.from({ length: 12 }, () => enqueue(jobs)))
      for (const id of good) await untilState(jobs, id, 'done')
      expect(await untilState(jobs, bad, 'failed')).toMatchObject({ error: 'An internal error.' })
    })

    test('a progress that is no number is none', async () => {
      const jobs = createProcess()
      const gate = createGate()
      jobs.handle('work', {
        run(attempt) {
          attempt.progress(Number.NaN)
          return gate.run(attempt)
        },
      })
      await jobs.start()
      const id = await enqueue(jobs)
      await gate.untilBegun(1)
      await Bun.sleep(600)
      expect(await jobs.get(id)).toMatchObject({ state: 'active', progress: 0 })
      gate.open()
      await untilState(jobs, id, 'done')
    })
  })

  describe('progress', () => {
    test('is written down now and then, and told', async () => {
      const jobs = createProcess()
      const gate = createGate()
      const told: JobUpdate[] = []
      jobs.onUpdate((update) => told.push(update))
      jobs.handle('work', {
        async run(attempt) {
          const { progress } = attempt
          for (let step = 0; step <= 100; step++) progress(step / 200)
          return gate.run(attempt)
        },
      })
      await jobs.start()
      const id = await enqueue(jobs, { ownerId: 'ada' })
      await until(
        () => jobs.get(id),
        (job) => job?.progress === 0.5,
      )
      gate.open()
      await untilState(jobs, id, 'done')
      const update = { id, type: 'work', ownerId: 'ada' }
      await until(
        () => told.length,
        (length) => length === 3,
      )
      expect(told).toEqual([
        { ...update, state: 'active', progress: 0 },
        { ...update, state: 'active', progress: 0.5 },
        { ...update, state: 'done', progress: 1 },
      ])
    })
  })

  describe('stopping', () => {
    test('waits for what runs, and takes nothing more', async () => {
      const jobs = createProcess({ concurrency: 1 })
      const gate = createGate()
      jobs.handle('work', gate)
      await jobs.start()
      const [first, second] = [await enqueue(jobs), await enqueue(jobs)]
      await gate.untilBegun(1)
      const stopped = jobs.stop(SOON_MS)
      gate.open()
      await stopped
      expect(await jobs.get(first)).toMatchObject({ state: 'done' })
      expect(await jobs.get(second)).toMatchObject({ state: 'ready', attempt: 0 })
    })

    test('gives back what does not end in time, as if it had not been taken', async () => {
      const jobs = createProcess()
      const gate = createGate()
      jobs.handle('work', gate)
      await jobs.start()
      const id = await enqueue(jobs)
      await gate.untilBegun(1)
      await jobs.stop(10)
      expect(gate.begun[0]?.signal.aborted).toBe(true)
      expect(await jobs.get(id)).toMatchObject({ state: 'ready', attempt: 0, error: null })
    })
  })

  describe('a schedule', () => {
    test('is fired once a slot, whatever the number of processes', async () => {
      const done: unknown[] = []
      for (let n = 0; n < 3; n++) {
        const jobs = createProcess()
        jobs.handle('work', { run: async () => void done.push(n) })
        jobs.schedule('each-minute', '* * * * *', { type: 'work', payload: {} })
        await jobs.start()
      }
      await Bun.sleep(1200)
      expect(done).toHaveLength(0)
      at().clock.advance(MINUTE_MS)
      await until(
        () => done.length,
        (length) => length === 1,
      )
      await Bun.sleep(1200)
      expect(done).toHaveLength(1)
    })

    test('makes up for missed slots by one job', async () => {
      const before = createProcess()
      before.schedule('each-minute', '* * * * *', { type: 'work', payload: {} })
      await before.start()
      await before.stop(0)
      at().clock.advance(60 * MINUTE_MS)
      const jobs = createProcess()
      const done: unknown[] = []
      jobs.handle('work', { run: async () => void done.push(0) })
      jobs.schedule('each-minute', '* * * * *', { type: 'work', payload: {} })
      await jobs.start()
      await until(
        () => done.length,
        (length) => length > 0,
      )
      await Bun.sleep(1200)
      expect(done).toHaveLength(1)
    })
  })

  test('what has ended is forgotten after its time, and what its result refers to is removed first', async () => {
    const disposed: unknown[] = []
    const jobs = createProcess()
    jobs.handle('work', {
      run: async () => ({ file: 'a' }),
      dispose: async (result) => void disposed.push(result),
    })
    await jobs.start()
    const id = await enqueue(jobs)
    const waiting = await enqueue(jobs, { type: 'other' })
    await untilState(jobs, id, 'done')
    at().clock.advance(RESULT_TTL_MS + 6 * MINUTE_MS)
    await until(
      () => jobs.get(id),
      (job) => job === undefined,
    )
    expect(disposed).toEqual([{ file: 'a' }])
    expect(await jobs.get(waiting)).toBeDefined()
  })

  test('a result that can not be removed keeps no other from being forgotten', async () => {
    const jobs = createProcess()
    jobs.handle<{ bad?: true }>('work', {
      run: async ({ payload }) => payload,
      async dispose(result) {
        if ((result as { bad?: true }).bad === true) throw new Error('the file is held')
      },
    })
    await jobs.start()
    const bad = await enqueue(jobs, { payload: { bad: true } })
    const good = await enqueue(jobs)
    await untilState(jobs, bad, 'done')
    await untilState(jobs, good, 'done')
    at().clock.advance(RESULT_TTL_MS + 6 * MINUTE_MS)
    await until(
      () => jobs.get(good),
      (job) => job === undefined,
    )
    expect(await jobs.get(bad)).toBeDefined()
  })

  test('what has ended can be forgotten at once, and nothing else', async () => {
    const disposed: unknown[] = []
    const jobs = createProcess()
    jobs.handle('work', {
      run: async () => ({ file: 'a' }),
      dispose: async (result) => void disposed.push(result),
    })
    const id = await enqueue(jobs)
    expect(await jobs.forget(id)).toBe(false)
    await jobs.start()
    await untilState(jobs, id, 'done')
    expect(await jobs.forget(id)).toBe(true)
    expect(disposed).toEqual([{ file: 'a' }])
    expect(await jobs.get(id)).toBeUndefined()
    expect(await jobs.forget(id)).toBe(false)
  })

  test('an owner has at most so many unfinished jobs, the server as many as it needs', async () => {
    const jobs = createProcess({ unfinishedMax: 2 })
    jobs.handle('work', { run: async () => null })
    const first = await enqueue(jobs, { ownerId: 'ada' })
    await enqueue(jobs, { ownerId: 'ada' })
    const error = await refusal(enqueue(jobs, { ownerId: 'ada' }))
    expect(error).toBeInstanceOf(TooManyJobs)
    await enqueue(jobs, { ownerId: 'eve' })
    for (let n = 0; n < 3; n++) await enqueue(jobs)
    await jobs.start()
    await untilState(jobs, first, 'done')
    await enqueue(jobs, { ownerId: 'ada' })
  })

  test('an owner has no more also when many ask at once', async () => {
    const jobs = createProcess({ unfinishedMax: 5 })
    const asked = Array.from({ length: 20 }, () => enqueue(jobs, { ownerId: 'ada' }))
    const outcomes = await Promise.allSettled(asked)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
    expect(await jobs.list({ limit: 20 })).toHaveLength(5)
  })

  test('an owner has no more by replaying those that failed', async () => {
    const jobs = createProcess({ unfinishedMax: 2 })
    const ids: string[] = []
    for (let n = 0; n < 3; n++) {
      ids.push(await enqueue(jobs, { ownerId: 'ada' }))
      await at().execute("update jobs set state = 'failed', finished_at = created_at")
    }
    for (const id of ids.slice(0, 2)) expect(await jobs.replay(id)).toBe(true)
    expect(await refusal(jobs.replay(ids[2]!))).toBeInstanceOf(TooManyJobs)
    expect(await jobs.replay(ids[0]!)).toBe(false)
  })

  test('what the server did by itself is not kept for long', async () => {
    const jobs = createProcess()
    jobs.handle<{ result?: number }>('work', { run: async ({ payload }) => payload.result })
    await jobs.start()
    for (const payload of [{}, { result: 1 }]) {
      const [own, ada] = [
        await enqueue(jobs, { payload }),
        await enqueue(jobs, { payload, ownerId: 'ada' }),
      ]
      const keptFor = async (id: string) =>
        (await untilState(jobs, id, 'done')).expiresAt!.getTime() - at().clock.now()
      expect(await keptFor(own)).toBe(60 * MINUTE_MS)
      expect(await keptFor(ada)).toBe(RESULT_TTL_MS)
    }
  })

  test('lists the newest first, page by page, of one owner or of all', async () => {
    const jobs = createProcess()
    const ids: string[] = []
    for (const ownerId of ['ada', 'eve', 'ada']) ids.push(await enqueue(jobs, { ownerId }))
    const listed = async (filter: Partial<Parameters<Jobs['list']>[0]>) =>
      (await jobs.list({ limit: 10, ...filter })).map(({ id }) => ids.indexOf(id))
    expect(await listed({})).toEqual([2, 1, 0])
    expect(await listed({ ownerId: 'ada' })).toEqual([2, 0])
    expect(await listed({ limit: 1 })).toEqual([2])
    expect(await listed({ limit: 2, before: ids[2]! })).toEqual([1, 0])
  })

  test('depth and age are metrics', async () => {
    const jobs = createProcess()
    await enqueue(jobs)
    await enqueue(jobs, { delayMs: MINUTE_MS })
    at().clock.advance(5000)
    const text = await at().metrics.metrics()
    expect(text).toContain('jobs{state="ready"} 2\n')
    expect(text).toContain('jobs{state="active"} 0\n')
    expect(text).toContain('jobs_oldest_due_age_seconds 5\n')
  })
})
