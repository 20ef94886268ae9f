import { and, eq, isNull, lte, or, sql } from 'drizzle-orm'

import { userActor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { PersonRights } from '../accounts/person-rights.ts'
import type { AuthTables } from '../tables.ts'
import { isOpen } from './open-sessions.ts'
import { hashOf } from './refresh-tokens.ts'
import type { IssuedTokens, Sessions } from './sessions.ts'
import { invalidToken } from './tokens.ts'
import type { ReadCredential } from './verified-tokens.ts'

/** What the gateway looks for in a cookie. */
const PREFIX = 'qs_'
const SECRET_BYTES = 32
/** A session that is used lives on, and that it is used is written down no more often. */
const RENEWAL_INTERVAL_MS = 60_000

/**
 * Sessions of browsers. Each is a session like any other, but is known by one secret, in a cookie, in
 * place of tokens; in the database the secret is a hash.
 */
export interface BrowserSessions {
  /**
   * Makes a browser's session of one that somebody has just been granted. Its refresh token, which
   * nobody has been given, is void.
   *
   * @returns the secret. It is a new one each time, so that nobody knows it beforehand (fixation).
   */
  adopt(issued: IssuedTokens): Promise<string>
  /** Ends the session, where there is one. */
  end(secret: string, address: string): Promise<void>
  /** Reads the secret as a credential. */
  read: ReadCredential
}

export function createBrowserSessions(deps: {
  database: Database
  tables: AuthTables
  sessions: Sessions
  rights: PersonRights
  clock: Clock
  log: Log
  idleSeconds: number
}): BrowserSessions {
  const { database, rights, clock, log } = deps
  const { accounts, sessions } = deps.tables

  const byCookie = database.read
    .select({
      id: accounts.id,
      username: accounts.username,
      role: accounts.role,
      sessionId: sessions.id,
      usedAt: sessions.usedAt,
      expiresAt: sessions.expiresAt,
    })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.id, sessions.accountId))
    .where(and(eq(sessions.cookieHash, sql.placeholder('hash')), isOpen(deps.tables)))
    .prepare('account_by_cookie')

  async function find(hash: string) {
    const [found] = await byCookie.execute({ hash, now: new Date(clock.now()) })
    return found
  }

  /** Whoever asks is let in all the same where this fails; the next one tries again. */
  async function renew(sessionId: string): Promise<void> {
    const now = clock.now()
    const usedAt = new Date(now)
    const idleUntil = new Date(now + deps.idleSeconds * 1000)
    const before = new Date(now - RENEWAL_INTERVAL_MS)
    try {
      await database.write(async (tx) => {
        await tx
          .update(sessions)
          .set({ usedAt, idleUntil })
          .where(
            and(
              eq(sessions.id, sessionId),
              or(isNull(sessions.usedAt), lte(sessions.usedAt, before)),
            ),
          )
      })
    } catch (error) {
      log.warn({ error }, 'that a session is used could not be written down')
    }
  }

  const isDue = (usedAt: Date | null) =>
    usedAt === null || clock.now() - usedAt.getTime() >= RENEWAL_INTERVAL_MS

  return {
    async adopt({ sessionId }) {
      const secret =
        PREFIX + crypto.getRandomValues(Buffer.alloc(SECRET_BYTES)).toString('base64url')
      await database.write(async (tx) => {
        await tx
          .update(sessions)
          .set({ cookieHash: hashOf(secret), refreshHash: null, parentHash: null })
          .where(eq(sessions.id, sessionId))
      })
      return secret
    },
    async end(secret, address) {
      const found = await find(hashOf(secret))
      if (found === undefined) return
      const actor = userActor(found, address)
      await deps.sessions.close(found.id, found.sessionId, actor)
    },
    async read(secret) {
      const hash = hashOf(secret)
      const first = await find(hash)
      if (first === undefined) throw invalidToken()
      return {
        expiresAtMs: first.expiresAt.getTime(),
        async load() {
          const found = await find(hash)
          if (found === undefined) throw invalidToken()
          const { id, username, role, sessionId, usedAt } = found
          if (isDue(usedAt)) await renew(sessionId)
          return {
            kind: 'account',
            id,
            username,
            role,
            sessionId,
            scopes: await rights.of({ id, role }),
          }
        },
      }
    },
  }
}
