import { afterEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'

import { Registry } from 'prom-client'

import { systemClock } from '../clock.ts'
import { drivers } from '../database/drivers.fixture.ts'
import { openLog } from '../log.ts'
import { createNoTracing } from '../tracing/none.ts'
import { createJobs } from './database-jobs.ts'

const JOBS = 600
/** Longer than SQLite lets a process wait for its turn while two others write. */
const LEASE_MS = 3000
const DEADLINE_MS = 30_000

/** Whatever the test comes to, none outlives it. */
const children: Bun.Subprocess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (name, driver) => {
  test(
    'three processes share the work; one is killed, and every job is done, none by two that live',
    async () => {
      const { where, remove } = await driver.create()
      const database = await driver.open(where)
      const jobs = createJobs({
        database,
        clock: systemClock,
        tracing: createNoTracing(),
        log: openLog({ LOG_LEVEL: 'silent' }, { write() {} }).log,
        metrics: new Registry(),
        concurrency: 1,
        leaseMs: LEASE_MS,
        pollMs: 1e6,
        timeoutMs: 3_600_000,
        resultTtlMs: 3_600_000,
        unfinishedMax: 100,
      })
      const processes = Array.from({ length: 3 }, () => {
        const child = Bun.spawn(
          [process.execPath, join(import.meta.dir, 'process.fixture.ts'), name, where].concat(
            String(LEASE_MS),
          ),
          { stdout: 'pipe', stderr: 'inherit' },
        )
        children.push(child)
        return { child, lines: [] as string[], isHeard: listen(child.stdout) }
      })
      let victim: (typeof processes)[number] | undefined
      async function listen(stream: ReadableStream<Uint8Array>) {
        let rest = ''
        for await (const chunk of stream) {
          const lines = (rest + Buffer.from(chunk).toString()).split('\n')
          rest = lines.pop()!
          const speaking = processes.find(({ child }) => child.stdout === stream)!
          speaking.lines.push(...lines)
          if (speaking.lines.length > 60) victim ??= speaking
          // Again if need be: it is killed while it holds jobs.
          victim?.child.kill('SIGKILL')
        }
      }

      const deadline = performance.now() + DEADLINE_MS
      while (processes.some(({ lines }) => lines.length === 0)) await Bun.sleep(10)
      await database.write(async (tx) => {
        for (let n = 0; n < JOBS; n++) await jobs.enqueue(tx, { type: 'work', payload: { n } })
      })
      const states = async () =>
        (await jobs.list({ limit: JOBS + 2 })).filter(({ state }) => state !== 'done')
      while ((await states()).length > 0) {
        expect(performance.now()).toBeLessThan(deadline)
        await Bun.sleep(50)
      }
      const others = processes.filter((each) => each !== victim)
      for (const { child } of others) child.kill()
      await Promise.all(processes.map(({ isHeard }) => isHeard))
      expect(victim!.child.signalCode).toBe('SIGKILL')

      const begun = (lines: string[]) => lines.filter((line) => line.startsWith('began '))
      const byOthers = others.flatMap(({ lines }) => begun(lines))
      // What the killed one held was begun again; nothing else was begun twice.
      expect(new Set(byOthers).size).toBe(byOthers.length)
      const all = new Set([...byOthers, ...begun(victim!.lines)])
      expect(all.size).toBe(JOBS)
      // Every five minutes the server enqueues one of its own.
      const done = (await jobs.list({ limit: JOBS + 2 })).filter(({ type }) => type === 'work')
      expect(
        done.map(({ result }) => (result as { n: number }).n).toSorted((a, b) => a - b),
      ).toEqual(Array.from({ length: JOBS }, (_, n) => n))
      expect(done.filter(({ attempt }) => attempt === 2).length).toBeWithin(1, 21)
      expect(done.filter(({ attempt }) => attempt > 2)).toEqual([])
      await database.close()
      await remove()
    },
    DEADLINE_MS + 10_000,
  )
})
