import { and, eq } from 'drizzle-orm'

import type { Actor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Writes } from '../../platform/database/database.ts'
import type { User } from '../accounts/new-user.ts'
import type { Audit } from '../audit/audit.ts'
import type { AuthTables } from '../tables.ts'
import type { Person } from './provider.ts'

export type StoredIdentity = AuthTables['identities']['$inferSelect']

/** What is kept of identities, within a write of who decides about them. */
export interface IdentityRows {
  find(tx: Writes, provider: string, subject: string): Promise<StoredIdentity | undefined>
  /** Links somebody to an account, for all to hear. */
  add(tx: Writes, actor: Actor, account: User, provider: string, person: Person): Promise<void>
  /** Somebody came by it. @returns whether it is there still. */
  touch(tx: Writes, identity: StoredIdentity): Promise<boolean>
  /** Whether the account is linked to anybody at the provider. */
  isLinked(tx: Writes, accountId: string, provider: string): Promise<boolean>
}

export function createIdentityRows(deps: {
  tables: AuthTables
  audit: Audit
  clock: Clock
}): IdentityRows {
  const { audit, clock } = deps
  const { identities } = deps.tables

  return {
    async find(tx: Writes, provider: string, subject: string) {
      const [identity] = await tx
        .select()
        .from(identities)
        .where(and(eq(identities.provider, provider), eq(identities.subject, subject)))
      return identity
    },
    async add(tx: Writes, actor: Actor, account: User, provider: string, person: Person) {
      const now = new Date(clock.now())
      const id = Bun.randomUUIDv7()
      await tx.insert(identities).values({
        id,
        accountId: account.id,
        provider,
        subject: person.subject,
        email: person.email?.address ?? null,
        createdAt: now,
        usedAt: now,
      })
      const details = { user_id: account.id, identity_id: id, provider }
      await audit.record(tx, actor, 'auth.identity_linked', details)
    },
    async touch(tx: Writes, { id }: StoredIdentity): Promise<boolean> {
      const touched = await tx
        .update(identities)
        .set({ usedAt: new Date(clock.now()) })
        .where(eq(identities.id, id))
        .returning({ id: identities.id })
      return touched.length > 0
    },
    async isLinked(tx: Writes, accountId: string, provider: string): Promise<boolean> {
      const found = await tx
        .select({ id: identities.id })
        .from(identities)
        .where(and(eq(identities.accountId, accountId), eq(identities.provider, provider)))
      return found.length > 0
    },
  }
}
