import { Database as Connection } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'

import { sql } from 'drizzle-orm'
import type { BunSQLiteDatabase } from 'drizzle-orm/bun-sqlite'

import { refusal } from '../../../tests/support/refusal.ts'
import { StartError } from '../start-error.ts'
import { openSqlite } from './sqlite.ts'

/** Each takes under half a second where nothing else runs. */
const PROCESSES_TIMEOUT_MS = 30_000
const root = join(import.meta.dir, '..', '..', '..')

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quintet-sqlite-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** Looks into the database past the code under test. */
function query(statement: string, folder = directory): unknown[] {
  using connection = new Connection(join(folder, 'quintet.db'), { readonly: true })
  return connection.query(statement).values().flat()
}

/** A process that writes `count` rows to `folder`, and says the id of each. */
function startWriter(folder: string, count: number, signal: string[] = []) {
  const script = join(import.meta.dir, 'sqlite.fixture.ts')
  return Bun.spawn([process.execPath, script, folder, String(count), ...signal], {
    stdout: 'pipe',
    stderr: 'pipe',
  })
}

describe('the connections', () => {
  test.each([
    ['journal_mode', 'wal'],
    ['synchronous', 2],
    ['foreign_keys', 1],
    ['busy_timeout', 5000],
  ])('write with %s = %p', async (pragma, value) => {
    const database = openSqlite(directory)
    const [row] = await database.write(async (tx) =>
      (tx as unknown as BunSQLiteDatabase).values(sql.raw(`pragma ${pragma}`)),
    )
    expect(row).toEqual([value])
    await database.close()
  })

  test('read without being able to write', async () => {
    const database = openSqlite(directory)
    const reads = database.read as unknown as BunSQLiteDatabase
    const attempt = async () => reads.run(sql`delete from accounts`)
    expect(await refusal(attempt())).toMatchObject({ cause: { code: 'SQLITE_READONLY' } })
    await database.close()
  })
})

describe('the folder', () => {
  test('is made when it is missing, for its owner only', async () => {
    const inner = join(directory, 'not', 'yet')
    await openSqlite(inner).close()
    expect(statSync(inner).mode & 0o777).toBe(0o700)
  })

  test.each([
    ['below a file', () => join(directory, 'file', 'data')],
    ['where nothing can be made', () => '/proc/quintet'],
    ['with a database that is none', () => directory],
  ])('%s is refused by the name of its setting', (_, path) => {
    writeFileSync(join(directory, 'file'), '')
    writeFileSync(join(directory, 'quintet.db'), 'This is a text. '.repeat(100))
    expect(() => openSqlite(path())).toThrow(StartError)
    expect(() => openSqlite(path())).toThrow(path())
    expect(() => openSqlite(path())).toThrow('DATA_DIR')
  })
})

describe('the schema', () => {
  const migrations = () => query('select hash, created_at from schema_migrations')
  const schema = () => query('select sql from sqlite_master order by name')

  test('is left as it is when it is the latest', async () => {
    await openSqlite(directory).close()
    const before = [migrations(), schema()]
    await openSqlite(directory).close()
    expect([migrations(), schema()]).toEqual(before)
    expect(migrations()).not.toEqual([])
  })

  test('of a newer version is refused, and left as it is', async () => {
    await openSqlite(directory).close()
    using connection = new Connection(join(directory, 'quintet.db'))
    connection.run(`insert into schema_migrations (hash, created_at) values ('', 4102444800000)`)
    const before = schema()
    expect(() => openSqlite(directory)).toThrow(StartError)
    expect(() => openSqlite(directory)).toThrow('was written by a newer version of Quintet')
    expect(schema()).toEqual(before)
  })

  test('that changes under a running process is noticed', async () => {
    const database = openSqlite(directory)
    await database.requireMigrated()
    using connection = new Connection(join(directory, 'quintet.db'))
    connection.run(`insert into schema_migrations (hash, created_at) values ('', 4102444800000)`)
    expect(String(await refusal(database.requireMigrated()))).toContain('of another version')
    await database.close()
  })

  test(
    'is what the features declare',
    async () => {
      const committed = join(import.meta.dir, 'migrations', 'sqlite')
      cpSync(committed, directory, { recursive: true })
      const { stdout, exitCode } = Bun.spawnSync(
        [process.execPath, '--bun', 'drizzle-kit', 'generate']
          .concat(['--dialect', 'sqlite', '--casing', 'snake_case'])
          .concat(['--schema', 'scripts/schema.sqlite.ts', '--out', relative(root, directory)]),
        { cwd: root, stderr: 'pipe' },
      )
      // A table without its migration: run scripts/migrations with a name for the change.
      expect(stdout.toString()).toContain('No schema changes')
      expect(exitCode).toBe(0)
      expect(readdirSync(directory).toSorted()).toEqual(readdirSync(committed).toSorted())
    },
    PROCESSES_TIMEOUT_MS,
  )
})

describe('several processes', () => {
  const endOf = async ({ stderr, exited }: ReturnType<typeof startWriter>) => ({
    code: await exited,
    said: await stderr.text(),
  })
  const well = { code: 0, said: '' }

  test(
    'open one empty folder at once',
    async () => {
      const [folder, signal] = [join(directory, 'data'), join(directory, 'signal')]
      const writers = Array.from({ length: 4 }, () => startWriter(folder, 5, [signal]))
      await Bun.sleep(200)
      writeFileSync(signal, '')
      expect(await Promise.all(writers.map(endOf))).toEqual(writers.map(() => well))
      expect(query('select count(*) from rows', folder)).toEqual([20])
      const repeated = 'select count(*) - count(distinct hash) from schema_migrations'
      expect(query(repeated, folder)).toEqual([0])
    },
    PROCESSES_TIMEOUT_MS,
  )

  test.each(['wal', 'delete'])(
    'wait for the one that changes the schema, in journal mode %s',
    async (mode) => {
      using connection = new Connection(join(directory, 'quintet.db'), { create: true })
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

describe('a killed process', () => {
  test(
    'loses nothing that it has acknowledged',
    async () => {
      const acknowledged: string[] = []
      for (let round = 0; round < 3; round += 1) {
        const writer = startWriter(directory, 1e9)
        let said = ''
        for await (const chunk of writer.stdout) {
          said += Buffer.from(chunk).toString()
          if (said.length > 37 * (20 + 7 * round)) writer.kill('SIGKILL')
        }
        acknowledged.push(...said.split('\n').slice(0, -1))
        await openSqlite(directory).close()
      }
      expect(query('select id from rows')).toEqual(expect.arrayContaining(acknowledged))
      expect(acknowledged.length).toBeGreaterThan(60)
      expect(query('pragma integrity_check')).toEqual(['ok'])
    },
    PROCESSES_TIMEOUT_MS,
  )
})

test('the files are for their owner alone, also in a folder that others may read', () => {
  chmodSync(directory, 0o755)
  const database = openSqlite(directory)
  for (const file of readdirSync(directory)) {
    expect({ file, mode: statSync(join(directory, file)).mode & 0o777 }).toEqual({
      file,
      mode: 0o600,
    })
  }
  return database.close()
})
