import { eq } from 'drizzle-orm'

import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import type { MailedTickets } from '../mail/mailed-tickets.ts'
import type { Mailings } from '../mail/mailings.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import type { User } from './new-user.ts'

/** Showing that an account's address is its owner's. */
export interface EmailVerification {
  /**
   * Has a link sent to the account's address, unless that is verified.
   *
   * @throws {Problem} 409 when it has no address.
   */
  request(accountId: string): Promise<void>
  /** Whose ticket it is, where it is good, for a page to say so. */
  find(ticket: string): Promise<User | undefined>
  /** @throws {Problem} 400 when the ticket is none, or not any more, or the address is another one now. */
  verify(ticket: string, address: string): Promise<void>
}

export function createEmailVerification(deps: {
  database: Database
  tables: AuthTables
  mailedTickets: MailedTickets
  mailings: Mailings
  audit: Audit
  clock: Clock
}): EmailVerification {
  const { database, mailedTickets, mailings, audit, clock } = deps
  const { accounts } = deps.tables

  return {
    async request(accountId) {
      await database.write(async (tx) => {
        const [account] = await tx
          .select({ email: accounts.email })
          .from(accounts)
          .where(eq(accounts.id, accountId))
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
        const { id, username } = account
        await tx
          .update(accounts)
          .set({ emailVerifiedAt: new Date(clock.now()), pendingSince: null })
          .where(eq(accounts.id, id))
        await mailedTickets.revoke(tx, ['verify_email'], id)
        const actor = { id, name: username, address }
        await audit.record(tx, actor, 'auth.email_verified', { user_id: id })
      })
    },
  }
}
