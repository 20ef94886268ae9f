import { and, eq, isNotNull } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import { stranger } from '../../gateway/principal.ts'
import type { Problem } from '../../gateway/problem.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import { authProblems } from '../problems.ts'
import type { Caller } from '../sessions/sessions.ts'
import type { AuthTables } from '../tables.ts'

type Reason = Events['auth.login_failed']['reason']

/** Logins that came to nothing, for the audit. */
export interface LoginFailures {
  /** Nobody is named as who did it: that it was the account's owner is just what was not shown. */
  record(tx: Writes, accountId: string | null, reason: Reason, caller: Caller): Promise<void>
  /** Why no session was opened for somebody who had proved all: 403 where the account is disabled. */
  ofDisabled(accountId: string, caller: Caller): Promise<Problem | undefined>
}

export function createLoginFailures(deps: {
  database: Database
  tables: AuthTables
  audit: Audit
}): LoginFailures {
  const { database, audit } = deps
  const { accounts } = deps.tables
  const record: LoginFailures['record'] = async (tx, accountId, reason, { address }) => {
    const actor = stranger(address)
    await audit.record(tx, actor, 'auth.login_failed', { user_id: accountId, reason })
  }
  return {
    record,
    async ofDisabled(accountId, caller) {
      return database.write(async (tx) => {
        const disabled = await tx
          .select({ id: accounts.id })
          .from(accounts)
          .where(and(eq(accounts.id, accountId), isNotNull(accounts.disabledAt)))
        if (disabled.length === 0) return undefined
        await record(tx, accountId, 'disabled', caller)
        return authProblems.accountDisabled()
      })
    },
  }
}
