import { Database as Connection } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { sql } from 'drizzle-orm'
import type { BunSQLiteDatabase } from 'drizzle-orm/bun-sqlite'

import { refusal } from '../../../tests/support/refusal.ts'
import { StartError } from '../start-error.ts'
import { type Database, isDatabaseAway } from './database.ts'
import { openSqlite } from './sqlite.ts'

/** Each takes under half a second where nothing else runs. */
const PROCESSES_TIMEOUT_MS = 30_000

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quintet-sqlite-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** A process that writes `count` rows to `folder`. */
function startWriter(folder: string, count: number) {
  const script = join(import.meta.dir, 'writer.fixture.ts')
  return Bun.spawn([process.execPath, script, 'sqlite', folder, String(count)], {
    stdout: 'pipe',
    stderr: 'pipe',
  })
}

describe('the connections', () => {
  test.each([
    ['journal_mode', 'wal'],
    ['synchronous', 2],
    ['foreign_keys', 1],
    ['busy_timeout', 0],
  ])('write with %s = %p', async (pragma, value) => {
    const database = await openSqlite(directory)
    const [row] = await database.write(async (tx) =>
      (tx as unknown as BunSQLiteDatabase).values(sql.raw(`pragma ${pragma}`)),
    )
    expect(row).toEqual([value])
    await database.close()
  })

  test('read without being able to write', async () => {
    const database = await openSqlite(directory)
    const reads = database.read as unknown as BunSQLiteDatabase
    const attempt = async () => reads.run(sql`delete from accounts`)
    expect(await refusal(attempt())).toMatchObject({ cause: { code: 'SQLITE_READONLY' } })
    await database.close()
  })
})

describe('the folder', () => {
  test('is made when it is missing, for its owner only', async () => {
    const inner = join(directory, 'not', 'yet')
    await (await openSqlite(inner)).close()
    expect(statSync(inner).mode & 0o777).toBe(0o700)
  })

  test.each([
    ['below a file', () => join(directory, 'file', 'data')],
    ['where nothing can be made', () => '/proc/quintet'],
    ['with a database that is none', () => directory],
  ])('%s is refused by the name of its setting', async (_, path) => {
    writeFileSync(join(directory, 'file'), '')
    writeFileSync(join(directory, 'quintet.db'), 'This is a text. '.repeat(100))
    const error = await refusal(openSqlite(path()))
    expect(error).toBeInstanceOf(StartError)
    expect(String(error)).toContain(path())
    expect(String(error)).toContain('DATA_DIR')
  })
})

describe('several processes', () => {
  const endOf = async ({ stderr, exited }: ReturnType<typeof startWriter>) => ({
    code: await exited,
    said: await stderr.text(),
  })
  const well = { code: 0, said: '' }

  test.each(['wal', 'delete'])(
    'wait for the one that changes the schema, in journal mode %s',
    async (mode) => {
      using connection = new Connection(join(directory, 'quintet.db'), { create: true })
      connection.run('pragma busy_timeout = 5000')
      connection.run(`pragma journal_mode = ${mode}`)
      connection.run('begin immediate')
      connection.run('create table changed (id text)')
      const writer = startWriter(directory, 1)
      await Bun.sleep(200)
      connection.run('commit')
      expect(await endOf(writer)).toEqual(well)
    },
    PROCESSES_TIMEOUT_MS,
  )
})

describe('another process that writes', () => {
  let database: Database
  let other: Connection
  beforeEach(async () => {
    database = await openSqlite(directory)
    other = new Connection(join(directory, 'quintet.db'))
    other.run('begin immediate')
  })
  afterEach(async () => {
    other.close()
    await database.close()
  })

  test('is waited for, while all else goes on', async () => {
    let ticks = 0
    const ticking = setInterval(() => ticks++, 5)
    const written = database.write(async () => 'written')
    await Bun.sleep(300)
    await database.ping()
    other.run('commit')
    expect(await written).toBe('written')
    clearInterval(ticking)
    expect(ticks).toBeGreaterThan(20)
  })

  test('is given up on after a second, as a database that is away', async () => {
    const askedAt = performance.now()
    const error = await refusal(database.write(async () => {}))
    expect(isDatabaseAway(error)).toBe(true)
    expect(performance.now() - askedAt).toBeWithin(900, 3000)
    other.run('commit')
    await database.write(async () => {})
  })
})

test('the files are for their owner alone, also in a folder that others may read', async () => {
  chmodSync(directory, 0o755)
  const database = await openSqlite(directory)
  for (const file of readdirSync(directory)) {
    expect({ file, mode: statSync(join(directory, file)).mode & 0o777 }).toEqual({
      file,
      mode: 0o600,
    })
  }
  await database.close()
})
