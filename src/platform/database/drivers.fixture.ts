import { Database as Connection } from 'bun:sqlite'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type Kit, sqliteKit } from './columns.ts'
import type { Database } from './database.ts'
import { openSqlite } from './sqlite.ts'

/** Where one database is kept, empty at first. */
export interface Place {
  open(): Promise<Database>
  /** Runs a statement that no `Database` has a verb for, such as `create table`. */
  execute(statement: string): Promise<void>
  remove(): Promise<void>
}

/** A driver as the contract suite needs it. */
interface Driver {
  name: string
  kit: Kit
  createPlace(): Promise<Place>
}

const sqlite: Driver = {
  name: 'sqlite',
  kit: sqliteKit,
  async createPlace() {
    const directory = mkdtempSync(join(tmpdir(), 'quintet-sqlite-'))
    return {
      open: async () => openSqlite(directory),
      async execute(statement) {
        using connection = new Connection(join(directory, 'quintet.db'))
        connection.run(statement)
      },
      async remove() {
        rmSync(directory, { recursive: true, force: true })
      },
    }
  },
}

/** Every driver that the suite runs against. */
export const drivers = [sqlite]
