import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'

import { SQL } from 'bun'

import { type Extent, type KilledDatabase, killInMidWrite } from './kills.ts'
import { killWhileModelsChange, type ModelExtent } from './model-kills.ts'
import { newDirectory } from './server.ts'
import { createTestDatabase } from './services/postgres.ts'

async function onSqlite(): Promise<KilledDatabase> {
  const directory = newDirectory()
  const query = async (statement: string) => {
    using database = new Database(join(directory, 'quintet.db'))
    return database.query(statement).values()
  }
  return {
    name: 'sqlite',
    settings: { DATA_DIR: directory },
    query,
    async check() {
      expect(await query('pragma integrity_check')).toEqual([['ok']])
    },
    remove: async () => rmSync(directory, { recursive: true }),
  }
}

async function onPostgres(): Promise<KilledDatabase> {
  const directory = newDirectory()
  const { url, remove } = await createTestDatabase()
  return {
    name: 'postgres',
    settings: { DATA_DIR: directory, DATABASE_URL: url },
    async query(statement) {
      await using client = new SQL(url, { max: 1 })
      return (await client.unsafe(statement).values()) as unknown[][]
    },
    // It was not Postgres that was killed.
    async check() {},
    async remove() {
      await remove()
      rmSync(directory, { recursive: true })
    },
  }
}

const killedDatabases: [string, () => Promise<KilledDatabase>][] = [['sqlite', onSqlite]]
if (process.env['TEST_DATABASE_URL'] === undefined) {
  process.stderr.write('skipped: kills on Postgres, since TEST_DATABASE_URL is not set\n')
} else killedDatabases.push(['postgres', onPostgres])

/** The test, for as long as there is time for. */
export function testKills(extent: Extent): void {
  test.each(killedDatabases)(
    'an instance that is killed in mid-write on %s loses nothing that it acknowledged, and tears nothing',
    async (_, openDatabase) => {
      const database = await openDatabase()
      await killInMidWrite(database, extent)
      await database.remove()
      expect.hasAssertions()
    },
  )
}

/** The same for models, which are in a database and in a folder. */
export function testModelKills(extent: ModelExtent): void {
  test.each(killedDatabases)(
    'an instance that is killed while models change on %s keeps what it acknowledged, and no half of a model',
    async (_, openDatabase) => {
      const database = await openDatabase()
      await killWhileModelsChange(database, extent)
      await database.remove()
      expect.hasAssertions()
    },
  )
}
