import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { openLog } from '../../platform/log.ts'
import { openPartials } from '../../platform/storage/partial.ts'
import { createEngine } from './engine.ts'

/** Begins a query that takes long, and says by which process. */
const [workspaces, sql] = process.argv.slice(2)
const engine = createEngine({
  atOnceMax: 1,
  waitingMax: 1,
  means: { threads: 1, memoryBytesMax: 256 * 2 ** 20 },
  spillBytesMax: 2 ** 20,
  partials: openPartials(workspaces!),
  log: openLog({ LOG_LEVEL: 'silent' }, { write: () => {} }).log,
})
const work = engine.run(
  'query',
  [],
  (directory) => ({
    sql: sql!,
    parameters: {},
    path: join(directory, 'rows.parquet'),
    format: 'parquet',
    bytesMax: 2 ** 30,
  }),
  { timeoutMs: 60_000, take: async () => {} },
)
// Its directory is made when there is a process to work in it.
while (readdirSync(workspaces!).length === 0) await Bun.sleep(10)
const children = await Bun.$`pgrep -P ${process.pid}`.text()
process.stdout.write(children.trim())
await work
