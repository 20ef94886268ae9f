import { expect, test } from 'bun:test'

import { mixedLoad } from '../support/mixed-load.ts'

// More of them in tests/long.
test('under mixed load every request gets one answer, the right one, whatever happens to models and threads', async () => {
  await mixedLoad({ requests: 10_000, concurrency: 200 })
  expect.hasAssertions()
})
