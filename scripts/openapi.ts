// Writes openapi.json from the routes. Run it after changing one: bun scripts/openapi.ts
import { join } from 'node:path'

import { openHarness } from '../tests/support/harness.ts'

const harness = await openHarness()
const response = await harness.request({ path: '/openapi.json' })
const document: unknown = await response.json()
if (!response.ok) throw new Error('The routes have no document.', { cause: document })
await Bun.write(
  join(import.meta.dir, '..', 'openapi.json'),
  `${JSON.stringify(document, null, 2)}\n`,
)
await harness.close()
