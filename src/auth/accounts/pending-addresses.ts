import { eq, lt } from 'drizzle-orm'

import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Mailings } from '../mail/mailings.ts'
import type { AuthTables } from '../tables.ts'
import { foldName } from './names.ts'
import type { User } from './new-user.ts'

/** For who reads their mail once a week. */
const PENDING_MS = 7 * 86_400_000

/** As an account has it that waits for no address. */
export const NO_PENDING_ADDRESS = { emailPending: null, emailPendingSince: null }

/**
 * Addresses that people have asked for, beside the ones that they have until they show that they read
 * what comes there. They count for nothing and keep nobody else from them, so it is told to nobody
 * whether one is another's already.
 */
export interface PendingAddresses {
  /**
   * Within a write: has a link sent there that makes the address the account's. The owner of one that
   * is taken gets a note in its place, by the same writes.
   */
  ask(tx: Writes, accountId: string, address: string): Promise<void>
  /** Forgets those that nobody has shown to be theirs in time. */
  removeExpired(): Promise<void>
}

export function createPendingAddresses(deps: {
  database: Database
  tables: AuthTables
  mailings: Mailings
  clock: Clock
}): PendingAddresses {
  const { database, mailings, clock } = deps
  const { accounts } = deps.tables

  return {
    async ask(tx, accountId, address) {
      const [owner] = await tx
        .select({ id: accounts.id })
        .from(accounts)
        .where(eq(accounts.emailFolded, foldName(address)))
      const isFree = owner === undefined || owner.id === accountId
      await mailings.enqueue(
        tx,
        isFree
          ? { letter: 'verify_email', accountId }
          : { letter: 'email_taken', accountId: owner.id },
      )
    },
    async removeExpired() {
      const end = new Date(clock.now() - PENDING_MS)
      await database.write(async (tx) => {
        await tx.update(accounts).set(NO_PENDING_ADDRESS).where(lt(accounts.emailPendingSince, end))
      })
    },
  }
}

/** The columns of an account whose owner asks for an address. Who asks for their own waits for none. */
export function pendingColumns(account: User, email: string, now: Date): Partial<User> {
  if (email !== account.email) return { emailPending: email, emailPendingSince: now }
  return account.emailPending === null ? {} : NO_PENDING_ADDRESS
}
