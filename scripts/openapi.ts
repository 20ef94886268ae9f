// Writes openapi.json from the routes. Run it after changing one: bun scripts/openapi.ts
import { join } from 'node:path'

import { openHarness } from '../tests/support/harness.ts'

const harness = await openHarness()
const document: unknown = await (await harness.request({ path: '/openapi.json' })).json()
await Bun.write(
  join(import.meta.dir, '..', 'openapi.json'),
  `${JSON.stringify(document, null, 2)}\n`,
)
await harness.close()
