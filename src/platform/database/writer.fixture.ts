// A process that opens a database and writes rows to it: for tests of what several processes do to
// one database, and of what a killed one leaves behind. Each row is written twice, in one write.
// Usage: bun writer.fixture.ts DRIVER WHERE COUNT [FILE that it waits for]
import { existsSync } from 'node:fs'

import { drivers } from './drivers.fixture.ts'

const [name, where = '', count, signal = '.'] = process.argv.slice(2)
const driver = drivers.find((each) => each.name === name)!
const { table, column } = driver.kit
const rows = table('rows', { id: column.text().primaryKey() })

while (!existsSync(signal)) Bun.sleepSync(1)
const database = await driver.open(where)
await driver.execute(where, 'create table if not exists rows (id text primary key)').catch(() => {})

for (let written = 0; written < Number(count); written += 1) {
  const id = Bun.randomUUIDv7()
  await database.write(async (tx) => {
    await tx.insert(rows).values({ id })
    await tx.insert(rows).values({ id: `${id} again` })
  })
  // Said only when it is committed.
  process.stdout.write(`${id}\n`)
}
await database.close()
