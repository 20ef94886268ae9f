import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { DuckDBInstance } from '@duckdb/node-api'

import { until } from '../../../tests/support/until.ts'
import { openLog } from '../../platform/log.ts'
import { openPartials } from '../../platform/storage/partial.ts'
import type { Parameters } from '../results/parameters.ts'
import { createEngine, type Engine, EngineFull } from './engine.ts'
import { WorkFailed } from './query-process.ts'

const MEBIBYTE = 2 ** 20
const MEMORY_BYTES_MAX = 128 * MEBIBYTE
const TIMEOUT_MS = 20_000
/** Far less than the query takes, and more than a busy machine needs to give it up. */
const SOON_MS = 5000
/** Two threads of a core each would take it for minutes. */
const HEAVY = 'SELECT sum(hash(a.range + b.range) % 7) AS x FROM range(4000000) a, range(4000) b'

const root = mkdtempSync(join(tmpdir(), 'engine-'))
const outside = join(root, 'outside.csv')
const inside = join(root, 'inside.csv')
const groups = join(root, 'groups.parquet')
const workspaces = join(root, 'workspaces')
const { log } = openLog({ LOG_LEVEL: 'silent' }, { write: () => {} })
const open = (atOnceMax: number, waitingMax = 10, spillBytesMax = 64 * MEBIBYTE) =>
  createEngine({
    atOnceMax,
    waitingMax,
    means: { threads: 2, memoryBytesMax: MEMORY_BYTES_MAX },
    spillBytesMax,
    partials: openPartials(workspaces),
    log,
  })

let engine: Engine
beforeAll(async () => {
  writeFileSync(outside, 'secret\n42\n')
  writeFileSync(inside, 'open\n7\n')
  const duckdb = await DuckDBInstance.create()
  const connection = await duckdb.connect()
  const rows = 'SELECT range AS a FROM range(3000000)'
  await connection.run(`COPY (${rows}) TO '${groups}' (ROW_GROUP_SIZE 20480)`)
  connection.closeSync()
  duckdb.closeSync()
  engine = open(1)
})
afterAll(async () => {
  await engine.close()
  rmSync(root, { recursive: true })
})

interface Asked {
  engine?: Engine
  timeoutMs?: number
  signal?: AbortSignal
  onProgress?: (share: number) => void
  parameters?: Parameters
}

/** The number of rows, after one look at the file that they are in. */
const ask = (sql: string, asked: Asked = {}) => {
  const { engine: by = engine, timeoutMs = TIMEOUT_MS, parameters = {}, ...options } = asked
  return by.run(
    'query',
    [inside, groups],
    (directory) => ({
      sql,
      parameters,
      path: join(directory, 'rows.parquet'),
      format: 'parquet',
      bytesMax: 2 ** 30,
    }),
    {
      ...options,
      timeoutMs,
      take: async ({ rows }, directory) => {
        const bytes = await Bun.file(join(directory, 'rows.parquet')).text()
        expect(bytes.startsWith('PAR1')).toBe(true)
        return rows
      },
    },
  )
}

async function failureOf(work: Promise<unknown>): Promise<WorkFailed> {
  try {
    await work
  } catch (error) {
    if (error instanceof WorkFailed) return error
    throw error
  }
  throw new Error('it did not fail')
}

/** Of a process of ours, in MiB. */
const residentMiB = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

function childPids(): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8')
      const parent = Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1])
      return command.includes('query.process.ts') && parent === process.pid ? [Number(name)] : []
    } catch {
      return []
    }
  })
}

test('rows go into a file that is there until it was taken, and its directory is gone then', async () => {
  expect(await ask('SELECT * FROM range(100000)')).toBe(100_000)
  expect(
    await ask('SELECT $a::INTEGER AS a, $b::VARCHAR AS b', {
      parameters: { a: { value: 1 }, b: { value: 'x' } },
    }),
  ).toBe(1)
  expect(readdirSync(workspaces)).toEqual([])
})

test('what is allowed is read, and nothing else', async () => {
  expect(await ask(`SELECT * FROM read_csv('${inside}')`)).toBe(1)
  const { failure, message } = await failureOf(ask(`SELECT * FROM read_csv('${outside}')`))
  expect([failure, message]).toEqual(['refused', expect.stringContaining('Permission Error')])
})

/** Statements of DuckDB that reach beyond the workspace, none of which the whitelist lets through. */
const reaching: [statement: string, says: RegExp][] = [
  [`SELECT * FROM read_text('${outside}')`, /Permission/],
  [`SELECT * FROM read_blob('${outside}')`, /Permission/],
  [`SELECT * FROM sniff_csv('${outside}')`, /Permission/],
  [`SELECT * FROM parquet_metadata('${outside}')`, /Permission/],
  [`SELECT * FROM read_json('${outside}')`, /Permission/],
  [`SELECT * FROM '${outside}'`, /Permission/],
  [`SELECT * FROM 'file://${outside}'`, /Permission|Catalog/],
  [`SELECT * FROM read_csv(['${inside}', '${outside}'])`, /Permission/],
  [`SELECT * FROM read_text('/proc/self/environ')`, /Permission/],
  [`SELECT * FROM read_text('${inside}/../outside.csv')`, /Permission|IO/],
  [`SELECT * FROM glob('/etc/*')`, /Permission/],
  ["SELECT * FROM read_csv('https://example.com/a.csv')", /Permission|Missing Extension|Catalog/],
  ["SELECT * FROM read_parquet('s3://bucket/a.parquet')", /Permission|Missing Extension|Catalog/],
  ['SELECT 1) TO STDOUT; DROP TABLE x; SELECT (1', /./],
  ["SELECT getenv('HOME')", /Catalog/],
  ['SELECT * FROM duckdb_secrets()', /./],
]

test.each(reaching)('%p reaches nothing', async (statement, says) => {
  let said: string | undefined
  try {
    // Secrets can be asked for, and there are none.
    expect(await ask(statement)).toBe(0)
  } catch (error) {
    said = (error as Error).message
  }
  if (said !== undefined) expect(said).toMatch(says)
  expect(`${said}`).not.toContain('42\n')
})

test.each([
  ["SELECT repeat('x', 2000000000) AS x"],
  ["SELECT lpad('x', 1500000000, 'y') AS x"],
  ['SELECT len(range(500000000)) AS x'],
  ["SELECT printf('%1500000000d', 1) AS x"],
  ['SELECT list(range) AS x FROM range(400000000)'],
])('%p takes no more memory than it may', async (sql) => {
  let most = 0
  const watch = setInterval(() => {
    for (const pid of childPids()) most = Math.max(most, residentMiB(pid))
  }, 10)
  try {
    const { failure } = await failureOf(ask(sql, { timeoutMs: 5000 }))
    expect(['memory', 'ended', 'timeout']).toContain(failure)
  } finally {
    clearInterval(watch)
  }
  expect(most).toBeLessThan(MEMORY_BYTES_MAX / MEBIBYTE + 512)
  expect(await ask('SELECT 1 AS a')).toBe(1)
})

const sorted = (rows: number) =>
  `SELECT range AS a, hash(range) AS b, hash(range + 1) AS c FROM range(${rows}) ORDER BY b, c`

test('what does not fit into memory is spilled', async () => {
  const spacious = open(1, 1, 2048 * MEBIBYTE)
  expect(await ask(sorted(6_000_000), { engine: spacious })).toBe(6_000_000)
  await spacious.close()
})

test('what does not fit there either ends, and leaves nothing', async () => {
  const { failure, message } = await failureOf(ask(sorted(6_000_000)))
  expect([failure, message]).toEqual(['memory', expect.stringContaining('max_temp_directory_size')])
  expect(readdirSync(workspaces)).toEqual([])
})

test('a query that takes too long is given up, and its core is free', async () => {
  const startedAt = performance.now()
  const { failure } = await failureOf(ask(HEAVY, { timeoutMs: 300 }))
  expect(failure).toBe('timeout')
  expect(performance.now() - startedAt).toBeLessThan(SOON_MS)
  expect(await ask('SELECT 1 AS a')).toBe(1)
  expect(childPids().length).toBe(1)
})

test('what minds no interrupt is killed', async () => {
  const { failure } = await failureOf(
    ask("SELECT lpad('x', 1500000000, 'y') AS x", { timeoutMs: 100 }),
  )
  expect(failure).toBe('timeout')
  expect(await ask('SELECT 1 AS a')).toBe(1)
})

test('who gives up is answered within a second', async () => {
  const controller = new AbortController()
  const work = ask(HEAVY, { signal: controller.signal, timeoutMs: 60_000 })
  await Bun.sleep(700)
  const abortedAt = performance.now()
  controller.abort(new Error('enough'))
  let reason: unknown
  await work.catch((error: unknown) => (reason = error))
  expect(reason).toEqual(new Error('enough'))
  expect(performance.now() - abortedAt).toBeLessThan(SOON_MS)
  expect(readdirSync(workspaces)).toEqual([])
})

test('it says how far it is', async () => {
  const controller = new AbortController()
  const shares: number[] = []
  const each = 'list_sum(list_transform(range(1000), x -> hash(x + a) % 7))'
  const work = ask(`SELECT sum(${each}) AS x FROM read_parquet('${groups}')`, {
    signal: controller.signal,
    onProgress: (share) => shares.push(share),
    timeoutMs: 60_000,
  }).catch(() => 'given up')
  await until(() => new Set(shares).size >= 3, 50_000)
  controller.abort()
  expect(await work).toBe('given up')
  for (const share of shares) expect(share).toBeWithin(0, 1)
  expect(shares).toEqual(shares.toSorted((a, b) => a - b))
})

test('so many run at once, so many wait, and no more', async () => {
  const small = open(1, 1)
  const controller = new AbortController()
  const first = ask(HEAVY, { engine: small, signal: controller.signal }).catch(() => 'given up')
  const second = ask('SELECT 2 AS a', { engine: small })
  let refusal: unknown
  await ask('SELECT 3 AS a', { engine: small }).catch((error: unknown) => (refusal = error))
  expect(refusal).toBeInstanceOf(EngineFull)
  controller.abort()
  expect(await first).toBe('given up')
  expect(await second).toBe(1)
  await small.close()
})

test('who gives up while waiting leaves the line', async () => {
  const small = open(1, 2)
  const controller = new AbortController()
  const first = ask('SELECT sum(range) AS a FROM range(50000000)', { engine: small })
  const second = ask('SELECT 2 AS a', { engine: small, signal: controller.signal })
  const third = ask('SELECT 3 AS a', { engine: small })
  controller.abort()
  await second.then(
    () => expect.unreachable(),
    () => expect(small.waiting).toBe(1),
  )
  expect(await Promise.all([first, third])).toEqual([1, 1])
  await small.close()
})

test('a process that dies takes its own query along, and no other', async () => {
  const pair = open(2)
  const before = new Set(childPids())
  const [one, other] = [
    ask(HEAVY, { engine: pair }).catch((error: unknown) => error),
    ask('SELECT sum(range) AS a FROM range(300000000)', { engine: pair, timeoutMs: 30_000 }),
  ]
  const strange = () => childPids().filter((pid) => !before.has(pid))
  await until(() => strange().length === 2)
  const [victim] = strange()
  process.kill(victim!, 'SIGKILL')
  const settled = await Promise.allSettled([one, other])
  const failed = settled.filter(
    (each) => each.status === 'rejected' || each.value instanceof WorkFailed,
  )
  expect(failed.length).toBe(1)
  expect(await ask('SELECT 1 AS a', { engine: pair })).toBe(1)
  await pair.close()
})

test('nothing is left when it closes while processes start', async () => {
  const brief = open(1)
  const before = childPids().length
  const works = ['SELECT 1 AS a', 'SELECT 2 AS a'].map((sql) =>
    failureOf(ask(sql, { engine: brief })),
  )
  await brief.close()
  for (const { failure } of await Promise.all(works)) expect(failure).toBe('interrupted')
  await until(() => childPids().length <= before)
  expect(readdirSync(workspaces)).toEqual([])
  expect((await failureOf(ask('SELECT 3 AS a', { engine: brief }))).failure).toBe('interrupted')
})

test('nothing is left when it closes in the middle', async () => {
  const brief = open(2)
  const before = childPids().length
  const work = ask(HEAVY, { engine: brief, timeoutMs: 60_000 }).catch((error: unknown) => error)
  await Bun.sleep(500)
  await brief.close()
  expect(await work).toBeInstanceOf(WorkFailed)
  await until(() => childPids().length <= before)
  expect(readdirSync(workspaces)).toEqual([])
})

test('processes end with the server that has begun them, whatever they do', async () => {
  const script = join(import.meta.dir, 'engine.fixture.ts')
  const parent = Bun.spawn([process.execPath, script, workspaces, HEAVY], { stdout: 'pipe' })
  const reader = (parent.stdout as ReadableStream<Uint8Array>).getReader()
  const { value } = await reader.read()
  const pid = Number(new TextDecoder().decode(value))
  expect(existsSync(`/proc/${pid}`)).toBe(true)
  parent.kill('SIGKILL')
  await parent.exited
  await until(() => !existsSync(`/proc/${pid}`))
  // What it left there goes when the next server starts.
  expect(readdirSync(workspaces).length).toBe(1)
  openPartials(workspaces)
  expect(readdirSync(workspaces)).toEqual([])
})
