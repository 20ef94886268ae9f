// A process that writes rows and their events until it is killed, and publishes none of them.
// Usage: bun process.fixture.ts DRIVER WHERE
import { Registry } from 'prom-client'

import { createMemoryBus } from '../bus/memory.ts'
import { systemClock } from '../clock.ts'
import { drivers } from '../database/drivers.fixture.ts'
import { openLog } from '../log.ts'
import { createOutbox } from './outbox.ts'

const [name, where = ''] = process.argv.slice(2)
const driver = drivers.find((each) => each.name === name)!
const database = await driver.open(where)
const { log } = openLog({ LOG_LEVEL: 'silent' })
const rest = { source: 'https://quintet.example', clock: systemClock, log }
const bus = createMemoryBus<{ 'thing.made': { id: string } }>(rest)
const outbox = createOutbox({ ...rest, database, bus, metrics: new Registry(), pollMs: 1000 })
const { table, column } = driver.kit
const things = table('things', { id: column.text().primaryKey() })

for (;;) {
  const id = Bun.randomUUIDv7()
  await database.write(async (tx) => {
    await tx.insert(things).values({ id })
    await outbox.add(tx, 'thing.made', { id })
  })
  // Said only when it is committed.
  process.stdout.write(`${id}\n`)
}
