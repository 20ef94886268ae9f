import { afterAll, beforeAll, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { type Harness, openHarness, PASSWORD } from '../../../tests/support/harness.ts'
import { bitsOf, randomBitsOf } from '../../../tests/support/random-bits.ts'
import { refusal } from '../../../tests/support/refusal.ts'
import { Problem } from '../../gateway/problem.ts'
import { DatabaseSilent } from '../../platform/database/database.ts'
import { openLog } from '../../platform/log.ts'
import { authTables } from '../tables.ts'
import { type BrowserSessions, createBrowserSessions } from './browser-sessions.ts'
import type { Sessions } from './sessions.ts'

const MINUTE_MS = 60_000

let harness: Harness
let browserSessions: BrowserSessions
let sessionId: string
const lines: string[] = []
/** Whether what is written gets lost on the way. */
let isDiskFull = false
let writes = 0

beforeAll(async () => {
  harness = await openHarness({ TOKEN_CACHE_MAX: '2', RATE_LIMIT_AUTH: '1000' })
  await harness.addAccount({ username: 'ada' })
  const { platform, clock } = harness
  const { database, config } = platform
  browserSessions = createBrowserSessions({
    database: {
      ...database,
      kit: database.kit,
      read: database.read,
      write(run) {
        writes++
        return isDiskFull ? Promise.reject(new DatabaseSilent()) : database.write(run)
      },
    },
    tables: authTables(database.kit),
    rights: { of: () => new Set() },
    sessions: {} as Sessions,
    clock,
    log: openLog(config, { write: (line) => void lines.push(line) }).log,
    idleSeconds: config.SESSION_IDLE_SECONDS,
  })
  await harness.logIn('ada')
  const [stored] = await rows()
  sessionId = stored!.id
})
afterAll(() => harness.close())

const tables = () => authTables(harness.platform.database.kit)
const rows = () => {
  const { sessions, accounts } = tables()
  return harness.platform.database.read
    .select({ id: sessions.id, usedAt: sessions.usedAt, refreshHash: sessions.refreshHash })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.id, sessions.accountId))
    .where(eq(accounts.username, 'ada'))
}
const adopt = () =>
  browserSessions.adopt({ token: '', refreshToken: '', expiresInSeconds: 0, sessionId })

test('a session has one secret: with the next one the last is void', async () => {
  const first = await adopt()
  const second = await adopt()
  expect(first).toMatch(/^qs_[\w-]{43}$/)
  expect(await refusal(browserSessions.read(first))).toBeInstanceOf(Problem)
  const identity = await (await browserSessions.read(second)).load()
  expect(identity).toMatchObject({ kind: 'account', username: 'ada', sessionId })
})

test('a cookie has 256 random bits', async () => {
  expect(await randomBitsOf(async () => bitsOf((await adopt()).slice('qs_'.length)))).toBe(256)
})

test('that a session is used is written down once a minute', async () => {
  const credential = await browserSessions.read(await adopt())
  harness.clock.advance(MINUTE_MS)
  const before = writes
  for (let second = 0; second < 120; second++) {
    await credential.load()
    harness.clock.advance(1000)
  }
  expect(writes - before).toBe(2)
})

test('where it can’t be written down that a session is used, it is good all the same', async () => {
  const credential = await browserSessions.read(await adopt())
  const [before] = await rows()
  harness.clock.advance(MINUTE_MS)
  isDiskFull = true
  expect(await credential.load()).toMatchObject({ username: 'ada' })
  expect((await rows())[0]!.usedAt).toEqual(before!.usedAt)
  expect(lines.join('')).toContain('that a session is used could not be written down')
  isDiskFull = false
  expect(await credential.load()).toMatchObject({ username: 'ada' })
  expect((await rows())[0]!.usedAt!.getTime()).toBe(harness.clock.now())
})

test('more cookies than the cache holds are all honoured', async () => {
  const cookies = await Promise.all(
    [1, 2, 3].map(async () => {
      const response = await harness.request({
        path: '/sign-in',
        body: `username=ada&password=${encodeURIComponent(PASSWORD)}`,
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'sec-fetch-site': 'same-origin',
        },
      })
      return response.headers.get('set-cookie')!.split(';')[0]!
    }),
  )
  for (const cookie of [...cookies, ...cookies]) {
    const response = await harness.request({ path: '/api/v1/me', headers: { cookie } })
    expect(response.status).toBe(200)
  }
})
