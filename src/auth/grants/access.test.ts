import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { createTestClock, type TestClock } from '../../../tests/support/clock.ts'
import { refusal } from '../../../tests/support/refusal.ts'
import type { Action, TeamAccess } from '../../gateway/access.ts'
import type { Identity, Principal } from '../../gateway/principal.ts'
import { roleScopes } from '../../gateway/scopes.ts'
import { type Database, isUniqueViolation } from '../../platform/database/database.ts'
import { drivers } from '../../platform/database/drivers.fixture.ts'
import { authTables } from '../tables.ts'
import { createAccess } from './access.ts'

const RESOURCES = 12
const ROUNDS = 25
const actions: Action[] = ['read', 'write']
const teams: TeamAccess[] = ['none', 'read', 'write']

const person = (id: string, role: 'viewer' | 'admin' = 'viewer'): Identity => ({
  kind: 'account',
  id,
  username: id,
  role,
  sessionId: undefined,
  scopes: new Set(roleScopes[role]),
})
const program: Identity = {
  kind: 'service-account',
  id: 'program',
  name: 'program',
  scopes: new Set(['predict']),
}
const anonymous: Principal = { kind: 'anonymous', id: '203.0.113.7', scopes: new Set(['predict']) }
const principals = [person('ada'), person('eve'), person('admin', 'admin'), program, anonymous]

/** Mulberry32: the same rounds at every run. */
function createRandom(seed: number) {
  const next = () => {
    seed = (seed + 0x6d2b79f5) | 0
    let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
  return <T>(choices: readonly T[]): T => choices[Math.floor(next() * choices.length)]!
}

describe.each(drivers.map((driver) => [driver.name, driver] as const))('on %s', (_, driver) => {
  let place: Awaited<ReturnType<typeof driver.create>>
  let database: Database
  let clock: TestClock
  let tables: ReturnType<typeof authTables>
  beforeEach(async () => {
    place = await driver.create()
    database = await driver.open(place.where)
    clock = createTestClock()
    tables = authTables(database.kit)
  })
  afterEach(async () => {
    await database.close()
    await place.remove()
  })

  const open = () => {
    const access = createAccess({ database, tables, clock })
    for (const team of teams) {
      const scopes = { read: 'models:read', write: 'models:write' } as const
      access.define({ kind: `${team} unless said`, scopes, team, exists: () => true })
    }
    return access
  }
  type Grant = typeof tables.grants.$inferInsert
  const grant = (...rows: Grant[]) =>
    database.write(async (tx) => {
      await tx.insert(tables.grants).values(rows)
    })
  const clear = () =>
    database.write(async (tx) => {
      await tx.delete(tables.grants)
    })

  test('what may be done to a resource, and which are listed, agrees on any grants', async () => {
    const pick = createRandom(20_260_102)
    const ids = Array.from({ length: RESOURCES }, (__, n) => `resource-${n}`)
    // A table with ids, as a feature has one.
    const { secrets: resources } = tables
    await database.write(async (tx) => {
      await tx.insert(resources).values(ids.map((name) => ({ name, value: '' })))
    })
    const counts = { may: 0, mayNot: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const rows = teams.flatMap((team) =>
        ids.flatMap((resourceId) => randomGrants(pick, `${team} unless said`, resourceId)),
      )
      await clear()
      if (rows.length > 0) await grant(...rows)
      const access = open()
      for (const principal of principals) {
        for (const action of actions) {
          const kind = `${pick(teams)} unless said`
          const allowed: string[] = []
          for (const id of ids) {
            if (await access.mayAccess(principal, action, { kind, id })) allowed.push(id)
          }
          const accessible = access.accessible(principal, action, kind)
          const listed = await database.read
            .select({ id: resources.name })
            .from(resources)
            .where(accessible.where(resources.name))
          expect([...(await accessible.among(ids))]).toEqual(allowed)
          expect(listed.map(({ id }) => id).toSorted()).toEqual(allowed.toSorted())
          counts.may += allowed.length
          counts.mayNot += ids.length - allowed.length
        }
      }
    }
    expect(Math.min(counts.may, counts.mayNot)).toBeGreaterThan(500)
  })

  test('a change by another process is seen within a second', async () => {
    const [one, other] = [open(), open()]
    const resource = { kind: 'read unless said', id: 'a' }
    const ask = async () =>
      Promise.all([one, other].map(async (each) => each.mayAccess(person('ada'), 'read', resource)))
    expect(await ask()).toEqual([true, true])
    await grant({ kind: resource.kind, resourceId: 'a', principalId: 'team', access: 'none' })
    one.forget(resource)
    expect(await ask()).toEqual([false, true])
    clock.advance(1000)
    expect(await ask()).toEqual([false, false])
    await clear()
    clock.advance(1000)
    expect(await ask()).toEqual([true, true])
  })

  test('what was asked for a moment ago is answered at once', async () => {
    const access = open()
    const resource = { kind: 'read unless said', id: 'a' }
    await access.mayAccess(person('ada'), 'read', resource)
    expect(access.mayAccess(person('eve'), 'read', resource)).toBe(true)
    expect(access.mayAccess(person('eve'), 'write', resource)).toBe(false)
  })

  test('a key counts as its owner, as far as its own scopes go', async () => {
    const access = open()
    const kind = 'none unless said'
    await grant({ kind, resourceId: 'a', principalId: 'ada', access: 'own' })
    const key = (id: string): Identity => ({
      ...person(id, 'admin'),
      scopes: new Set(['predict']),
    })
    const may = (principal: Identity, id: string) =>
      access.mayAccess(principal, 'write', { kind, id })
    expect(await may(key('ada'), 'a')).toBe(true)
    expect(await may(key('ada'), 'b')).toBe(false)
    expect(await may(key('admin'), 'a')).toBe(false)
    expect(await may(person('admin', 'admin'), 'a')).toBe(true)
  })

  test('a grant of one kind says nothing of another', async () => {
    const access = open()
    const owned = { resourceId: 'a', principalId: 'ada', access: 'own' as const }
    await grant({ kind: 'read unless said', ...owned })
    const may = (kind: string) => access.mayAccess(person('ada'), 'write', { kind, id: 'a' })
    expect(await may('read unless said')).toBe(true)
    expect(await may('none unless said')).toBe(false)
  })

  test('a resource has one owner', async () => {
    const kind = 'read unless said'
    const own = (principalId: string) =>
      grant({ kind, resourceId: 'a', principalId, access: 'own' })
    await own('ada')
    expect(isUniqueViolation(await refusal(own('eve')))).toBe(true)
    const rows = await database.read
      .select()
      .from(tables.grants)
      .where(eq(tables.grants.resourceId, 'a'))
    expect(rows.map(({ principalId }) => principalId)).toEqual(['ada'])
  })

  test('a kind that nobody has defined is a bug of ours', () => {
    const ask = () => open().mayAccess(person('ada'), 'read', { kind: 'dataset', id: 'a' })
    expect(ask).toThrow('nobody has said what a dataset is')
  })
})

function randomGrants(
  pick: ReturnType<typeof createRandom>,
  kind: string,
  resourceId: string,
): { kind: string; resourceId: string; principalId: string; access: TeamAccess | 'own' }[] {
  const owner = pick([undefined, 'ada', 'eve', 'program'])
  const team = pick([undefined, ...teams])
  const named = ['ada', 'eve', 'program', '203.0.113.7'].flatMap((principalId) => {
    const access = pick([undefined, undefined, ...actions])
    return access === undefined || principalId === owner ? [] : [{ principalId, access }]
  })
  return [
    ...(owner === undefined ? [] : [{ principalId: owner, access: 'own' as const }]),
    ...(team === undefined ? [] : [{ principalId: 'team', access: team }]),
    ...named,
  ].map((each) => ({ kind, resourceId, ...each }))
}
