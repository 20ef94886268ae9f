// A process that does jobs until it is killed: for tests of what several do with one queue.
// Usage: bun process.fixture.ts DRIVER WHERE LEASE_MS
// It writes a line for each job that it begins, and for each that it has done.
import { Registry } from 'prom-client'

import { systemClock } from '../clock.ts'
import { drivers } from '../database/drivers.fixture.ts'
import { openLog } from '../log.ts'
import { createNoTracing } from '../tracing/none.ts'
import { createJobs } from './database-jobs.ts'

const WORK_MS = 5

const [name, where = '', leaseMs] = process.argv.slice(2)
const driver = drivers.find((each) => each.name === name)!
const database = await driver.open(where)
const jobs = createJobs({
  database,
  clock: systemClock,
  tracing: createNoTracing(),
  log: openLog({ LOG_LEVEL: 'silent' }).log,
  metrics: new Registry(),
  concurrency: 20,
  leaseMs: Number(leaseMs),
  pollMs: 50,
  timeoutMs: 3_600_000,
  resultTtlMs: 3_600_000,
  unfinishedMax: 100,
})
jobs.handle<{ n: number }>('work', {
  async run({ payload }) {
    process.stdout.write(`began ${payload.n}\n`)
    await Bun.sleep(WORK_MS)
    process.stdout.write(`did ${payload.n}\n`)
    return payload
  },
})
await jobs.start()
process.stdout.write('ready\n')
// The process that enqueues has other work for it than to stay alive.
setInterval(() => {}, 1000)
