import { afterEach, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { type Harness, openHarness } from '../support/harness.ts'
import { until } from '../support/until.ts'

/** Two threads of a core each would take it for minutes. */
const HEAVY = {
  sql: 'SELECT sum(hash(a.range + b.range) % 7) AS x FROM range(1000000) a, range(1000000) b',
  output: { dataset: 'heavy' },
}
const SOON_MS = 10_000

let harness: Harness
let token: string
afterEach(() => harness.close())

async function open(settings: Record<string, string>): Promise<void> {
  harness = await openHarness(settings)
  await harness.addAccount({ username: 'ada', role: 'editor' })
  token = await harness.logIn('ada')
  await request('PUT', '/api/v1/pipelines/heavy', HEAVY)
}

async function request(method: string, path: string, body?: unknown) {
  const response = await harness.request({ method, path, body, token })
  const text = await response.text()
  return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Job }
}

interface Job {
  id: string
  state: string
  error: string | null
  progress: number
}

const start = async () => (await request('POST', '/api/v1/pipelines/heavy/runs', {})).body.id
const stateOf = async (id: string) => (await request('GET', `/api/v1/jobs/${id}`)).body

test('so many are at it at once, the others wait, and nothing else waits for them', async () => {
  await open({ DATA_JOBS_MAX: '2' })
  const ids: string[] = []
  for (let n = 0; n < 20; n += 1) ids.push(await start())
  const states = async () => Promise.all(ids.map(async (id) => (await stateOf(id)).state))
  const active = async () => (await states()).filter((state) => state === 'active').length
  await until(async () => (await active()) === 2, SOON_MS)
  const quick = { file_path: 'heavy-not', operations: [] }
  expect((await request('POST', '/api/v1/process/parquet', quick)).status).toBe(404)
  expect((await request('POST', '/api/v1/query', { sql: 'SELECT 1 AS a' })).status).toBe(200)
  expect(await active()).toBe(2)

  for (const id of ids) expect((await request('DELETE', `/api/v1/jobs/${id}`)).status).toBe(202)
  await until(async () => (await states()).every((state) => state === 'cancelled'), SOON_MS)
  // Their processes are free again.
  const { id } = (await request('POST', '/api/v1/pipelines/heavy/runs', { version: 1 })).body
  await until(async () => (await stateOf(id)).state === 'active', SOON_MS)
  await request('DELETE', `/api/v1/jobs/${id}`)
  await until(async () => (await stateOf(id)).state === 'cancelled', SOON_MS)
  const { DATA_DIR } = harness.platform.config
  await until(() => readdirSync(join(DATA_DIR, 'pipelines')).length === 0, SOON_MS)
  await until(() => readdirSync(join(DATA_DIR, 'queries')).length === 0, SOON_MS)
}, 60_000)

test('one that takes too long is given up', async () => {
  await open({ DATA_JOB_TIMEOUT_MS: '300' })
  const id = await start()
  await until(async () => (await stateOf(id)).error !== null, SOON_MS)
  expect((await stateOf(id)).error).toMatch(/no result in \d+ ms/)
})

test('one that takes too much memory says so', async () => {
  await open({ DATA_MEMORY_BYTES_MAX: String(64 * 2 ** 20), DATA_SPILL_BYTES_MAX: '0' })
  const sql = 'SELECT list(hash(a.range + b.range)) AS x FROM range(1000000) a, range(100) b'
  await request('PUT', '/api/v1/pipelines/large', { sql, output: { dataset: 'large' } })
  const { id } = (await request('POST', '/api/v1/pipelines/large/runs', {})).body
  await until(async () => (await stateOf(id)).state === 'failed', SOON_MS * 3)
  expect((await stateOf(id)).error).toContain('more memory than it may')
}, 60_000)

test('a job tells how far it is, while it is on its way', async () => {
  await open({})
  const rows = Array.from({ length: 1_500_000 }, (_, at) => at).join('\n')
  await harness.request({
    path: '/api/v1/datasets?name=numbers',
    body: `n\n${rows}\n`,
    headers: { 'content-type': 'text/csv' },
    token,
  })
  const digest = `${'md5('.repeat(30)}n::VARCHAR${')'.repeat(30)}`
  const slow = {
    sql: `SELECT count(*) AS n FROM numbers WHERE ${digest} < '1'`,
    output: { dataset: 'slow' },
  }
  expect((await request('PUT', '/api/v1/pipelines/slow', slow)).status).toBe(201)
  const { id } = (await request('POST', '/api/v1/pipelines/slow/runs', {})).body
  const shares: number[] = []
  const look = async () => {
    const { progress, state } = await stateOf(id)
    if (progress > 0 && progress < 1) shares.push(progress)
    return new Set(shares).size >= 2 || state === 'done'
  }
  await until(look, 50_000)
  await request('DELETE', `/api/v1/jobs/${id}`)
  expect(new Set(shares).size).toBeGreaterThanOrEqual(2)
  expect(shares).toEqual(shares.toSorted((a, b) => a - b))
})
