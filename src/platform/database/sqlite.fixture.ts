// A process that opens the database in a folder and writes rows to it: for tests of what several
// processes do to one folder, and of what a killed one leaves behind.
// Usage: bun sqlite.fixture.ts DIRECTORY COUNT [FILE that it waits for]
import { Database as Connection } from 'bun:sqlite'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { sqliteKit } from './columns.ts'
import { openSqlite } from './sqlite.ts'

const [directory = '', count, signal = '.'] = process.argv.slice(2)
const rows = sqliteKit.table('rows', { id: sqliteKit.column.text().primaryKey() })

while (!existsSync(signal)) Bun.sleepSync(1)
const database = openSqlite(directory)
using connection = new Connection(join(directory, 'quintet.db'))
connection.run('pragma busy_timeout = 5000')
connection.run('create table if not exists rows (id text primary key)')

for (let written = 0; written < Number(count); written += 1) {
  const id = Bun.randomUUIDv7()
  await database.write(async (tx) => void (await tx.insert(rows).values({ id })))
  // Said only when it is committed.
  process.stdout.write(`${id}\n`)
}
await database.close()
