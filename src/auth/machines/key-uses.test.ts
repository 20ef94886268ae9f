import { afterAll, beforeAll, beforeEach, expect, spyOn, test } from 'bun:test'

import { type Harness, openHarness } from '../../../tests/support/harness.ts'
import { authTables } from '../tables.ts'
import { createKeyUses, type KeyUses } from './key-uses.ts'

const KEYS = 1_001

let harness: Harness
let uses: KeyUses
const ids = Array.from({ length: KEYS }, (_, n) => `key-${n}`)
const tables = () => authTables(harness.platform.database.kit)

beforeAll(async () => {
  harness = await openHarness()
  const { clock, platform } = harness
  uses = createKeyUses({ database: platform.database, tables: tables(), clock, log: platform.log })
})
afterAll(() => harness.close())
beforeEach(async () => {
  await harness.platform.database.write(async (tx) => {
    await tx.delete(tables().apiKeys)
    const rest = { ownerId: 'o', name: 'n', scopes: [], hint: 'qk_', createdAt: new Date() }
    await tx.insert(tables().apiKeys).values(ids.map((id) => ({ id, hash: id, ...rest })))
  })
})

const used = async () => {
  const rows = await harness.platform.database.read.select().from(tables().apiKeys)
  return rows.filter(({ usedAt }) => usedAt !== null)
}

test('of many keys at once 1,000 are written down in one write, and the others at their next use', async () => {
  const write = spyOn(harness.platform.database, 'write')
  for (const id of [...ids, ...ids]) uses.note(id, null)
  await uses.settled()
  expect(write).toHaveBeenCalledTimes(1)
  write.mockRestore()
  expect(await used()).toHaveLength(1_000)
  uses.note(ids.at(-1)!, null)
  await uses.settled()
  expect(await used()).toHaveLength(KEYS)
})

test('a use is written down once a minute', async () => {
  const now = harness.clock.now()
  uses.note('key-0', new Date(now - 59_999))
  uses.note('key-1', new Date(now - 60_000))
  // Of a clock that is ahead of this one.
  uses.note('key-2', new Date(now + 60_000))
  await uses.settled()
  expect((await used()).map(({ id }) => id).toSorted()).toEqual(['key-1', 'key-2'])
  expect((await used())[0]!.usedAt).toEqual(new Date(now))
})

test('a write that fails harms nobody, and the next use is written', async () => {
  const write = spyOn(harness.platform.database, 'write').mockRejectedValueOnce(new Error('full'))
  uses.note('key-0', null)
  await uses.settled()
  write.mockRestore()
  expect(await used()).toEqual([])
  uses.note('key-0', null)
  await uses.settled()
  expect(await used()).toHaveLength(1)
})

test('nobody waits where there is nothing to write', async () => {
  await uses.settled()
})
