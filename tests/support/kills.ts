import { expect } from 'bun:test'

import { FIXTURE_MODELS_DIR, PASSWORD } from './harness.ts'
import { startServer, type TestServer } from './server.ts'

/** What a test of kills asks of a database, past the server. */
export interface KilledDatabase {
  name: string
  /** By these the server finds it. */
  settings: Record<string, string>
  query(statement: string): Promise<unknown[][]>
  /** Fails where the files are damaged. */
  check(): Promise<void>
  remove(): Promise<void>
}

interface Grant {
  refresh_token: string
}

/** How long it goes on. */
export interface Extent {
  rounds: number
  /** Refreshes that have to be under way in all of them together, or it says too little. */
  refreshesMin: number
}

const administrator = { username: 'admin', password: PASSWORD }
const WRITERS = 4
const REFRESHERS = 4
const QUICKEST_KILL_MS = 100
const SLOWEST_KILL_MS = 500

/**
 * Kills a server by -9 while it creates users, renames one, changes passwords and refreshes tokens, again and
 * again on the same database, and looks at what is left.
 */
export async function killInMidWrite(
  database: KilledDatabase,
  { rounds, refreshesMin }: Extent,
): Promise<void> {
  const acknowledged = new Set<string>()
  let renames = 0
  /** Of the round before: what the refreshes of each session answered, in order. */
  let refreshed: string[][] = []
  let refreshes = 0
  for (let round = 0; round < rounds; round += 1) {
    const server = await startServer({
      ...database.settings,
      MODELS_DIR: FIXTURE_MODELS_DIR,
      RATE_LIMIT_AUTH: '1000000',
    })
    for (const tokens of refreshed) await expectChain(server, tokens)
    refreshed = []
    const token = await server.logIn()
    const post = (path: string, body: unknown, by = token) =>
      server.post(path, body, by).catch(() => undefined)
    const username = `changer-${round}`
    const password = (change: number) => `${PASSWORD} ${change}`
    expect((await post('/api/v1/users', { username, password: password(0) }))?.status).toBe(201)
    acknowledged.add(username)
    // A session that the first change ends.
    await server.logIn(username, password(0))

    const alive = new AbortController()
    async function createUsers(writer: number): Promise<void> {
      for (let count = 0; !alive.signal.aborted; count += 1) {
        const name = `u-${round}-${writer}-${count}`
        const response = await post('/api/v1/users', { username: name, password: PASSWORD })
        if (response?.status === 201) acknowledged.add(name)
      }
    }
    /** Changes that were acknowledged. One ends all other sessions, in the same transaction. */
    let changes = 0
    async function changePasswords(): Promise<void> {
      while (!alive.signal.aborted) {
        const by = await server.logIn(username, password(changes)).catch(() => undefined)
        const body = { current_password: password(changes), password: password(changes + 1) }
        const response = await post('/api/v1/me/password', body, by)
        if (response?.status === 204) changes += 1
        else if (!alive.signal.aborted) await Bun.sleep(1)
      }
    }
    const renamedId = await idOf(
      await post('/api/v1/users', { username: nameOf(0), password: PASSWORD }),
    )
    let renamed = 0
    async function rename(): Promise<void> {
      while (!alive.signal.aborted) {
        const response = await fetch(`${server.url}/api/v1/users/${renamedId}`, {
          method: 'PATCH',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ username: nameOf(renamed + 1) }),
        }).catch(() => undefined)
        if (response?.status === 200) renamed += 1
      }
    }
    for (let session = 0; session < REFRESHERS; session += 1) {
      const signedIn = await server.post('/api/v1/auth/login', administrator)
      refreshed.push([((await signedIn.json()) as Grant).refresh_token])
    }
    async function refreshAgain(tokens: string[]): Promise<void> {
      while (!alive.signal.aborted) {
        const response = await post('/api/v1/auth/refresh', { refresh_token: tokens.at(-1) })
        const text = await response?.text().catch(() => undefined)
        if (response === undefined || text === undefined) return
        expect(response.status).toBe(200)
        tokens.push((JSON.parse(text) as Grant).refresh_token)
        refreshes += 1
      }
    }
    const writers = Array.from({ length: WRITERS }, (_, writer) => createUsers(writer))
    const changing = Promise.all([changePasswords(), rename(), ...refreshed.map(refreshAgain)])
    await Bun.sleep(QUICKEST_KILL_MS + Math.random() * (SLOWEST_KILL_MS - QUICKEST_KILL_MS))
    server.process.kill('SIGKILL')
    alive.abort()
    await Promise.all([server.process.exited, changing, ...writers])

    await database.check()
    const accounts = await database.query('select username, password_hash from accounts')
    const hashes = new Map(accounts as [string, string][])
    expect([...acknowledged].filter((name) => !hashes.has(name))).toEqual([])
    for (const hash of hashes.values()) expect(hash).toMatch(/^\$argon2id\$.{60,}/)
    const matches = (change: number) => Bun.password.verify(password(change), hashes.get(username)!)
    const isNew = await matches(changes + 1)
    expect(isNew || (await matches(changes))).toBe(true)
    await expectSessions(username, isNew)
    renames += renamed
    await expectName(renamedId, nameOf, renamed)

    function nameOf(count: number): string {
      return `renamed-${round}-${count}`
    }
  }
  expect(refreshes).toBeGreaterThanOrEqual(refreshesMin)
  process.stderr.write(
    `kills on ${database.name}: ${rounds} rounds, ${acknowledged.size} acknowledged users, ${renames} renames and ${refreshes} refreshes, none lost\n`,
  )

  // Whoever was acknowledged in the last rounds can log in.
  const server = await startServer({ ...database.settings, MODELS_DIR: FIXTURE_MODELS_DIR })
  const names = [...acknowledged].filter((name) => name.startsWith('u-')).slice(-10)
  for (const name of names) await server.logIn(name, PASSWORD)
  expect(await server.stop()).toBe(0)

  /** The last acknowledged name, or one more; and an entry in the audit for each change, and for no other. */
  async function expectName(
    id: string,
    nameOf: (count: number) => string,
    count: number,
  ): Promise<void> {
    const [account] = await database.query(`select username from accounts where id = '${id}'`)
    const [entries] = await database.query(
      `select count(*) from audit where type = 'auth.user_changed' and subject_id = '${id}'`,
    )
    const committed = Number(entries?.[0])
    expect(account).toEqual([nameOf(committed)])
    expect([count, count + 1]).toContain(committed)
  }

  /** A change leaves one session, its own; the log-in that follows may have made a second. */
  async function expectSessions(name: string, isUnacknowledged: boolean): Promise<void> {
    const [row] = await database.query(
      `select count(*) from sessions where account_id = (select id from accounts where username = '${name}')`,
    )
    const sessions = Number(row?.[0])
    expect(sessions).toBeLessThanOrEqual(isUnacknowledged ? 1 : 2)
  }
}

/** Of refreshes one after the other the last acknowledged one holds, and none before it works again. */
async function expectChain(server: TestServer, tokens: string[]): Promise<void> {
  const refresh = (token: string) => server.post('/api/v1/auth/refresh', { refresh_token: token })
  const last = await refresh(tokens.at(-1)!)
  expect(last.status).toBe(200)
  const { refresh_token } = (await last.json()) as Grant
  const spent = tokens.at(-3)
  if (spent === undefined) return
  expect((await refresh(spent)).status).toBe(401)
  expect((await refresh(refresh_token)).status).toBe(401)
}

async function idOf(response: Response | undefined): Promise<string> {
  expect(response?.status).toBe(201)
  return ((await response!.json()) as { id: string }).id
}
