import { eq } from 'drizzle-orm'

import type { Actor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Database, isUniqueViolation, type Writes } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import { badTicket, type MailedTickets } from '../mail/mailed-tickets.ts'
import type { Mailings } from '../mail/mailings.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import { emailColumns, type User } from './new-user.ts'
import { PASSWORD_TICKETS } from './password-resets.ts'
import type { PendingAddresses } from './pending-addresses.ts'

/** Showing that an account's address is its owner's. */
export interface EmailVerification {
  /**
   * Has a link sent to the address that its owner asked for, or else to the account's own, unless that
   * is verified.
   *
   * @throws {Problem} 409 when it has no address.
   */
  request(accountId: string): Promise<void>
  /** Whose ticket it is, where it is good, for a page to say so. */
  find(ticket: string): Promise<User | undefined>
  /**
   * Makes an address that its owner asked for the account's.
   *
   * @throws {Problem} 400 when the ticket is none, or not any more; or the address is another one now, or
   * another's.
   */
  verify(ticket: string, address: string): Promise<void>
}

export function createEmailVerification(deps: {
  database: Database
  tables: AuthTables
  mailedTickets: MailedTickets
  mailings: Mailings
  pendingAddresses: PendingAddresses
  audit: Audit
  clock: Clock
}): EmailVerification {
  const { database, mailedTickets, mailings, pendingAddresses, audit, clock } = deps
  const { accounts } = deps.tables

  /** Links to set a password that went to the address before are void, and it is told. */
  async function move(tx: Writes, account: User, email: string, actor: Actor): Promise<void> {
    const { id } = account
    const columns = { ...emailColumns(email), updatedAt: new Date(clock.now()) }
    try {
      await tx.update(accounts).set(columns).where(eq(accounts.id, id))
    } catch (error) {
      // It has become another's since: that is for who reads it to sort out.
      if (isUniqueViolation(error)) throw badTicket()
      throw error
    }
    await mailedTickets.revoke(tx, PASSWORD_TICKETS, id)
    if (account.email !== null) {
      const address = account.email
      await mailings.enqueue(tx, { letter: 'email_changed', accountId: id, address })
    }
    await audit.record(tx, actor, 'auth.user_changed', { user_id: id, changed: ['email'] })
  }

  return {
    async request(accountId) {
      await database.write(async (tx) => {
        const [account] = await tx
          .select({ email: accounts.email, emailPending: accounts.emailPending })
          .from(accounts)
          .where(eq(accounts.id, accountId))
        const pending = account?.emailPending ?? null
        if (pending !== null) {
          await pendingAddresses.ask(tx, accountId, pending)
          return
        }
        if (account === undefined || account.email === null) {
          throw authProblems.noAddress({ detail: 'Your account has no e-mail address to verify.' })
        }
        await mailings.enqueue(tx, { letter: 'verify_email', accountId })
      })
    },
    find: (ticket) => mailedTickets.read(['verify_email'], ticket),
    async verify(ticket, address) {
      await mailedTickets.write('verify_email', address, async (tx) => {
        const { account } = await mailedTickets.redeem(tx, ['verify_email'], ticket)
        const { id, username, emailPending } = account
        const actor = { id, name: username, address }
        if (emailPending !== null) await move(tx, account, emailPending, actor)
        await tx
          .update(accounts)
          .set({ emailVerifiedAt: new Date(clock.now()), emailClaimedAt: null, pendingSince: null })
          .where(eq(accounts.id, id))
        await mailedTickets.revoke(tx, ['verify_email'], id)
        await audit.record(tx, actor, 'auth.email_verified', { user_id: id })
      })
    },
  }
}
