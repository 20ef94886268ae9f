import { Database as Connection } from 'bun:sqlite'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { SQL } from 'bun'

import { createTestDatabase } from '../../../tests/support/services/postgres.ts'
import { type Kit, postgresKit, sqliteKit } from './columns.ts'
import type { Database } from './database.ts'
import { openPostgres } from './postgres.ts'
import { openSqlite } from './sqlite.ts'

/** A driver as the contract suite needs it. */
export interface Driver {
  name: Database['driver']
  kit: Kit
  /** An empty database of its own: a folder, or an address. */
  create(): Promise<{ where: string; remove: () => Promise<void> }>
  open(where: string): Promise<Database>
  /** Runs a statement past the code under test, and gives what it returns, value by value. */
  execute(where: string, statement: string): Promise<unknown[]>
}

const sqlite: Driver = {
  name: 'sqlite',
  kit: sqliteKit,
  async create() {
    const where = mkdtempSync(join(tmpdir(), 'quintet-sqlite-'))
    return { where, remove: async () => rmSync(where, { recursive: true, force: true }) }
  },
  open: openSqlite,
  async execute(where, statement) {
    using connection = new Connection(join(where, 'quintet.db'))
    connection.run('pragma busy_timeout = 5000')
    return connection.query(statement).values().flat()
  },
}

const postgres: Driver = {
  name: 'postgres',
  kit: postgresKit,
  async create() {
    const { url, remove } = await createTestDatabase()
    return { where: url, remove }
  },
  open: (url) => openPostgres({ url, connectionsMax: 10, statementTimeoutMs: 30_000 }),
  async execute(where, statement) {
    await using client = new SQL(where, { max: 1 })
    return ((await client.unsafe(statement).values()) as unknown[][]).flat()
  },
}

/** Every driver whose server is at hand. */
export const drivers: Driver[] = [
  sqlite,
  ...(process.env['TEST_DATABASE_URL'] === undefined ? [] : [postgres]),
]
