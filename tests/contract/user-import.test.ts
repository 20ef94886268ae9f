import { afterAll, beforeAll, describe, expect, spyOn, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { foldName } from '../../src/auth/accounts/names.ts'
import { authTables } from '../../src/auth/tables.ts'
import { type Harness, openHarness } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'

const IMPORT = '/api/v1/users/import'
const LOGIN = '/api/v1/auth/login'
const OURS = '$argon2id$v=19$m=19456,t=2,p=1$'
/** Shorter than a password that could be set here. */
const PASSWORD = 'old one'
const cheap = {
  bcrypt: { algorithm: 'bcrypt', cost: 4 },
  argon2i: { algorithm: 'argon2i', memoryCost: 8, timeCost: 1 },
  argon2id: { algorithm: 'argon2id', memoryCost: 8, timeCost: 1 },
} as const
const hashes = {
  bcrypt: await Bun.password.hash(PASSWORD, cheap.bcrypt),
  argon2i: await Bun.password.hash(PASSWORD, cheap.argon2i),
  argon2id: await Bun.password.hash(PASSWORD, cheap.argon2id),
}

let harness: Harness
const tokens: Record<string, string> = {}
beforeAll(async () => {
  harness = await openHarness({ RATE_LIMIT_AUTH: '100000' })
  await harness.addAccount({ username: 'Eve', email: 'eve@example.com' })
  await harness.addAccount({ username: 'Ed', role: 'editor' })
  tokens['viewer'] = await harness.logIn('eve')
  tokens['editor'] = await harness.logIn('ed')
})
afterAll(() => harness.close())

interface Outcome {
  username: string
  outcome: string
  id: string | null
}

async function importUsers(...users: object[]): Promise<Outcome[]> {
  const response = await harness.request({
    path: IMPORT,
    body: { users },
    token: harness.adminToken,
  })
  expect(response.status).toBe(200)
  return ((await response.json()) as { users: Outcome[] }).users
}
const logIn = (username: string, password = PASSWORD) =>
  harness.request({ path: LOGIN, body: { username, password } })
async function hashOf(username: string): Promise<string> {
  const { database } = harness.platform
  const { accounts } = authTables(database.kit)
  const [row] = await database.read
    .select()
    .from(accounts)
    .where(eq(accounts.usernameFolded, foldName(username)))
  return row!.passwordHash
}

describe('an import refuses', () => {
  const ada = { username: 'Ada', email: 'ada@example.com', password_hash: hashes.bcrypt }
  const body = { users: [ada] }
  /** Behind one that is good: of such a request nothing is done. */
  const refused = (name: string, user: unknown, pointer: string): Row => ({
    name,
    as: 'admin',
    path: IMPORT,
    body: { users: [ada, user] },
    status: 422,
    has: { errors: [{ pointer: `#/users/1${pointer}` }] },
    mustNotContain: ['$2b$', '$2x$', '$6$', '$scrypt'],
  })
  testRequests(
    () => harness,
    [
      { name: 'a stranger', path: IMPORT, body, status: 401 },
      { name: 'a viewer', as: 'viewer', path: IMPORT, body, status: 403 },
      { name: 'an editor', as: 'editor', path: IMPORT, body, status: 403 },
      { name: 'no users', as: 'admin', path: IMPORT, body: { users: [] }, status: 422 },
      { name: 'no list', as: 'admin', path: IMPORT, body: { users: ada }, status: 422 },
      { name: 'a bare list', as: 'admin', path: IMPORT, body: [ada], status: 422 },
      {
        name: 'an unknown member beside the list',
        as: 'admin',
        path: IMPORT,
        body: { ...body, overwrite: true },
        status: 422,
        has: { errors: [{ pointer: '#/overwrite' }] },
      },
      refused('what is no user', 'ada', ''),
      refused('a user without a hash', { username: 'b' }, '/password_hash'),
      refused('a hash that is a number', { username: 'b', password_hash: 7 }, '/password_hash'),
      refused('a hash that is null', { username: 'b', password_hash: null }, '/password_hash'),
      ...[
        PASSWORD,
        '',
        '$scrypt$ln=16,r=8,p=1$c29tZXNhbHQ$aaaa',
        '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO',
        hashes.bcrypt.replace('$2b$', '$2x$'),
        hashes.bcrypt.replace('$04$', '$31$'),
        hashes.argon2id.replace('m=8', 'm=4194304'),
        `${hashes.bcrypt}\u0000`,
        `${hashes.bcrypt}${'x'.repeat(10_000)}`,
      ].map((hash) =>
        refused(
          `the hash ${JSON.stringify(hash.slice(0, 24))}`,
          { username: 'b', password_hash: hash },
          '/password_hash',
        ),
      ),
      refused('a password', { ...ada, username: 'b', password: 'long enough' }, '/password'),
      refused('an id', { ...ada, username: 'b', id: 'chosen' }, '/id'),
      refused('a role that there is not', { ...ada, username: 'b', role: 'root' }, '/role'),
      refused('a name that is an address', { ...ada, username: 'b@example.com' }, '/username'),
      refused('a bad address', { ...ada, username: 'b', email: 'b' }, '/email'),
      {
        name: 'and has done nothing',
        path: LOGIN,
        body: { username: 'ada', password: PASSWORD },
        status: 401,
        events: ['auth.login_failed'],
      },
    ],
    () => tokens,
  )
})

describe('an import', () => {
  testRequests(
    () => harness,
    [
      {
        name: 'tells of each user what became of it, and creates those whose names are free',
        as: 'admin',
        path: IMPORT,
        body: {
          users: [
            { username: ['Rita'], email: ['rita@example.com'], password_hash: [hashes.bcrypt] },
            { username: 'EVE', password_hash: hashes.bcrypt },
            { username: 'Other', email: 'EVE@example.com', password_hash: hashes.bcrypt },
            { username: 'RITA', role: 'admin', password_hash: hashes.bcrypt },
            { username: 'Boss', email: null, role: 'admin', password_hash: hashes.argon2id },
          ],
        },
        status: 200,
        has: {
          users: [
            { username: 'Rita', outcome: 'created', id: expect.any(String) },
            { username: 'EVE', outcome: 'taken', id: null },
            { username: 'Other', outcome: 'taken', id: null },
            { username: 'RITA', outcome: 'taken', id: null },
            { username: 'Boss', outcome: 'created', id: expect.any(String) },
          ],
        },
        mustNotContain: ['$2b$', 'hash'],
        events: ['auth.user_created', 'auth.user_created'],
      },
      {
        name: 'leaves an old password as it was, however short',
        path: LOGIN,
        body: { username: 'RITA@example.com', password: PASSWORD },
        status: 200,
        has: { user: { username: 'Rita', role: 'viewer' } },
        events: ['auth.login'],
      },
      {
        name: 'gives the role',
        path: LOGIN,
        body: { username: 'boss', password: PASSWORD },
        status: 200,
        has: { user: { role: 'admin' } },
        events: ['auth.login'],
      },
    ],
    () => tokens,
  )

  test('that runs twice at once creates each user once', async () => {
    const users = Array.from({ length: 20 }, (_, n) => ({
      username: `twin ${n}`,
      password_hash: hashes.bcrypt,
    }))
    const outcomes = await Promise.all([importUsers(...users), importUsers(...users.toReversed())])
    expect(outcomes.flat().filter(({ outcome }) => outcome === 'created')).toHaveLength(20)
  })
})

describe('the first login renews the hash', () => {
  test.each([
    ['$2a$', hashes.bcrypt.replace('$2b$', '$2a$')],
    ['$2b$', hashes.bcrypt],
    ['$2y$', hashes.bcrypt.replace('$2b$', '$2y$')],
    ['argon2i', hashes.argon2i],
    ['argon2id', hashes.argon2id],
  ])('of %s', async (form, hash) => {
    const username = `by ${form}`
    await importUsers({ username, password_hash: hash })
    expect((await logIn(username, 'wrong one')).status).toBe(401)
    expect(await hashOf(username)).toBe(hash)
    expect((await logIn(username)).status).toBe(200)
    const renewed = await hashOf(username)
    expect(renewed).toStartWith(OURS)
    expect((await logIn(username)).status).toBe(200)
    expect(await hashOf(username)).toBe(renewed)
    expect((await logIn(username, 'wrong one')).status).toBe(401)
  })

  test.each([
    ['characters', 'x'.repeat(72), 'the rest', 'the rset'],
    ['bytes', 'é'.repeat(36), 'ü', 'u'],
    ['bytes in the form that would be hashed', `${'x'.repeat(69)}ﷺ`, '', ' '],
  ])(
    'but not of a password of more %s than bcrypt sees: its end may be mistyped',
    async (by, seen, end, mistyped) => {
      const username = `long ${by}`
      const hash = await Bun.password.hash(seen, cheap.bcrypt)
      await importUsers({ username, password_hash: hash })
      for (const typed of [seen + mistyped, seen + end]) {
        expect((await logIn(username, typed)).status).toBe(200)
        expect(await hashOf(username)).toBe(hash)
      }
      expect((await logIn(username, 'wrong one')).status).toBe(401)
    },
  )

  test('of a password of as many bytes as bcrypt sees', async () => {
    const long = 'x'.repeat(72)
    const hash = await Bun.password.hash(long, cheap.bcrypt)
    await importUsers({ username: 'just', password_hash: hash })
    expect((await logIn('just', long)).status).toBe(200)
    expect(await hashOf('just')).toStartWith(OURS)
    expect((await logIn('just', `${long}x`)).status).toBe(401)
  })

  test('of a password that was hashed as it was typed', async () => {
    const typed = 'ﬁve ½ … ™'
    const hash = await Bun.password.hash(typed, cheap.bcrypt)
    await importUsers({ username: 'typed', password_hash: hash })
    expect((await logIn('typed', typed)).status).toBe(200)
    expect((await logIn('typed', typed.normalize('NFKC'))).status).toBe(200)
  })

  test('also where many log in at once, and shuts none of them out', async () => {
    await importUsers({ username: 'many', password_hash: hashes.bcrypt })
    const answers = await Promise.all(Array.from({ length: 8 }, () => logIn('many')))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(await hashOf('many')).toStartWith(OURS)
  })

  test('and succeeds where that fails, which is tried again', async () => {
    await importUsers({ username: 'unlucky', password_hash: hashes.bcrypt })
    const spy = spyOn(Bun.password, 'hash').mockRejectedValue(new Error('out of memory'))
    const lines = harness.lines.length
    expect((await logIn('unlucky')).status).toBe(200)
    spy.mockRestore()
    expect(harness.lines.slice(lines).join('')).toContain('could not be replaced')
    expect(await hashOf('unlucky')).toBe(hashes.bcrypt)
    expect((await logIn('unlucky')).status).toBe(200)
    expect(await hashOf('unlucky')).toStartWith(OURS)
  })

  test('but not that of a password that was set meanwhile', async () => {
    const [created] = await importUsers({ username: 'reset', password_hash: hashes.bcrypt })
    const original = Bun.password.hash
    let isFirst = true
    // Between the login and its renewal an administrator sets another password.
    const spy = spyOn(Bun.password, 'hash').mockImplementation(async (...given) => {
      if (isFirst) {
        isFirst = false
        const path = `/api/v1/users/${created!.id!}/password`
        const body = { password: 'set by another' }
        const set = await harness.request({ path, body, token: harness.adminToken })
        expect(set.status).toBe(204)
      }
      return original(...given)
    })
    await logIn('reset')
    spy.mockRestore()
    expect((await logIn('reset')).status).toBe(401)
    expect((await logIn('reset', 'set by another')).status).toBe(200)
  })
})
