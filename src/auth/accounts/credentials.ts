import { eq } from 'drizzle-orm'

import type { Actor } from '../../gateway/principal.ts'
import type { Writes } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import type { SecondFactors } from '../second-factors/second-factors.ts'
import type { AuthTables } from '../tables.ts'

/** All that lets somebody in to an account beside its password. */
export interface Credentials {
  /**
   * Within a write that gives the account back to its owner: removes its API keys, its identities at
   * providers, its passkeys and its TOTP. Whoever was in beside the owner may have left some to come
   * back by, or to keep the owner out.
   */
  clear(tx: Writes, accountId: string, actor: Actor): Promise<void>
}

export function createCredentials(deps: {
  tables: AuthTables
  secondFactors: Pick<SecondFactors, 'clear'>
  audit: Audit
}): Credentials {
  const { secondFactors, audit } = deps
  const { apiKeys, identities } = deps.tables
  return {
    async clear(tx, id, actor) {
      const keys = await tx
        .delete(apiKeys)
        .where(eq(apiKeys.ownerId, id))
        .returning({ key_id: apiKeys.id, name: apiKeys.name })
      for (const key of keys) {
        const details = { user_id: id, service_account_id: null, ...key }
        await audit.record(tx, actor, 'auth.api_key_deleted', details)
      }
      const linked = await tx
        .delete(identities)
        .where(eq(identities.accountId, id))
        .returning({ identity_id: identities.id, provider: identities.provider })
      for (const identity of linked) {
        await audit.record(tx, actor, 'auth.identity_removed', { user_id: id, ...identity })
      }
      if (await secondFactors.clear(tx, id)) {
        await audit.record(tx, actor, 'auth.second_factors_removed', { user_id: id })
      }
    },
  }
}
