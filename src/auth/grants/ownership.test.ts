import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { createTestClock } from '../../../tests/support/clock.ts'
import type { Ownership } from '../../gateway/access.ts'
import type { Database } from '../../platform/database/database.ts'
import { drivers } from '../../platform/database/drivers.fixture.ts'
import { authTables } from '../tables.ts'
import { createAccess, type SharedAccess } from './access.ts'
import type { Grantees } from './grantees.ts'
import { createOwnership } from './ownership.ts'

const MODEL = { kind: 'model', id: 'churn' }
const nobody = { kind: 'anonymous', id: '203.0.113.7', scopes: new Set<never>() } as const

/** Of whom ada is still here. */
const grantees = {
  find: async (_: unknown, ids: readonly string[]) =>
    ids.filter((id) => id === 'ada').map((id) => ({ id, kind: 'user' as const, name: 'Ada' })),
} as Grantees

describe.each(drivers.map((driver) => [driver.name, driver] as const))('on %s', (_, driver) => {
  let place: Awaited<ReturnType<typeof driver.create>>
  let database: Database
  let ownership: Ownership
  let access: SharedAccess
  beforeEach(async () => {
    place = await driver.create()
    database = await driver.open(place.where)
    const tables = authTables(database.kit)
    access = createAccess({ database, tables, clock: createTestClock() })
    access.define({
      kind: 'model',
      scopes: { read: 'models:read', write: 'models:write' },
      team: 'read',
      exists: () => true,
    })
    ownership = createOwnership({ database, tables, access, grantees })
  })
  afterEach(async () => {
    await database.close()
    await place.remove()
  })

  const begin = (ownerId: string | null, team: 'none' | 'read' = 'none') =>
    database.write((tx) => ownership.begin(tx, MODEL, { ownerId, team }))
  const teamMayRead = async () => {
    ownership.forget(MODEL)
    return access.mayAccess(nobody, 'read', MODEL)
  }
  const owner = async () => (await ownership.ownersOf('model', ['churn'])).get('churn')

  test('what begins has its owner, and what the team may do', async () => {
    expect(await teamMayRead()).toBe(true)
    await begin('ada')
    expect(await owner()).toEqual({ id: 'ada', kind: 'user', name: 'Ada' })
    expect(await teamMayRead()).toBe(false)
    expect(await ownership.ownedBy(database.read, 'model', 'ada')).toEqual(['churn'])
    expect(await ownership.ownedBy(database.read, 'dataset', 'ada')).toEqual([])
  })

  test('what has begun keeps both', async () => {
    await begin('ada')
    await begin('eve', 'read')
    expect(await owner()).toMatchObject({ id: 'ada' })
    expect(await teamMayRead()).toBe(false)
  })

  test('what began without an owner gets one', async () => {
    await begin(null, 'read')
    expect(await owner()).toBeUndefined()
    await begin('ada')
    expect(await owner()).toMatchObject({ id: 'ada' })
    expect(await teamMayRead()).toBe(true)
  })

  test('an owner who is gone is told of to nobody', async () => {
    await begin('eve')
    expect(await owner()).toBeUndefined()
  })

  test('what ends leaves nothing', async () => {
    await begin('ada')
    await database.write((tx) => ownership.end(tx, MODEL))
    expect([await owner(), await teamMayRead()]).toEqual([undefined, true])
    expect(await ownership.ownedBy(database.read, 'model', 'ada')).toEqual([])
  })
})
