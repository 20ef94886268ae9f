import { and, desc, eq } from 'drizzle-orm'

import type { Clock } from '../../platform/clock.ts'
import type { Database, Reads, Writes } from '../../platform/database/database.ts'
import type { AuthTables } from '../tables.ts'

export const PASSKEYS_PER_ACCOUNT_MAX = 20

export type Passkey = AuthTables['passkeys']['$inferSelect']

/** What a registration tells of a passkey. */
export type NewPasskey = Pick<
  Passkey,
  'credentialId' | 'publicKey' | 'counter' | 'transports' | 'isBackedUp'
>

/** What became of a passkey that has signed. */
type Use = 'used' | 'removed' | 'counted-back'

/** The public halves of what people log in with beside, or without, their password (WebAuthn level 3). */
export interface Passkeys {
  /** The newest first. */
  list(reads: Reads, accountId: string): Promise<Passkey[]>
  find(credentialId: string): Promise<Passkey | undefined>
  /** @throws where an account has this credential already: a unique violation. */
  add(tx: Writes, accountId: string, name: string, passkey: NewPasskey): Promise<Passkey>
  /**
   * Notes that it has signed. Of a counter that does not count on nothing is kept: there may be a copy of
   * the key (WebAuthn, section 6.1.1). Authenticators that don't count always say 0.
   */
  use(tx: Writes, id: string, seen: Pick<Passkey, 'counter' | 'isBackedUp'>): Promise<Use>
  /** @returns whether the account had it. */
  remove(tx: Writes, accountId: string, id: string): Promise<boolean>
  removeAll(tx: Writes, accountId: string): Promise<boolean>
}

export function createPasskeys(deps: {
  database: Database
  tables: AuthTables
  clock: Clock
}): Passkeys {
  const { database, clock } = deps
  const { passkeys } = deps.tables

  return {
    async list(reads, accountId) {
      return reads
        .select()
        .from(passkeys)
        .where(eq(passkeys.accountId, accountId))
        .orderBy(desc(passkeys.id))
        .limit(PASSKEYS_PER_ACCOUNT_MAX)
    },
    async find(credentialId) {
      const [found] = await database.read
        .select()
        .from(passkeys)
        .where(eq(passkeys.credentialId, credentialId))
      return found
    },
    async add(tx, accountId, name, passkey) {
      const row: Passkey = {
        id: Bun.randomUUIDv7(),
        accountId,
        name,
        ...passkey,
        createdAt: new Date(clock.now()),
        usedAt: null,
      }
      await tx.insert(passkeys).values(row)
      return row
    },
    async use(tx, id, { counter, isBackedUp }) {
      const [stored] = await database.lock(tx.select().from(passkeys).where(eq(passkeys.id, id)))
      if (stored === undefined) return 'removed'
      const isCounting = counter > 0 || stored.counter > 0
      if (isCounting && counter <= stored.counter) return 'counted-back'
      await tx
        .update(passkeys)
        .set({ counter, isBackedUp, usedAt: new Date(clock.now()) })
        .where(eq(passkeys.id, id))
      return 'used'
    },
    async remove(tx, accountId, id) {
      const removed = await tx
        .delete(passkeys)
        .where(and(eq(passkeys.id, id), eq(passkeys.accountId, accountId)))
        .returning({ id: passkeys.id })
      return removed.length > 0
    },
    async removeAll(tx, accountId) {
      const removed = await tx
        .delete(passkeys)
        .where(eq(passkeys.accountId, accountId))
        .returning({ id: passkeys.id })
      return removed.length > 0
    },
  }
}
