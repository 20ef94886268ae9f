import type { Principal } from '../../gateway/principal.ts'
import { problems } from '../../gateway/problems.ts'
import { type Role, roleScopes } from '../../gateway/scopes.ts'

/** Refuses, by throwing, to act upon an account as it is now. */
export type Allow = (account: { id: string; role: Role }) => void

/**
 * Who decides about accounts gives nobody rights that they lack, and takes over no account that has some:
 * `users:write` alone would be everything else too.
 *
 * @throws {Problem} 403 naming what is lacked.
 */
export function requireOutranks({ scopes }: Principal, role: Role): void {
  const lacked = roleScopes[role].filter((scope) => !scopes.has(scope))
  if (lacked.length === 0) return
  throw problems.forbidden({
    detail: `Of what the role ${role} may do, you may not: ${lacked.join(', ')}.`,
  })
}

/**
 * A session that was left open, or a key, must not be enough to take its own account over.
 *
 * @throws {Problem} 403 with the detail, which says what to do instead.
 */
export function requireOther({ id }: Principal, accountId: string, detail: string): void {
  if (id === accountId) throw problems.forbidden({ detail })
}
