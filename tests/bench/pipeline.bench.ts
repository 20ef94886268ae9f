import { readdirSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

import { DuckDBInstance } from '@duckdb/node-api'

import { type Server, startServer } from './child.ts'
import { bun, productSettings, signIn } from './product.ts'
import type { Race } from './race.ts'

const PRODUCT = 'product'
const BARE = 'bare node-api'
const ROWS = 10_000_000
const EXPORT_ROWS = 300_000
/** How often `/livez` is asked meanwhile. */
const LIVEZ_INTERVAL_MS = 5
const TIMEOUT_MS = 120_000

const operations = [
  { type: 'filter', condition: 'amount > 20 AND region <> 3' },
  { type: 'mutate', expression: { net: 'amount * 0.92', day: 'n // 86400' } },
  {
    type: 'aggregate',
    group_by: ['region', 'day'],
    metrics: ['n = count(*)', 'total = sum(net)', 'most = max(net)'],
  },
]
const sqlOver = (
  path: string,
) => `SELECT region, day, count(*) AS n, sum(net) AS total, max(net) AS most FROM (
  SELECT *, amount * 0.92 AS net, n // 86400 AS day FROM read_parquet('${path}')
  WHERE amount > 20 AND region <> 3) GROUP BY region, day`

/** What our way costs beside DuckDB's own: a pipeline over 10 million rows, and an export of 300,000. */
export async function pipeline(scratch: string): Promise<Race[]> {
  const headers = await signIn(scratch)
  const env = { ...productSettings(scratch), DATASET_UPLOAD_BYTES_MAX: String(2 ** 32) }
  const server = await startServer({
    command: bun('src/main.ts'),
    env,
    output: join(scratch, 'pipeline.log'),
  })
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(availableParallelism()),
  })
  const connection = await instance.connect()
  await connection.run('SET enable_progress_bar = false')
  const run = async (sql: string) => void (await connection.run(sql))

  async function ask(method: string, path: string, body?: unknown): Promise<Response> {
    const isJson = body !== undefined && !(body instanceof Blob)
    const response = await fetch(`${server.url}${path}`, {
      method,
      headers: { ...headers, ...(isJson ? { 'content-type': 'application/json' } : {}) },
      ...(body === undefined ? {} : { body: isJson ? JSON.stringify(body) : body }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    if (!response.ok) throw new Error(`${method} ${path} answers ${await response.text()}`)
    return response
  }

  async function upload(name: string, rows: number, mode: string): Promise<void> {
    const path = join(scratch, `${name}.parquet`)
    await run(`COPY (SELECT range AS n, (range * 7919 % 100000) / 1000 AS amount, range % 11 AS region,
      'item ' || (range % 5000) AS item FROM range(${rows})) TO '${path}' (FORMAT parquet)`)
    const query = `name=${name}&mode=${mode}&format=parquet`
    await (await ask('POST', `/api/v1/datasets?${query}`, Bun.file(path))).text()
  }

  await upload('large', ROWS, 'create')
  const stored = largestFile(join(scratch, 'data'))
  const livez = watchLivez(server)
  const process = async () => {
    const body = { file_path: 'large', operations }
    const answer = await ask('POST', '/api/v1/process/parquet', body)
    return ((await answer.json()) as { rows: number }).rows
  }
  const bare = async () => (await connection.runAndReadAll(sqlOver(stored))).currentRowCount
  const [said, found] = [await process(), await bare()]
  if (said !== found) throw new Error(`${PRODUCT} has ${said} rows, and ${BARE} ${found}`)

  let exports = 0
  const small = join(scratch, 'small.parquet')
  const slowness = (claim: string) => ({
    claim,
    unit: '×',
    limit: { most: 1.15 },
    read: (of: (contender: string) => { requestsPerSecond: number }) =>
      of(BARE).requestsPerSecond / of(PRODUCT).requestsPerSecond,
  })
  return [
    {
      title: `pipeline: filter, mutate and group-by of ${ROWS} rows from Parquet`,
      inFlight: 1,
      contenders: [
        { name: PRODUCT, operate: process },
        { name: BARE, operate: bare },
      ],
      bars: [slowness('time of bare node-api'), livez.bar('p99 of /livez beside pipelines')],
    },
    {
      title: `pipeline: export of ${EXPORT_ROWS} rows as NDJSON, to the finished file`,
      inFlight: 1,
      contenders: [
        {
          name: PRODUCT,
          // Of a version that nobody has exported yet; its length is known when the file is there.
          prepare: () => upload('small', EXPORT_ROWS, exports++ === 0 ? 'create' : 'replace'),
          operate: () => ask('HEAD', '/api/v1/datasets/small/export.ndjson'),
        },
        {
          name: BARE,
          prepare: async () => {},
          operate: () =>
            run(`COPY (FROM read_parquet('${small}')) TO '${join(scratch, 'small.ndjson')}'
              (FORMAT json)`),
        },
      ],
      bars: [slowness('time of COPY'), livez.bar('p99 of /livez beside exports')],
      async close() {
        livez.stop()
        connection.closeSync()
        instance.closeSync()
        await server.stop()
      },
    },
  ]
}

function largestFile(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  return files.toSorted((a, b) => statSync(b).size - statSync(a).size)[0]!
}

/** Asks `/livez` all the time; each bar tells of what it took since the one before. */
function watchLivez({ url }: Server) {
  let times: number[] = []
  const stopping = new AbortController()
  async function watch(): Promise<void> {
    while (!stopping.signal.aborted) {
      const startedAt = performance.now()
      await (await fetch(`${url}/livez`, { signal: AbortSignal.timeout(TIMEOUT_MS) })).text()
      times.push(performance.now() - startedAt)
      await Bun.sleep(LIVEZ_INTERVAL_MS)
    }
  }
  void watch()
  return {
    stop() {
      stopping.abort()
    },
    bar(claim: string) {
      let p99: number | undefined
      return {
        claim,
        unit: 'ms',
        limit: { most: 50 },
        read() {
          if (p99 === undefined) {
            p99 = times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)]!
            times = []
          }
          return p99
        },
      }
    },
  }
}
