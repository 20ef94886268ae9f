import { and, eq, gt } from 'drizzle-orm'

import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'

const RECENT_LOGIN_SECONDS = 600

/** Who logged in a moment ago is there, and not only a token of theirs. */
export interface RecentLogins {
  /**
   * For what decides how somebody may log in (ASVS 7.5.1). A login asks for all that the account has, be
   * it password, code or passkey; a refresh is none.
   *
   * @throws {Problem} 403 when the session was opened more than ten minutes ago.
   */
  require(person: { id: string; sessionId: string }): Promise<void>
}

export function createRecentLogins(deps: {
  database: Database
  tables: AuthTables
  clock: Clock
}): RecentLogins {
  const { database, clock } = deps
  const { sessions } = deps.tables
  return {
    async require({ id, sessionId }) {
      const since = new Date(clock.now() - RECENT_LOGIN_SECONDS * 1000)
      const recent = await database.read
        .select({ id: sessions.id })
        .from(sessions)
        .where(
          and(
            eq(sessions.id, sessionId),
            eq(sessions.accountId, id),
            gt(sessions.createdAt, since),
          ),
        )
      if (recent.length > 0) return
      throw authProblems.loginNotRecent({
        detail: 'Log in again: this can be done in the ten minutes after a login.',
      })
    },
  }
}
