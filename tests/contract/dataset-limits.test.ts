import { afterEach, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import { createDatasets } from '../../src/data/datasets/datasets.ts'
import { createStoredFiles } from '../../src/data/datasets/stored-files.ts'
import { type Harness, openHarness } from '../support/harness.ts'

const MEBIBYTE = 2 ** 20

let harness: Harness
const open = async (settings: Record<string, string>) => (harness = await openHarness(settings))
afterEach(() => harness.close())

const numbers = (rows: number) =>
  `a\n${Array.from({ length: rows }, (_, at) => `${at}\n`).join('')}`

async function send(name: string, body: string | ReadableStream) {
  const path = `/api/v1/datasets?name=${name}`
  const headers = { 'content-type': 'text/csv' }
  const response = await harness.request({ path, body, headers, token: harness.adminToken })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

async function get(path: string) {
  const asked = { path: `/api/v1/datasets/${path}`, token: harness.adminToken }
  const response = await harness.request(asked)
  return { status: response.status, text: await response.text() }
}

const leftOf = (directory: string) => readdirSync(join(harness.platform.config.DATA_DIR, directory))

test('DATASET_EXPANDED_BYTES_MAX is what a compressed upload may become', async () => {
  await open({ DATASET_EXPANDED_BYTES_MAX: '1000' })
  const packed = (bytes: number) =>
    new Response(gzipSync(`a\n${'1\n'.repeat(bytes / 2 - 1)}`)).body!
  expect(await send('fits', packed(1000))).toMatchObject({ status: 201 })
  expect(await send('bomb', packed(100_000_000))).toMatchObject({
    status: 422,
    body: { detail: 'Expanded, it has more than 1000 bytes.' },
  })
  expect([...leftOf('queries'), ...leftOf('dataset-uploads')]).toEqual([])
})

test('DATA_RESULT_BYTES_MAX is what is answered at once', async () => {
  await open({ DATA_RESULT_BYTES_MAX: '1000' })
  await send('numbers', numbers(1000))
  expect(await get('numbers/rows?limit=50')).toMatchObject({ status: 200 })
  expect(await get('numbers/rows?limit=500')).toMatchObject({
    status: 422,
    text: expect.stringContaining('more than 1000 bytes'),
  })
})

test('DATA_QUERY_TIMEOUT_MS is how long a query may take', async () => {
  await open({ DATA_QUERY_TIMEOUT_MS: '300' })
  // Minutes of a core.
  const sql = 'SELECT sum(hash(a.range + b.range) % 7) AS x FROM range(1000000) a, range(1000000) b'
  const answer = await harness.request({
    path: '/api/v1/query',
    body: { sql },
    token: harness.adminToken,
  })
  const text = await answer.text()
  expect({ status: answer.status, text }).toMatchObject({
    status: 504,
    text: expect.stringContaining('300 ms'),
  })
})

test('DATA_EXPORT_TIMEOUT_MS is how long an upload may be worked on', async () => {
  await open({ DATA_EXPORT_TIMEOUT_MS: '1' })
  expect(await send('numbers', numbers(2_000_000))).toMatchObject({ status: 504 })
  expect([...leftOf('queries'), ...leftOf('dataset-uploads')]).toEqual([])
})

test('DATA_QUERIES_MAX run, DATA_QUEUE_MAX wait, and the others come again later', async () => {
  await open({ DATA_QUERIES_MAX: '1', DATA_QUEUE_MAX: '2' })
  await send('numbers', numbers(1000))
  const asked = Array.from({ length: 5 }, () => get('numbers/sample?rows=10'))
  const answers = await Promise.all(asked)
  const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
  expect(statuses).toEqual([200, 200, 200, 503, 503])
  expect(answers.find(({ status }) => status === 503)?.text).toContain('2 queries are waiting')
})

test('DATA_MEMORY_BYTES_MAX is what a query may take', async () => {
  await open({ DATA_MEMORY_BYTES_MAX: String(64 * MEBIBYTE), DATA_SPILL_BYTES_MAX: '0' })
  const names = Array.from({ length: 3000 }, (_, at) => `c${at}`).join(',')
  const wide = await send('wide', `${names}\n${names.replaceAll('c', '')}\n`)
  expect(wide).toMatchObject({ status: 422, body: { title: 'Query takes too much' } })
  expect(await send('narrow', numbers(10))).toMatchObject({ status: 201 })
})

test('DATASET_EXPORT_SECONDS is how long an export is kept', async () => {
  await open({ DATASET_EXPORT_SECONDS: '60' })
  const { platform, clock } = harness
  await send('numbers', numbers(10))
  expect(await get('numbers/export.csv')).toMatchObject({ status: 200, text: numbers(10) })
  const count = async (prefix: string) => (await platform.storage.list({ prefix })).files.length
  const datasets = createDatasets({ ...platform, ownership: {} as never, quotaBytes: 0 })
  const ttl = platform.config.DATASET_EXPORT_SECONDS * 1000
  const stored = createStoredFiles({ ...platform, datasets, exportTtlMs: ttl })
  // Files have the time of the disk, which the clock of the tests is not.
  clock.advance(Date.now() - clock.now())
  await stored.removeStrays()
  expect(await count('dataset-exports/')).toBe(1)
  clock.advance(90_000_000)
  await stored.removeStrays()
  expect(await count('dataset-exports/')).toBe(0)
  // What a version has is no stray, however old it is.
  expect(await count('datasets/')).toBe(1)
})
