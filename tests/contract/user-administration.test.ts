import { afterAll, afterEach, beforeAll, describe, expect, spyOn, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { authTables } from '../../src/auth/tables.ts'
import { roleScopes } from '../../src/gateway/scopes.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { refusal } from '../support/refusal.ts'
import { type Row, testRequests } from '../support/request-table.ts'
import { strangeMemberRows, userFieldRows } from '../support/user-field-rows.ts'

/** What administrators do to users that there are; how users are made, and change their own password, is in users.test.ts. */
const USERS = '/api/v1/users'
const LOGIN = '/api/v1/auth/login'
const REFRESH = '/api/v1/auth/refresh'
const NOBODY = `${USERS}/0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11`

interface User {
  id: string
  username: string
}

type Listed = User & Record<string, unknown>

const opened: Harness[] = []
async function open(settings: Record<string, string> = {}): Promise<Harness> {
  const made = await openHarness({ RATE_LIMIT_AUTH: '100000', ...settings })
  opened.push(made)
  return made
}
let harness: Harness
let ada: string
const tokens: Record<string, string> = {}
beforeAll(async () => {
  harness = await open()
  ada = `${USERS}/${await harness.addAccount({ username: 'Ada', email: 'ada@example.com' })}`
  await harness.addAccount({ username: 'Eve', email: 'eve@example.com' })
  await harness.addAccount({ username: 'Ed', role: 'editor' })
  tokens['viewer'] = await harness.logIn('eve')
  tokens['editor'] = await harness.logIn('ed')
})
afterAll(async () => {
  for (const each of opened) await each.close()
})

const asAdmin = (method: string, path: string, body?: unknown, at = harness) =>
  at.request({ method, path, body, token: at.adminToken })
const logIn = (username: string, password = PASSWORD, at = harness) =>
  at.request({ path: LOGIN, body: { username, password } })
const isAccepted = async (token: string, at = harness) =>
  (await at.request({ path: '/api/v1/models', token })).status === 200

describe('nobody but an administrator', () => {
  const calls: [string, string, unknown?][] = [
    ['GET', USERS],
    ['GET', NOBODY],
    ['PATCH', NOBODY, { role: 'admin' }],
    ['DELETE', NOBODY],
    ['POST', `${NOBODY}/password`, {}],
  ]
  testRequests(
    () => harness,
    calls.flatMap(([method, path, body]) =>
      [
        { who: 'a stranger', status: 401 },
        { who: 'somebody with a token that is none', as: 'x.y.z', status: 401 },
        { who: 'a viewer', as: 'viewer', status: 403 },
        { who: 'an editor', as: 'editor', status: 403 },
      ].map(({ who, ...row }) => ({
        name: `not ${who}: ${method} ${path}`,
        method,
        path,
        body,
        ...row,
      })),
    ),
    () => tokens,
  )
})

describe('an administrator is refused', () => {
  const patch = (): Pick<Row, 'as' | 'method' | 'path'> => ({
    as: 'admin',
    method: 'PATCH',
    path: NOBODY,
  })
  const unknown = { status: 404, has: { detail: 'There is no such user.' } }
  const refusedQuery = (name: string, search: string, pointer: string): Row => ({
    name: `a list by ${name}`,
    as: 'admin',
    path: `${USERS}?${search}`,
    status: 422,
    has: { errors: [{ pointer }] },
  })
  testRequests(
    () => harness,
    [
      { name: 'an unknown user', as: 'admin', path: NOBODY, ...unknown },
      { name: 'a change to one', ...patch(), body: { role: 'editor' }, ...unknown },
      { name: 'its removal', as: 'admin', method: 'DELETE', path: NOBODY, ...unknown },
      { name: 'its password', as: 'admin', path: `${NOBODY}/password`, body: {}, ...unknown },
      { name: 'an id of U+0000', as: 'admin', path: `${USERS}/%00`, status: 404 },
      { name: 'an id that is a path', as: 'admin', path: `${USERS}/..%2f..%2fme`, ...unknown },
      {
        name: 'an id that is a statement',
        as: 'admin',
        path: `${USERS}/'%20or%201=1--`,
        ...unknown,
      },
      { name: 'an endless id', as: 'admin', path: `${USERS}/${'x'.repeat(5000)}`, ...unknown },
      { name: 'no body', as: 'admin', method: 'PATCH', path: NOBODY, status: 415 },
      { name: 'a body that is an array', ...patch(), body: [{}], status: 422 },
      { name: 'a role that there is not', ...patch(), body: { role: 'root' }, status: 422 },
      { name: 'two roles', ...patch(), body: { role: ['viewer', 'admin'] }, status: 422 },
      { name: 'a role that every object has', ...patch(), body: { role: 'toString' }, status: 422 },
      { name: 'disabled as a word', ...patch(), body: { disabled: 'yes' }, status: 422 },
      { name: 'disabled as a number', ...patch(), body: { disabled: 1 }, status: 422 },
      ...userFieldRows(patch(), ['username', 'email']),
      ...strangeMemberRows(patch(), {
        id: 'chosen',
        password: 'long enough',
        password_hash: '$2b$04$x',
        passwordHash: '$2b$04$x',
        disabled_at: null,
        email_verified: true,
        scopes: ['users:write'],
        created_at: '2026-01-01T00:00:00Z',
      }),
      ...userFieldRows({ as: 'admin', path: `${NOBODY}/password` }, ['password']),
      ...strangeMemberRows(
        { as: 'admin', path: `${NOBODY}/password` },
        { password_hash: '$2b$04$x', id: 'x', current_password: 'x' },
      ),
      refusedQuery('an unknown word', 'role=admin', '#/query/role'),
      refusedQuery('two beginnings', 'q=a&q=b', '#/query/q'),
      refusedQuery('U+0000', 'q=a%00b', '#/query/q'),
      refusedQuery('an endless beginning', `q=${'x'.repeat(321)}`, '#/query/q'),
      refusedQuery('no users', 'limit=0', '#/query/limit'),
      refusedQuery('too many users', 'limit=101', '#/query/limit'),
      refusedQuery('half a user', 'limit=1.5', '#/query/limit'),
      refusedQuery('an endless cursor', `before=${'x'.repeat(65)}`, '#/query/before'),
    ],
    () => tokens,
  )

  test('the name and the address of another', async () => {
    for (const body of [{ username: 'EVE' }, { email: 'Eve@Example.com' }]) {
      expect((await asAdmin('PATCH', ada, body)).status).toBe(409)
    }
  })
})

describe('the list', () => {
  let full: Harness
  beforeAll(async () => {
    full = await openHarness()
    for (const [username, email] of [
      ['Straße', undefined],
      ['100%', undefined],
      ['1000', undefined],
      ['a_b', undefined],
      ['axb', 'mail@Example.com'],
      ['wow!', undefined],
      ["o'neil", undefined],
      ['back\\slash', undefined],
    ] as const) {
      await full.addAccount({ username, ...(email === undefined ? {} : { email }) })
    }
  })
  afterAll(() => full.close())

  const list = async (search = '') => {
    const response = await asAdmin('GET', `${USERS}${search}`, undefined, full)
    expect(response.status).toBe(200)
    return (await response.json()) as { users: Listed[]; next: string | null }
  }
  const found = async (beginning: string) => {
    const { users } = await list(`?q=${encodeURIComponent(beginning)}`)
    return users.map(({ username }) => username)
  }

  test('shows all, the newest first, and no secret', async () => {
    const { users, next } = await list()
    expect(next).toBeNull()
    expect(users.map(({ id }) => id)).toEqual(
      users
        .map(({ id }) => id)
        .toSorted()
        .toReversed(),
    )
    expect(users).toHaveLength(9)
    expect(users.at(-1)).toEqual({
      id: expect.any(String),
      username: 'admin',
      email: null,
      role: 'admin',
      email_verified: false,
      email_pending: null,
      disabled: false,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    })
  })

  test('goes on where the page before ended', async () => {
    const seen: string[] = []
    let before: string | null = ''
    while (before !== null) {
      const page: Awaited<ReturnType<typeof list>> = await list(
        `?limit=4${before === '' ? '' : `&before=${before}`}`,
      )
      seen.push(...page.users.map(({ username }) => username))
      before = page.next
    }
    expect(seen).toEqual((await list()).users.map(({ username }) => username))
  })

  test.each([
    ['STRASSE', ['Straße']],
    ['stra', ['Straße']],
    ['traße', []],
    ['ad', ['admin']],
    ['MAIL@', ['axb']],
    ['100', ['1000', '100%']],
    ['100%', ['100%']],
    ['a_', ['a_b']],
    ['%', []],
    ['_', []],
    ['wow!', ['wow!']],
    ["o'", ["o'neil"]],
    ['back\\', ['back\\slash']],
    ["' or 1=1 --", []],
  ])('finds by %s', async (beginning, names) => {
    expect(await found(beginning)).toEqual([...names])
  })

  test('finds all by nothing', async () => {
    expect(await found(' ')).toHaveLength(9)
  })
})

describe('a change', () => {
  testRequests(
    () => harness,
    [
      {
        name: 'of nothing tells nobody',
        as: 'admin',
        method: 'PATCH',
        get path() {
          return ada
        },
        body: { role: 'viewer', disabled: false, username: 'Ada' },
        status: 200,
        events: [],
      },
      {
        name: 'of all, as R writes it',
        as: 'admin',
        method: 'PATCH',
        get path() {
          return ada
        },
        body: { username: ['Lady'], email: {}, role: ['editor'], disabled: [false] },
        status: 200,
        has: { username: 'Lady', email: null, role: 'editor', disabled: false },
        mustNotContain: ['hash', 'Hash', 'olded'],
        events: ['auth.user_changed'],
      },
      {
        name: 'is seen',
        as: 'admin',
        get path() {
          return ada
        },
        status: 200,
        has: { username: 'Lady', role: 'editor' },
        mustNotContain: ['hash', 'Hash', 'olded'],
      },
    ],
    () => tokens,
  )

  test('names in its event who did it, and what changed', async () => {
    await harness.published()
    const admin = (await (await asAdmin('GET', '/api/v1/me')).json()) as User
    const { data } = harness.events.findLast(({ type }) => type === 'auth.user_changed')!
    expect(data).toMatchObject({
      user_id: ada.split('/').at(-1),
      actor_id: admin.id,
      changed: ['username', 'email', 'role'],
    })
  })

  test('of the role counts from the next request on', async () => {
    const id = await harness.addAccount({ username: 'rising' })
    const token = await harness.logIn('rising')
    const users = async () => (await harness.request({ path: USERS, token })).status
    expect(await users()).toBe(403)
    expect((await asAdmin('PATCH', `${USERS}/${id}`, { role: 'admin' })).status).toBe(200)
    expect(await users()).toBe(200)
    expect((await asAdmin('PATCH', `${USERS}/${id}`, { role: 'viewer' })).status).toBe(200)
    expect(await users()).toBe(403)
    const mine = await harness.request({ path: '/api/v1/me', token })
    expect(await mine.json()).toMatchObject({ role: 'viewer', scopes: roleScopes.viewer })
  })
})

describe('who is disabled', () => {
  test('is out at once, and stays out until enabled', async () => {
    const id = await harness.addAccount({ username: 'idle' })
    const response = await logIn('idle')
    const grant = (await response.json()) as { token: string; refresh_token: string }
    expect(await isAccepted(grant.token)).toBe(true)
    const set = async (disabled: boolean) => {
      const changed = await asAdmin('PATCH', `${USERS}/${id}`, { disabled })
      expect(await changed.json()).toMatchObject({ disabled })
    }
    await set(true)
    expect(await isAccepted(grant.token)).toBe(false)
    const refresh = () =>
      harness.request({ path: REFRESH, body: { refresh_token: grant.refresh_token } })
    expect((await refresh()).status).toBe(401)
    expect(await (await logIn('idle')).json()).toMatchObject({
      title: 'Account disabled',
      detail: 'Ask an administrator.',
    })
    expect((await logIn('idle', 'wrong password')).status).toBe(401)
    await set(false)
    // What was over stays over.
    expect((await refresh()).status).toBe(401)
    expect(await isAccepted(grant.token)).toBe(false)
    expect((await logIn('idle')).status).toBe(200)
  })

  test('during a login has no session after it', async () => {
    const id = await harness.addAccount({ username: 'racing' })
    const original = Bun.password.verify
    const spy = spyOn(Bun.password, 'verify').mockImplementation(async (...given) => {
      const isRight = await original(...given)
      expect((await asAdmin('PATCH', `${USERS}/${id}`, { disabled: true })).status).toBe(200)
      return isRight
    })
    const answer = await logIn('racing')
    spy.mockRestore()
    expect(answer.status).toBe(403)
    const { database } = harness.platform
    const { sessions } = authTables(database.kit)
    const left = await database.read.select().from(sessions).where(eq(sessions.accountId, id))
    expect(left).toEqual([])
  })

  test('since when is not forgotten by being disabled again', async () => {
    const id = await harness.addAccount({ username: 'twice' })
    const { database } = harness.platform
    const { accounts } = authTables(database.kit)
    const since = async () => {
      await asAdmin('PATCH', `${USERS}/${id}`, { disabled: true })
      const [row] = await database.read.select().from(accounts).where(eq(accounts.id, id))
      return row!.disabledAt
    }
    const first = await since()
    harness.clock.advance(10)
    expect(await since()).toEqual(first)
  })
})

describe('who is deleted', () => {
  test('is gone with all sessions, and the name is free', async () => {
    const id = await harness.addAccount({ username: 'brief', email: 'brief@example.com' })
    const token = await harness.logIn('brief')
    expect(await isAccepted(token)).toBe(true)
    await harness.published()
    const before = harness.events.length
    expect((await asAdmin('DELETE', `${USERS}/${id}`)).status).toBe(204)
    await harness.published()
    expect(harness.events.slice(before).map(({ type }) => type)).toEqual(['auth.user_deleted'])
    expect(await isAccepted(token)).toBe(false)
    expect((await asAdmin('GET', `${USERS}/${id}`)).status).toBe(404)
    expect((await asAdmin('DELETE', `${USERS}/${id}`)).status).toBe(404)
    expect((await logIn('brief')).status).toBe(401)
    const { database } = harness.platform
    const { sessions } = authTables(database.kit)
    const left = await database.read.select().from(sessions).where(eq(sessions.accountId, id))
    expect(left).toEqual([])
    const again = { username: 'Brief', email: 'brief@example.com', password: 'long enough' }
    expect((await asAdmin('POST', USERS, again)).status).toBe(201)
  })
})

describe('a password that is reset', () => {
  let path: string
  let token: string
  const resets: { answer: Response; events: string[] }[] = []
  const reset = async (body?: object) => {
    await harness.published()
    const before = harness.events.length
    const answer = await asAdmin('POST', path, body)
    await harness.published()
    resets.push({ answer, events: harness.events.slice(before).map(({ type }) => type) })
    return resets.at(-1)!
  }
  beforeAll(async () => {
    path = `${USERS}/${await harness.addAccount({ username: 'lost' })}/password`
    token = await harness.logIn('lost')
    expect(await isAccepted(token)).toBe(true)
  })

  test('ASVS 6.4.1: is void, ends the sessions, and is set anew by its owner alone', async () => {
    const { answer, events } = await reset()
    expect(answer.status).toBe(200)
    expect(events).toEqual(['auth.password_voided'])
    const shown = (await answer.json()) as Record<string, unknown>
    const threeDays = 3 * 86_400_000
    expect(shown).toEqual({
      set_password_url: expect.any(String),
      set_password_expires_at: new Date(harness.clock.now() + threeDays).toISOString(),
      mailed: false,
    })
    const url = String(shown['set_password_url'])
    const ticket = new URL(url).searchParams.get('ticket')!
    expect(await isAccepted(token)).toBe(false)
    expect((await logIn('lost')).status).toBe(401)
    expect((await logIn('lost', '')).status).toBe(401)
    const body = { ticket, password: 'one of her own' }
    const set = await harness.request({ path: '/api/v1/auth/password/reset', body })
    expect(set.status).toBe(204)
    expect((await logIn('lost', 'one of her own')).status).toBe(200)
    expect(harness.lines.join('\n')).not.toContain(ticket)
    expect(JSON.stringify(harness.events)).not.toContain(ticket)
  })

  test('or is the given one', async () => {
    const { answer, events } = await reset({ password: ['the given one'] })
    expect(answer.status).toBe(204)
    expect(events).toEqual(['auth.password_changed'])
    expect((await logIn('lost', 'the given one')).status).toBe(200)
  })

  test.each([
    ['the given one', { password: 'by an administrator' }],
    ['void', {}],
  ])('is %s, also where its owner was about to change it', async (_, body) => {
    const id = await harness.addAccount({ username: `changes ${Object.keys(body).length}` })
    const username = `changes ${Object.keys(body).length}`
    const mine = await harness.logIn(username)
    const hash = Bun.password.hash
    let isFirst = true
    // Between the check of the current password and the write of the next.
    const spy = spyOn(Bun.password, 'hash').mockImplementation(async (...given) => {
      if (isFirst) {
        isFirst = false
        expect((await asAdmin('POST', `${USERS}/${id}/password`, body)).ok).toBe(true)
      }
      return hash(...given)
    })
    const change = { current_password: PASSWORD, password: 'by its owner, late' }
    const answer = await harness.request({
      path: '/api/v1/me/password',
      body: change,
      token: mine,
    })
    spy.mockRestore()
    expect(answer.status).toBe(403)
    expect((await logIn(username, change.password)).status).toBe(401)
    const isGiven = (await logIn(username, 'by an administrator')).status === 200
    expect(isGiven).toBe('password' in body)
  })

  test('of somebody who is disabled: the link is good once they are enabled again', async () => {
    const user = `${USERS}/${await harness.addAccount({ username: 'away' })}`
    await asAdmin('PATCH', user, { disabled: true })
    const voided = await asAdmin('POST', `${user}/password`, {})
    const { set_password_url: url } = (await voided.json()) as { set_password_url: string }
    const body = { ticket: new URL(url).searchParams.get('ticket')!, password: 'one of her own' }
    const set = async () =>
      (await harness.request({ path: '/api/v1/auth/password/reset', body })).status
    expect(await set()).toBe(400)
    await asAdmin('PATCH', user, { disabled: false })
    expect(await set()).toBe(204)
  })

  test('does not let somebody in who is disabled', async () => {
    await asAdmin('PATCH', path.replace('/password', ''), { disabled: true })
    await reset({ password: 'the given one' })
    expect((await logIn('lost', 'the given one')).status).toBe(403)
  })
})

describe('one’s own password and address', () => {
  test.each([
    ['POST', '/password', {}, 'the password voided'],
    ['POST', '/password', { password: 'the given one' }, 'the password set'],
    ['PATCH', '', { email: 'mine@example.com' }, 'the address changed'],
    ['PATCH', '', { email: null, username: 'root' }, 'the address removed, among others'],
  ])('by %s %s %j ask for the current password elsewhere: not %s', async (method, path, body) => {
    const own = (await (await asAdmin('GET', '/api/v1/me')).json()) as User
    const refused = await asAdmin(method, `${USERS}/${own.id}${path}`, body)
    expect(refused.status).toBe(403)
    expect(await refused.text()).toContain('/api/v1/me')
    const after = (await (await asAdmin('GET', '/api/v1/me')).json()) as User
    expect(after).toEqual(own)
    expect((await logIn('admin')).status).toBe(200)
  })
})

describe('the last administrator', () => {
  afterEach(async () => {
    for (const made of opened.splice(1)) await made.close()
  })

  async function openWithTwo(settings: Record<string, string> = {}) {
    const made = await open(settings)
    const admin = (await (await asAdmin('GET', '/api/v1/me', undefined, made)).json()) as User
    const second = await made.addAccount({ username: 'second', role: 'admin' })
    const first = `${USERS}/${admin.id}`
    return { made, first, second: `${USERS}/${second}` }
  }

  test.each([
    ['disabled', 'PATCH', { disabled: true }],
    ['demoted', 'PATCH', { role: 'editor' }],
    ['deleted', 'DELETE', undefined],
  ])('can’t be %s', async (_, method, body) => {
    const { made, first, second } = await openWithTwo()
    expect((await asAdmin('PATCH', second, { disabled: true }, made)).status).toBe(200)
    const refused = await asAdmin(method, first, body, made)
    expect(refused.status).toBe(409)
    expect(await refused.json()).toMatchObject({ title: 'Last administrator' })
    expect((await asAdmin('GET', first, undefined, made)).status).toBe(200)
    // Who is disabled may be deleted, and what takes no rights is allowed.
    expect((await asAdmin('PATCH', first, { role: 'admin', username: 'root' }, made)).status).toBe(
      200,
    )
    expect((await asAdmin('DELETE', second, undefined, made)).status).toBe(204)
    expect((await asAdmin(method, first, body, made)).status).toBe(409)
  })

  test('is not another who waits for an address to be verified, and may be gone before', async () => {
    const { made, first } = await openWithTwo()
    const { accounts } = authTables(made.platform.database.kit)
    await made.platform.database.write(async (tx) => {
      const pendingSince = new Date(made.clock.now())
      await tx.update(accounts).set({ pendingSince }).where(eq(accounts.username, 'second'))
    })
    for (const [method, body] of [
      ['PATCH', { disabled: true }],
      ['PATCH', { role: 'viewer' }],
      ['DELETE', undefined],
    ] as const) {
      expect((await asAdmin(method, first, body, made)).status).toBe(409)
    }
  })

  // By callers whose own rights nobody takes, so that it is this guard alone that refuses.
  test('is one also when both lose their rights at once', async () => {
    for (const [method, body] of [
      ['PATCH', { disabled: true }],
      ['PATCH', { role: 'viewer' }],
      ['DELETE', undefined],
    ] as const) {
      const { made, first, second } = await openWithTwo({
        ANONYMOUS_SCOPES: roleScopes.admin.join(' '),
      })
      const answers = await Promise.all(
        [first, second].map((path) => made.request({ method, path, body })),
      )
      const refused = answers.filter(({ status }) => status === 409)
      expect(refused).toHaveLength(1)
      const { database } = made.platform
      const { accounts } = authTables(database.kit)
      const rows = await database.read.select().from(accounts)
      expect(
        rows.filter(({ role, disabledAt }) => role === 'admin' && disabledAt === null),
      ).toHaveLength(1)
      await opened.pop()!.close()
    }
  })

  test('that is left is the one that scripts/admin speaks for', async () => {
    const { made, first } = await openWithTwo()
    expect((await asAdmin('PATCH', first, { disabled: true }, made)).status).toBe(200)
    expect((await made.app.auth.resetAdministrator()).username).toBe('second')
  })

  test('is reset by scripts/admin unless another is named', async () => {
    const { made, second } = await openWithTwo()
    await made.addAccount({ username: 'viewer' })
    const { resetAdministrator } = made.app.auth
    expect((await resetAdministrator()).username).toBe('admin')
    const { username, password } = await resetAdministrator('Second')
    expect(username).toBe('second')
    await made.logIn('second', password)
    expect(String(await refusal(resetAdministrator('viewer')))).toContain('is no administrator')
    expect(String(await refusal(resetAdministrator('nobody')))).toContain('There is no user')
    await made.addAccount({ username: 'third', role: 'admin' })
    const again = await made.logIn('third')
    const disable = { method: 'PATCH', path: second, body: { disabled: true }, token: again }
    expect((await made.request(disable)).status).toBe(200)
    expect(String(await refusal(resetAdministrator('second')))).toContain('may not log in')
  })
})

test('where the operator lets everybody create users, nobody is named as who did it', async () => {
  const made = await open({ ANONYMOUS_SCOPES: ['users:write', ...roleScopes.viewer].join(' ') })
  const body = { username: 'made', password: 'long enough' }
  expect((await made.request({ path: USERS, body: { ...body, role: 'editor' } })).status).toBe(403)
  expect((await made.request({ path: USERS, body })).status).toBe(201)
  await made.published()
  expect(made.events.at(-1)).toMatchObject({ type: 'auth.user_created', data: { actor_id: null } })
})
