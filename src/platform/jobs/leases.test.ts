import { describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { drivers } from '../database/drivers.fixture.ts'
import { createGate, jobProcesses, MINUTE_MS, SOON_MS, until } from './jobs.fixture.ts'
import type { Attempt } from './jobs.ts'
import { createLeases } from './leases.ts'
import { jobTables } from './tables.ts'

/** What several processes do with the same jobs, on every database. */
describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (name, driver) => {
  const { createProcess, enqueue, untilState, at } = jobProcesses(driver)

  /** Five leases, by the test's clock and by the timers of the processes. */
  async function liveThrough(leaseMs: number): Promise<void> {
    for (let n = 0; n < 10; n++) {
      await Bun.sleep(leaseMs / 2)
      at().clock.advance(leaseMs / 2)
    }
  }

  describe('a lease', () => {
    test('that ran out gives the job to another process; what the first one says then is not heard', async () => {
      const leaseMs = 90
      const [silent, other] = [createProcess(), createProcess({ leaseMs, pollMs: 10 })]
      const gate = createGate()
      // It answers after all, but only when another has done the job.
      silent.handle('work', {
        async run(attempt) {
          gate.begun.push(attempt)
          await gate.run({ ...attempt, signal: new AbortController().signal })
          attempt.progress(0.9)
          await Bun.sleep(700)
          return 'late'
        },
      })
      await silent.start()
      const id = await enqueue(silent)
      await gate.untilBegun(1)
      other.handle('work', { run: async () => 'in time' })
      await other.start()
      at().clock.advance(4 * MINUTE_MS)
      expect(await untilState(other, id, 'done')).toMatchObject({ attempt: 2, result: 'in time' })
      gate.open()
      await Bun.sleep(800)
      expect(await other.get(id)).toMatchObject({ result: 'in time', progress: 1 })
    })

    test('goes on while the process says that it lives', async () => {
      const leaseMs = 60
      const [slow, other] = [createProcess({ leaseMs }), createProcess({ leaseMs, pollMs: 10 })]
      const gate = createGate()
      slow.handle('work', gate)
      await slow.start()
      const id = await enqueue(slow)
      await gate.untilBegun(1)
      other.handle('work', gate)
      await other.start()
      await liveThrough(leaseMs)
      gate.open()
      expect(await untilState(other, id, 'done')).toMatchObject({ attempt: 1 })
      expect(gate.begun).toHaveLength(1)
    })

    test('that ran out does not make a process do its own job twice', async () => {
      const jobs = createProcess({ pollMs: 10 })
      const gate = createGate()
      jobs.handle('work', gate)
      await jobs.start()
      const id = await enqueue(jobs, { attemptsMax: 1 })
      await gate.untilBegun(1)
      at().clock.advance(4 * MINUTE_MS)
      await Bun.sleep(100)
      gate.open()
      expect(await untilState(jobs, id, 'done')).toMatchObject({ attempt: 1 })
      expect(gate.begun).toHaveLength(1)
    })

    test('is held while the process waits for its jobs to stop', async () => {
      const leaseMs = 90
      const [leaving, other] = [createProcess({ leaseMs }), createProcess({ leaseMs, pollMs: 10 })]
      const gate = createGate()
      leaving.handle('work', gate)
      await leaving.start()
      const id = await enqueue(leaving)
      await gate.untilBegun(1)
      other.handle('work', gate)
      await other.start()
      const stopped = leaving.stop(SOON_MS)
      await liveThrough(leaseMs)
      gate.open()
      await stopped
      expect(await other.get(id)).toMatchObject({ state: 'done', attempt: 1 })
      expect(gate.begun).toHaveLength(1)
    })

    test('of the last attempt that ran out ends the job', async () => {
      const [silent, other] = [createProcess(), createProcess({ pollMs: 10 })]
      silent.handle('work', createGate())
      await silent.start()
      const id = await enqueue(silent, { attemptsMax: 1 })
      await untilState(silent, id, 'active')
      await other.start()
      at().clock.advance(4 * MINUTE_MS)
      expect(await untilState(other, id, 'failed')).toMatchObject({
        error: 'The process that did it fell silent.',
      })
    })
  })

  test('two silent ones with one key are both taken back', async () => {
    const [silent, other] = [createProcess(), createProcess({ pollMs: 10 })]
    const gate = createGate()
    silent.handle('work', gate)
    await silent.start()
    const ids = [await enqueue(silent, { key: 'k' })]
    await gate.untilBegun(1)
    ids.push(await enqueue(silent, { key: 'k' }))
    await gate.untilBegun(2)
    other.handle('work', { run: async () => null })
    await other.start()
    at().clock.advance(4 * MINUTE_MS)
    for (const id of ids) await untilState(other, id, 'done')
  })

  test('a process that gets its own lost job again does not hear what the former attempt says', async () => {
    const [jobs, other] = [createProcess(), createProcess({ pollMs: 10 })]
    const gates = [createGate(), createGate()]
    let attempts = 0
    jobs.handle('work', {
      async run(attempt) {
        const gate = gates[attempts++]!
        await gate.run({ ...attempt, signal: new AbortController().signal })
        return attempts
      },
    })
    await jobs.start()
    const id = await enqueue(jobs)
    await gates[0]!.untilBegun(1)
    await other.start()
    at().clock.advance(4 * MINUTE_MS)
    await untilState(jobs, id, 'ready')
    await enqueue(jobs, { type: 'other' })
    await gates[1]!.untilBegun(1)
    gates[0]!.open()
    await Bun.sleep(100)
    expect(await jobs.get(id)).toMatchObject({ state: 'active', attempt: 2 })
    gates[1]!.open()
    await untilState(jobs, id, 'done')
  })

  test('how a job ended is kept while the database is away', async () => {
    let isAway = false
    const { database } = at()
    const away = Object.assign(new Error('the disk is full'), { code: 'SQLITE_FULL' })
    const jobs = createProcess({
      database: {
        ...database,
        write: (work) => (isAway ? Promise.reject(away) : database.write(work)),
      },
      leaseMs: 600,
    })
    const gate = createGate()
    jobs.handle('work', gate)
    await jobs.start()
    const id = await enqueue(jobs)
    await gate.untilBegun(1)
    isAway = true
    gate.open()
    await Bun.sleep(100)
    expect(await jobs.get(id)).toMatchObject({ state: 'active' })
    isAway = false
    await untilState(jobs, id, 'done')
    expect(gate.begun).toHaveLength(1)
  })

  if (name === 'postgres') {
    test('a job whose row somebody holds keeps nobody from the others', async () => {
      const { database } = at()
      const jobs = createProcess()
      jobs.handle('work', { run: async () => null })
      const [first, second] = [await enqueue(jobs), await enqueue(jobs)]
      const { jobs: table } = jobTables(database.kit)
      const held = Promise.withResolvers<void>()
      const release = Promise.withResolvers<void>()
      const holding = database.write(async (tx) => {
        await database.lock(tx.select().from(table).where(eq(table.id, first)))
        held.resolve()
        await release.promise
      })
      await held.promise
      await jobs.start()
      await untilState(jobs, second, 'done')
      release.resolve()
      await holding
      await enqueue(jobs)
      await untilState(jobs, first, 'done')
    })
  }

  test('cancelling while many end blocks nobody', async () => {
    const jobs = createProcess({ concurrency: 50, leaseMs: 30 })
    jobs.handle('work', { run: () => Bun.sleep(1) })
    await jobs.start()
    const ids: string[] = []
    for (let n = 0; n < 300; n++) ids.push(await enqueue(jobs))
    await Promise.all(ids.map((id) => jobs.cancel(id)))
    await until(
      () => jobs.list({ limit: 300 }),
      (all) => all.every(({ finishedAt }) => finishedAt !== null),
    )
    expect(at().lines).toEqual([])
  })

  test('how a job ended is kept also while the database refuses it for another reason', async () => {
    const refusals = ['40P01', '57014', 'DATABASE_SILENT', '55P03']
    const { database } = at()
    let isRefusing = false
    const jobs = createProcess({
      database: {
        ...database,
        write(work) {
          const code = isRefusing ? refusals.shift() : undefined
          if (code === undefined) return database.write(work)
          return Promise.reject(Object.assign(new Error(code), { errno: code }))
        },
      },
      leaseMs: 600,
    })
    const gate = createGate()
    jobs.handle('work', gate)
    await jobs.start()
    const id = await enqueue(jobs, { payload: { a: 1 } })
    await gate.untilBegun(1)
    isRefusing = true
    gate.open()
    expect(await untilState(jobs, id, 'done')).toMatchObject({ attempt: 1, result: { a: 1 } })
    expect(refusals).toEqual([])
  })

  test('a process cut off from the database gives its job up when the lease is over', async () => {
    const { database } = at()
    const cut = Promise.withResolvers<never>()
    let isCut = false
    const jobs = createProcess({
      database: { ...database, write: (work) => (isCut ? cut.promise : database.write(work)) },
      leaseMs: 300,
    })
    const gate = createGate()
    jobs.handle('work', gate)
    await jobs.start()
    await enqueue(jobs)
    await gate.untilBegun(1)
    isCut = true
    await until(
      () => gate.begun[0]!.signal.aborted,
      (isAborted) => isAborted,
    )
    cut.reject(Object.assign(new Error('cut'), { code: 'DATABASE_SILENT' }))
  })

  test('what an attempt says on its way ends no later attempt of the same process', async () => {
    const { database } = at()
    const way = Promise.withResolvers<void>()
    let isLong = false
    const jobs = createProcess({
      concurrency: 2,
      database: {
        ...database,
        async write(work) {
          if (isLong) {
            isLong = false
            await way.promise
          }
          return database.write(work)
        },
      },
    })
    const other = createProcess({ pollMs: 10 })
    const gates = [createGate(), createGate()]
    jobs.handle('work', {
      async run(attempt) {
        await gates[attempt.attempt - 1]!.run({
          ...attempt,
          signal: new AbortController().signal,
        })
        if (attempt.attempt === 1) throw new Error('the first one fails')
        return 'the second one'
      },
    })
    await jobs.start()
    const id = await enqueue(jobs)
    await gates[0]!.untilBegun(1)
    await other.start()
    at().clock.advance(4 * MINUTE_MS)
    await untilState(jobs, id, 'ready')
    isLong = true
    gates[0]!.open()
    await until(
      () => isLong,
      (isStillLong) => !isStillLong,
    )
    await enqueue(jobs, { type: 'other' })
    await gates[1]!.untilBegun(1)
    way.resolve()
    await Bun.sleep(100)
    expect(await jobs.get(id)).toMatchObject({ state: 'active', attempt: 2 })
    gates[1]!.open()
    expect(await untilState(jobs, id, 'done')).toMatchObject({ result: 'the second one' })
  })

  test('a handler that minds no signal keeps its job until the lease is over', async () => {
    const [leaving, other] = [createProcess(), createProcess({ pollMs: 10 })]
    const gate = createGate()
    const deaf = {
      run: (attempt: Attempt<unknown>) =>
        gate.run({ ...attempt, signal: new AbortController().signal }),
    }
    leaving.handle('work', deaf)
    other.handle('work', deaf)
    await leaving.start()
    const id = await enqueue(leaving)
    await gate.untilBegun(1)
    await other.start()
    await leaving.stop(10)
    await Bun.sleep(100)
    expect(gate.begun).toHaveLength(1)
    expect(await other.get(id)).toMatchObject({ state: 'active', attempt: 1 })
    at().clock.advance(4 * MINUTE_MS)
    await gate.untilBegun(2)
    gate.open()
  })

  test('of its own jobs a process takes back those that it does not name', async () => {
    const jobs = createProcess()
    const { database, clock } = at()
    const types = new Map([['work', true]])
    const options = { database, clock, types, leaseMs: MINUTE_MS, resultTtlMs: MINUTE_MS }
    const leases = createLeases({ ...options, worker: 'mine' })
    const ids = [await enqueue(jobs), await enqueue(jobs)]
    await leases.claim(2)
    await leases.reclaim([])
    expect(await jobs.get(ids[0]!)).toMatchObject({ state: 'active' })
    clock.advance(MINUTE_MS + 1)
    await leases.reclaim([ids[0]!])
    expect(await jobs.get(ids[0]!)).toMatchObject({ state: 'active' })
    expect(await jobs.get(ids[1]!)).toMatchObject({ state: 'ready', attempt: 1 })
  })
})
