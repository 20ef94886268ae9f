import { afterAll, expect, test } from 'bun:test'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { newDirectory, startServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'

/** A few seconds of a core. */
const SQL =
  'SELECT count(*) AS n FROM range(1000000) a, range(600) b WHERE hash(a.range + b.range) % 7 = 3'
const LONG_MS = 60_000

const directory = newDirectory()
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const start = () =>
  startServer({ DATA_DIR: directory, JOB_LEASE_MS: '1000', JOB_POLL_MS: '100', DATA_THREADS: '1' })

const folders = () =>
  ['queries', 'pipelines'].flatMap((folder) => readdirSync(join(directory, folder)))

/** Programs that a server with this id has started, by whichever of its threads. */
const childrenOf = (pid: number) =>
  readdirSync(`/proc/${pid}/task`)
    .flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' '))
    .filter((child) => child !== '')

/** One that nobody has asked how it ended does not run any more. */
function isRunning(pid: string): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

test(
  'a run that a kill breaks off is done again, once, and nothing of the first is left',
  async () => {
    let server: TestServer = await start()
    let token = await server.logIn()
    const call = async (method: string, path: string, body?: object) => {
      const response = await fetch(`${server.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return (await response.json()) as Record<string, unknown>
    }
    try {
      await call('PUT', '/api/v1/pipelines/heavy', {
        sql: SQL,
        output: { dataset: 'counted', mode: 'append' },
      })
      const { id } = await call('POST', '/api/v1/pipelines/heavy/runs', {})
      const run = `/api/v1/pipelines/heavy/runs/${String(id)}`
      await until(() => folders().some((name) => name.endsWith('-query')), LONG_MS)
      const children = childrenOf(server.process.pid)
      expect(children.length).toBeGreaterThan(0)

      server.process.kill('SIGKILL')
      await server.process.exited
      await until(() => !children.some(isRunning), LONG_MS)
      expect(folders()).not.toEqual([])

      server = await start()
      expect(folders().filter((name) => !name.startsWith(`${server.process.pid}-`))).toEqual([])
      token = await server.logIn()
      await until(async () => (await call('GET', run))['state'] === 'done', LONG_MS)
      expect(await call('GET', `/api/v1/jobs/${String(id)}`)).toMatchObject({ attempt: 2 })
      expect(await call('GET', '/api/v1/datasets/counted')).toMatchObject({
        newest: { version: 1, rows: 1 },
      })
      await until(() => folders().length === 0, LONG_MS)
    } finally {
      await server.stop()
    }
  },
  3 * LONG_MS,
)
