import { and, eq, isNotNull } from 'drizzle-orm'

import { type Role, roleScopes, type Scope } from '../../gateway/scopes.ts'
import type { Database } from '../../platform/database/database.ts'
import type { AuthTables } from '../tables.ts'
import { NO_PASSWORD } from './new-user.ts'

/** Of whom the server asks for a second factor. */
type SecondFactorPolicy = 'optional' | 'administrators' | 'everyone'

const OF_ROLE = {
  viewer: new Set(roleScopes.viewer),
  editor: new Set(roleScopes.editor),
  admin: new Set(roleScopes.admin),
} satisfies Record<Role, ReadonlySet<Scope>>
const NONE: ReadonlySet<Scope> = new Set()

/** What people may do now. */
export interface PersonRights {
  /**
   * The scopes of their role; none while they owe the server a second factor (ASVS 6.3.3). They can
   * still log in, and set one up.
   */
  of(account: { id: string; role: Role }): ReadonlySet<Scope> | Promise<ReadonlySet<Scope>>
}

export function createPersonRights(deps: {
  database: Database
  tables: AuthTables
  policy: SecondFactorPolicy
}): PersonRights {
  const { policy } = deps
  const { read } = deps.database
  const { accounts, passkeys, totp } = deps.tables

  /** Who has no password signs on elsewhere, where a second factor is the provider's to ask for. */
  async function isSafe(id: string): Promise<boolean> {
    const found = await Promise.all([
      read
        .select({ id: totp.accountId })
        .from(totp)
        .where(and(eq(totp.accountId, id), isNotNull(totp.confirmedAt))),
      read.select({ id: passkeys.id }).from(passkeys).where(eq(passkeys.accountId, id)).limit(1),
      read
        .select({ id: accounts.id })
        .from(accounts)
        .where(and(eq(accounts.id, id), eq(accounts.passwordHash, NO_PASSWORD))),
    ])
    return found.some((rows) => rows.length > 0)
  }

  return {
    of({ id, role }) {
      const isAsked = policy === 'everyone' || (policy === 'administrators' && role === 'admin')
      if (!isAsked) return OF_ROLE[role]
      return isSafe(id).then((safe) => (safe ? OF_ROLE[role] : NONE))
    },
  }
}
