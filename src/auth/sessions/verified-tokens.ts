import { and, eq, gt, isNull, or, sql } from 'drizzle-orm'
import { LRUCache } from 'lru-cache'

import type { Account } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import { roleScopes, type Scope } from '../../gateway/scopes.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Database, DatabaseSilent, isDatabaseAway } from '../../platform/database/database.ts'
import { placeholder } from '../../platform/database/prepared.ts'
import { within } from '../../platform/within.ts'
import type { Keys } from '../keys/keys.ts'
import type { AuthTables } from '../tables.ts'
import { expiredToken, invalidToken, type Tokens } from './tokens.ts'

/** How long a revocation by another process may go unseen. */
const RECHECK_INTERVAL_MS = 1000
/** How long a token that was good is believed while the database can't be asked. */
const UNCHECKED_MAX_MS = 60_000
/** How long a request waits to hear whether its good token is still one. */
const RECHECK_PATIENCE_MS = 1000

/** Whom tokens stand for. What was verified is remembered, and whether it was revoked looked up each second. */
export interface VerifiedTokens {
  /** @throws {Problem} 401 when the token is not good, or its session is over. */
  authenticate(token: string): Account | Promise<Account>
  /** Forgets what is remembered of an account's tokens. Call it after the commit. */
  forget(accountId: string): void
}

interface Verified {
  account: Account
  /** Of the ES256 key that signed it, which may be removed before the token expires. */
  keyId: string | undefined
  expiresAtMs: number
  /** When the database was last asked, and when it last answered. */
  checkedAtMs: number
  confirmedAtMs: number
  /** Under way, for all requests with this token together. */
  recheck: Promise<Account> | undefined
}

export function createVerifiedTokens(deps: {
  database: Database
  tables: AuthTables
  tokens: Tokens
  keys: Keys
  clock: Clock
  cacheMax: number
}): VerifiedTokens {
  const { database, tokens, keys, clock } = deps
  const { accounts, sessions } = deps.tables
  /** By the whole token: a digest short enough to be quick would not be safe from collisions. */
  const verified = new LRUCache<string, Verified>({ max: deps.cacheMax })

  const bySession = database.read
    .select({ id: accounts.id, username: accounts.username, role: accounts.role })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.id, sessions.accountId))
    .where(
      and(
        eq(sessions.id, sql.placeholder('id')),
        gt(sessions.expiresAt, placeholder('now', sessions.expiresAt)),
        or(
          isNull(sessions.idleUntil),
          gt(sessions.idleUntil, placeholder('now', sessions.idleUntil)),
        ),
        isNull(accounts.disabledAt),
      ),
    )
    .prepare('account_by_session')

  /** The account behind a session as it is now, so that a changed role counts at once. */
  async function load(sessionId: string): Promise<Account> {
    const [account] = await bySession.execute({ id: sessionId, now: new Date(clock.now()) })
    if (account === undefined) throw invalidToken()
    const scopes: ReadonlySet<Scope> = new Set(roleScopes[account.role])
    return { kind: 'account', ...account, sessionId, scopes }
  }

  async function verify(token: string): Promise<Account> {
    const { sessionId, keyId, expiresAt } = await tokens.verify(token)
    const account = await load(sessionId)
    const now = clock.now()
    verified.set(token, {
      account,
      keyId,
      expiresAtMs: expiresAt * 1000,
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
      const { keyId } = entry
      const isKeyGone = keyId !== undefined && (await keys.verifying(keyId)) === undefined
      if (isKeyGone) throw invalidToken()
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
    authenticate(token) {
      const entry = verified.get(token)
      if (entry === undefined) return verify(token)
      const now = clock.now()
      if (now >= entry.expiresAtMs) {
        verified.delete(token)
        throw expiredToken()
      }
      return Math.abs(now - entry.checkedAtMs) < RECHECK_INTERVAL_MS
        ? entry.account
        : recheck(token, entry)
    },
    forget(accountId) {
      for (const [token, { account }] of verified) {
        if (account.id === accountId) verified.delete(token)
      }
    },
  }
}
