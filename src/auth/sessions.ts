import { and, eq, lt, ne, or, sql } from 'drizzle-orm'
import { LRUCache } from 'lru-cache'

import type { Events } from '../events.ts'
import type { Account } from '../gateway/principal.ts'
import { Problem } from '../gateway/problem.ts'
import { roleScopes, type Scope } from '../gateway/scopes.ts'
import { type Clock, isoTime } from '../platform/clock.ts'
import {
  type Database,
  DatabaseSilent,
  isDatabaseAway,
  type Writes,
} from '../platform/database/database.ts'
import type { Outbox } from '../platform/outbox/outbox.ts'
import { within } from '../platform/within.ts'
import { foldName } from './names.ts'
import type { Passwords } from './passwords.ts'
import { authProblems } from './problems.ts'
import type { AuthTables } from './tables.ts'
import { expiredToken, invalidToken, type Tokens } from './tokens.ts'

/** How long a revocation by another process may go unseen. */
const RECHECK_INTERVAL_MS = 1000
/** How long a token that was good is believed while the database can't be asked. */
const UNCHECKED_MAX_MS = 60_000
/** How long a request waits to hear whether its good token is still one. */
const RECHECK_PATIENCE_MS = 1000

type StoredAccount = AuthTables['accounts']['$inferSelect']

export interface Sessions {
  /**
   * Opens a session by password. `login` is the user name or the e-mail address.
   *
   * @throws {Problem} 401, the same and after the same time whether or not the user exists.
   */
  open(login: string, password: string): Promise<{ token: string; account: StoredAccount }>
  /** Opens a session for an account without its password, for scripts that have the database. */
  openFor(account: StoredAccount): Promise<string>
  /** @throws {Problem} 401 when the token is not good, or its session was revoked. */
  authenticate(token: string): Account | Promise<Account>
  /** Removes the sessions whose time is over; nobody can use them any more. */
  removeExpired(): Promise<void>
  /** Ends an account's sessions, within the caller's transaction; `except` lives on. */
  revoke(tx: Writes, accountId: string, except?: string): Promise<void>
  /** Forgets what is remembered of an account's tokens. Call it after the commit. */
  forget(accountId: string): void
}

interface Verified {
  account: Account
  expiresAtMs: number
  /** When the database was last asked, and when it last answered. */
  checkedAtMs: number
  confirmedAtMs: number
  /** Under way, for all requests with this token together. */
  recheck: Promise<Account> | undefined
}

export function createSessions(deps: {
  database: Database
  tables: AuthTables
  tokens: Tokens
  passwords: Passwords
  outbox: Outbox<Events>
  clock: Clock
  ttlSeconds: number
  cacheMax: number
}): Sessions {
  const { database, tokens, passwords, outbox, clock, ttlSeconds } = deps
  const { accounts, sessions } = deps.tables
  /** By the whole token: a digest short enough to be quick would not be safe from collisions. */
  const verified = new LRUCache<string, Verified>({ max: deps.cacheMax })

  const byName = database.read
    .select()
    .from(accounts)
    .where(
      or(
        eq(accounts.usernameFolded, sql.placeholder('name')),
        eq(accounts.emailFolded, sql.placeholder('name')),
      ),
    )
    .limit(1)
    .prepare('account_by_name')

  const bySession = database.read
    .select({ id: accounts.id, username: accounts.username, role: accounts.role })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.id, sessions.accountId))
    .where(eq(sessions.id, sql.placeholder('id')))
    .prepare('account_by_session')

  /** @param announce adds to the write what the world is to hear of it. */
  async function create(
    account: StoredAccount,
    options: { algorithm?: 'ES256'; announce?: (tx: Writes) => Promise<void> },
  ): Promise<string> {
    const now = clock.now()
    const issuedAt = Math.floor(now / 1000)
    const expiresAt = issuedAt + ttlSeconds
    const sessionId = Bun.randomUUIDv7()
    await database.write(async (tx) => {
      const unchanged = await database.lock(
        tx
          .select({ id: accounts.id })
          .from(accounts)
          .where(and(eq(accounts.id, account.id), eq(accounts.passwordHash, account.passwordHash))),
      )
      // The password was changed while this one was being verified.
      if (unchanged.length === 0) throw badCredentials()
      await tx.insert(sessions).values({
        id: sessionId,
        accountId: account.id,
        createdAt: new Date(now),
        expiresAt: new Date(expiresAt * 1000),
      })
      await options.announce?.(tx)
    })
    const { id: userId, username, role } = account
    return tokens.sign(
      { userId, username, role, sessionId, issuedAt, expiresAt },
      options.algorithm,
    )
  }

  /** The account behind a session as it is now, so that a changed role counts at once. */
  async function load(sessionId: string): Promise<Account> {
    const [account] = await bySession.execute({ id: sessionId })
    if (account === undefined) throw invalidToken()
    const scopes: ReadonlySet<Scope> = new Set(roleScopes[account.role])
    return { kind: 'account', ...account, sessionId, scopes }
  }

  async function verify(token: string): Promise<Account> {
    const { sessionId, expiresAt } = await tokens.verify(token)
    const account = await load(sessionId)
    const expiresAtMs = expiresAt * 1000
    const now = clock.now()
    verified.set(token, {
      account,
      expiresAtMs,
      checkedAtMs: now,
      confirmedAtMs: now,
      recheck: undefined,
    })
    return account
  }

  /**
   * Goes on when nobody waits for it any more: a revocation counts whenever it is heard of. What is
   * no refusal, such as that a statement took too long, says nothing of the token.
   */
  async function askAgain(token: string, entry: Verified): Promise<Account> {
    const now = clock.now()
    try {
      entry.account = await load(entry.account.sessionId)
      entry.confirmedAtMs = now
      return entry.account
    } catch (error) {
      if (error instanceof Problem && verified.peek(token) === entry) verified.delete(token)
      throw error
    } finally {
      entry.recheck = undefined
    }
  }

  /** One asks the database, and the others believe what is remembered, as long as that may be believed. */
  async function recheck(token: string, entry: Verified): Promise<Account> {
    const now = clock.now()
    const isBelieved = now - entry.confirmedAtMs < UNCHECKED_MAX_MS
    entry.checkedAtMs = now
    if (entry.recheck !== undefined && isBelieved) return entry.account
    entry.recheck ??= askAgain(token, entry)
    try {
      return await within(RECHECK_PATIENCE_MS, entry.recheck, () => {
        throw new DatabaseSilent()
      })
    } catch (error) {
      if (isDatabaseAway(error) && isBelieved) return entry.account
      verified.delete(token)
      throw error
    }
  }

  return {
    async open(login, password) {
      const [account] = await byName.execute({ name: foldName(login) })
      const isRight = await passwords.verify(password, account?.passwordHash)
      if (account === undefined || !isRight) throw badCredentials()
      const event = { user_id: account.id, time: isoTime(clock.now()) }
      const announce = (tx: Writes) => outbox.add(tx, 'auth.login', event)
      return { token: await create(account, { announce }), account }
    },
    openFor: (account) => create(account, { algorithm: 'ES256' }),
    authenticate(token) {
      const entry = verified.get(token)
      if (entry === undefined) return verify(token)
      const now = clock.now()
      if (now >= entry.expiresAtMs) {
        verified.delete(token)
        throw expiredToken()
      }
      return now - entry.checkedAtMs < RECHECK_INTERVAL_MS ? entry.account : recheck(token, entry)
    },
    async removeExpired() {
      await database.write(async (tx) => {
        await tx.delete(sessions).where(lt(sessions.expiresAt, new Date(clock.now())))
      })
    },
    async revoke(tx, accountId, except = '') {
      await tx
        .delete(sessions)
        .where(and(eq(sessions.accountId, accountId), ne(sessions.id, except)))
    },
    forget(accountId) {
      for (const [token, { account }] of verified) {
        if (account.id === accountId) verified.delete(token)
      }
    },
  }
}

const badCredentials = () =>
  authProblems.badCredentials({ detail: 'The user name or the password is wrong.' })
