import { afterAll, beforeAll, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { type Harness, openHarness } from '../../../tests/support/harness.ts'
import { until } from '../../../tests/support/until.ts'
import { authTables } from '../tables.ts'

const IDLE_MS = 7 * 86_400_000

let harness: Harness
beforeAll(async () => {
  harness = await openHarness({ TOKEN_CACHE_MAX: '2', PASSWORD_QUEUE_MAX: '1' })
  await harness.addAccount({ username: 'ada' })
})
afterAll(() => harness.close())

const statusFor = async (token: string, path = '/api/v1/models') =>
  (await harness.request({ path, token })).status
const tables = () => authTables(harness.platform.database.kit)

test('a revocation by another process is seen within a second', async () => {
  const token = await harness.logIn('ada')
  expect(await statusFor(token)).toBe(200)
  await harness.platform.database.write(async (tx) => {
    await tx.delete(tables().sessions)
  })
  expect(await statusFor(token)).toBe(200)
  harness.clock.advance(1000)
  expect(await statusFor(token)).toBe(401)
  harness.clock.advance(-1000)
  expect(await statusFor(token)).toBe(401)
})

test('a changed role counts within a second, whatever the token says', async () => {
  const token = await harness.logIn('ada')
  const metrics = () => statusFor(token, '/metrics')
  expect(await metrics()).toBe(403)
  await harness.platform.database.write(async (tx) => {
    await tx
      .update(tables().accounts)
      .set({ role: 'admin' })
      .where(eq(tables().accounts.username, 'ada'))
  })
  harness.clock.advance(1000)
  expect(await metrics()).toBe(200)
})

test('more tokens than the cache holds are all honoured', async () => {
  const tokens = await Promise.all([1, 2, 3].map(() => harness.app.auth.administratorToken()))
  for (const token of [...tokens, ...tokens]) expect(await statusFor(token)).toBe(200)
})

test('a flood of logins is refused at the limit, and says when to come back', async () => {
  const body = { username: 'nobody', password: 'some password' }
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => harness.request({ path: '/api/v1/auth/login', body })),
  )
  const refused = answers.filter(({ status }) => status === 503)
  expect(answers.every(({ status }) => status === 401 || status === 503)).toBe(true)
  expect(refused.length).toBeGreaterThan(0)
  for (const { headers } of refused) expect(headers.get('retry-after')).toBe('2')
})

test('an expired session leaves the database, and no other', async () => {
  const fresh = await openHarness()
  const stored = async () =>
    (await fresh.platform.database.read.select().from(tables().sessions)).length
  await fresh.logIn('admin')
  const before = await stored()
  fresh.clock.advance(IDLE_MS + 1000)
  await fresh.logIn('admin')
  await until(async () => (await stored()) === 1)
  expect(before).toBeGreaterThan(0)
  await fresh.close()
})

test('of many first requests at once none is refused', async () => {
  const fresh = await openHarness()
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const response = await fresh.request({ path: '/api/v1/models', token: fresh.adminToken })
      return response.status
    }),
  )
  expect(new Set(statuses)).toEqual(new Set([200]))
  await fresh.close()
})
