import { and, eq, sql } from 'drizzle-orm'

import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { PersonRights } from '../accounts/person-rights.ts'
import type { Keys } from '../keys/keys.ts'
import type { AuthTables } from '../tables.ts'
import { isOpen } from './open-sessions.ts'
import { invalidToken, type SessionToken } from './tokens.ts'
import type { Credential } from './verified-tokens.ts'

/** The tokens of sessions: each is good while its session is, and the key that signed it. */
export function createSessionTokens(deps: {
  database: Database
  tables: AuthTables
  keys: Keys
  rights: PersonRights
  clock: Clock
}): (token: SessionToken) => Credential {
  const { database, keys, rights, clock } = deps
  const { accounts, sessions } = deps.tables

  const bySession = database.read
    .select({ id: accounts.id, username: accounts.username, role: accounts.role })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.id, sessions.accountId))
    .where(and(eq(sessions.id, sql.placeholder('id')), isOpen(deps.tables)))
    .prepare('account_by_session')

  return ({ userId, sessionId, keyId, expiresAt }) => {
    return {
      expiresAtMs: expiresAt * 1000,
      async load() {
        // The key may be removed before the token expires.
        const isKeyGone = keyId !== undefined && (await keys.verifying(keyId)) === undefined
        if (isKeyGone) throw invalidToken()
        const [account] = await bySession.execute({ id: sessionId, now: new Date(clock.now()) })
        if (account?.id !== userId) throw invalidToken()
        const scopes = await rights.of(account)
        return { kind: 'account', ...account, sessionId, scopes }
      },
    }
  }
}
