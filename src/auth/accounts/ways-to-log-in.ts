import { and, eq, inArray } from 'drizzle-orm'

import type { Writes } from '../../platform/database/database.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import { NO_PASSWORD, type User } from './new-user.ts'

/** Keeps people from removing their last way to log in. */
export interface WaysToLogIn {
  /**
   * Within the write that removes one, after it.
   *
   * @throws {Problem} 409 when none is left: no password, no passkey, nobody to sign on with.
   */
  requireOne(tx: Writes, account: User): Promise<void>
}

export function createWaysToLogIn(deps: {
  tables: AuthTables
  /** Those through which people can come in; an identity at any other opens nothing. */
  providerIds: readonly string[]
}): WaysToLogIn {
  const { identities, passkeys } = deps.tables
  const providerIds = [...deps.providerIds]
  return {
    async requireOne(tx, { id, passwordHash }) {
      if (passwordHash !== NO_PASSWORD) return
      const isPasskey = eq(passkeys.accountId, id)
      if (
        (await tx.select({ id: passkeys.id }).from(passkeys).where(isPasskey).limit(1)).length > 0
      )
        return
      const isUsable = and(eq(identities.accountId, id), inArray(identities.provider, providerIds))
      if (
        (await tx.select({ id: identities.id }).from(identities).where(isUsable).limit(1)).length >
        0
      )
        return
      throw authProblems.lastLogin({
        detail: 'You have no password. Have one set first, or you could not log in any more.',
      })
    },
  }
}
