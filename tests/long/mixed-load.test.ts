import { expect, test } from 'bun:test'

import { mixedLoad } from '../support/mixed-load.ts'

test('under mixed load for long every request gets one answer, the right one', async () => {
  await mixedLoad({ requests: 100_000, concurrency: 200 })
  expect.hasAssertions()
})
