import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openApp } from '../../src/app.ts'
import { foldName } from '../../src/auth/accounts/names.ts'
import { authTables } from '../../src/auth/tables.ts'
import { type Events, events as vocabulary } from '../../src/events.ts'
import type { Role } from '../../src/gateway/scopes.ts'
import type { EventOf } from '../../src/platform/bus/bus.ts'
import { parseConfig } from '../../src/platform/config.ts'
import { openLog } from '../../src/platform/log.ts'
import { outboxTables } from '../../src/platform/outbox/tables.ts'
import { openPlatform, type Platform } from '../../src/platform/platform.ts'
import { createTestClock, type TestClock } from './clock.ts'
import { createTestDatabase } from './services/postgres.ts'

export const MODELS_DIR = join(import.meta.dir, '..', '..', 'models')
export const FIXTURE_MODELS_DIR = join(import.meta.dir, '..', 'fixtures', 'models')
export const PASSWORD = 'correct horse battery'

/** scripts/test runs the tests of the features a second time, on the other database. */
const isOnPostgres =
  process.env['TEST_HARNESS_DATABASE'] === 'postgres' &&
  process.env['TEST_DATABASE_URL'] !== undefined

/** A request as tests write it. */
export interface TestRequest {
  method?: string
  path: string
  token?: string | undefined
  headers?: Record<string, string> | undefined
  /** Sent as it is when it is a string or a stream, as JSON otherwise. */
  body?: unknown
  /** The other end of the connection. */
  peer?: string | undefined
}

/** A fresh server on real drivers, without a port, with a clock that stands still. */
export interface Harness {
  platform: Platform
  app: Awaited<ReturnType<typeof openApp>>
  clock: TestClock
  /** Everything logged so far, a line each. */
  lines: string[]
  /** Every event published so far. */
  events: EventOf<Events>[]
  /** Resolves when every event that was committed is published. */
  published(): Promise<void>
  request(request: TestRequest): Promise<Response>
  adminToken: string
  /** Logs an account in that `addAccount` made. */
  logIn(username: string, password?: string): Promise<string>
  /** Puts an account into the database as an import would: with its hash. */
  addAccount(account: {
    username: string
    email?: string
    role?: Role
    passwordHash?: string
  }): Promise<string>
  close(): Promise<void>
}

/** One hash for all accounts of a test run: making one takes 40 ms. */
const passwordHash = Bun.password.hash(PASSWORD, {
  algorithm: 'argon2id',
  memoryCost: 8,
  timeCost: 1,
})

const isRaw = (body: unknown): body is string | ReadableStream =>
  typeof body === 'string' || body instanceof ReadableStream

/** @param substitutes as of `openApp`. */
export async function openHarness(
  settings: Record<string, string> = {},
  substitutes: Parameters<typeof openApp>[1] = {},
): Promise<Harness> {
  const directory = mkdtempSync(join(tmpdir(), 'quintet-test-'))
  const place = isOnPostgres ? await createTestDatabase() : undefined
  const config = parseConfig({
    ...(place === undefined ? {} : { DATABASE_URL: place.url }),
    DATA_DIR: directory,
    MODELS_DIR: FIXTURE_MODELS_DIR,
    ADMIN_PASSWORD: PASSWORD,
    WORKERS: '1',
    ...settings,
  })
  const lines: string[] = []
  const { log } = openLog(config, { write: (line) => void lines.push(line) })
  const clock = createTestClock()
  const platform = await openPlatform(config, log, clock)
  const app = await openApp(platform, substitutes)
  await app.start()
  const adminToken = await app.auth.administratorToken()
  const events: EventOf<Events>[] = []
  platform.bus.subscribe((event) => {
    vocabulary[event.type].strict().parse(event.data)
    events.push(event)
  })

  const request: Harness['request'] = async ({ method, path, token, headers, body, peer }) => {
    const sent = new Request(`http://localhost:8080${path}`, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        host: 'localhost:8080',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isRaw(body) ? body : JSON.stringify(body) }),
    })
    const connection = { requestIP: () => ({ address: peer ?? '203.0.113.7' }) }
    return app.fetch(sent, { connection })
  }

  return {
    platform,
    app,
    clock,
    lines,
    events,
    request,
    adminToken,
    async published() {
      const { outbox } = outboxTables(platform.database.kit)
      while ((await platform.database.read.select().from(outbox)).length > 0) await Bun.sleep(1)
    },
    async addAccount({ username, email, role = 'viewer', passwordHash: hash }) {
      const { accounts } = authTables(platform.database.kit)
      const id = Bun.randomUUIDv7()
      const now = new Date(clock.now())
      const row = {
        id,
        username,
        usernameFolded: foldName(username),
        email: email ?? null,
        emailFolded: email === undefined ? null : foldName(email),
        passwordHash: hash ?? (await passwordHash),
        role,
        createdAt: now,
        updatedAt: now,
      }
      await platform.database.write(async (tx) => {
        await tx.insert(accounts).values(row)
      })
      return id
    },
    async logIn(username, password = PASSWORD) {
      const response = await request({ path: '/api/v1/auth/login', body: { username, password } })
      if (response.status !== 200) throw new Error(`login answered ${await response.text()}`)
      const { token } = (await response.json()) as { token: string }
      return token
    },
    async close() {
      await app.stop(0)
      await platform.close()
      await place?.remove()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
