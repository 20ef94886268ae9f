import { eq } from 'drizzle-orm'

import { type Actor, stranger, userActor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Database, isUniqueViolation, type Writes } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import { addressOf, badTicket, type MailedTickets } from '../mail/mailed-tickets.ts'
import type { Mailings } from '../mail/mailings.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import { emailColumns, NO_PASSWORD, type User } from './new-user.ts'
import { PASSWORD_TICKETS } from './password-resets.ts'
import type { PendingAddresses } from './pending-addresses.ts'
import type { UserPasswords } from './user-passwords.ts'

interface Verifiable {
  /** Of the account. */
  username: string
  email: string
  /** Whether the account has one. */
  asksPassword: boolean
}

/** Showing that an account's address is its owner's. */
export interface EmailVerification {
  /**
   * Has a link sent to the address that its owner asked for, or else to the account's own, unless that
   * is verified.
   *
   * @throws {Problem} 409 when it has no address.
   */
  request(accountId: string): Promise<void>
  /** What a ticket would verify, where it is good, for a page to ask. */
  find(ticket: string): Promise<Verifiable | undefined>
  /**
   * Shows that who has an account reads what comes to its address, and makes an address that they asked
   * for the account's. The ticket alone shows that somebody reads it: whoever has them confirm an
   * account that is another's would share theirs. So it takes the account's password too, where it has one.
   *
   * @throws {Problem} 400 when the ticket is none, or not any more; or the address is another one now, or
   * another's; 403 when the password is wrong or missing, 429 after many wrong ones. Then the ticket stays good.
   */
  verify(given: { ticket: string; password?: string | undefined; address: string }): Promise<void>
}

export function createEmailVerification(deps: {
  database: Database
  tables: AuthTables
  mailedTickets: MailedTickets
  mailings: Mailings
  pendingAddresses: PendingAddresses
  userPasswords: Pick<UserPasswords, 'confirm'>
  audit: Audit
  clock: Clock
}): EmailVerification {
  const { database, mailedTickets, mailings, pendingAddresses, userPasswords } = deps
  const { audit, clock } = deps
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
    async find(ticket) {
      const account = await mailedTickets.read(['verify_email'], ticket)
      const email = account && addressOf('verify_email', account)
      if (account === undefined || !email) return undefined
      const { username, passwordHash } = account
      return { username, email, asksPassword: passwordHash !== NO_PASSWORD }
    },
    async verify({ ticket, password = '', address }) {
      const owner = await mailedTickets.read(['verify_email'], ticket)
      if (owner !== undefined && owner.passwordHash !== NO_PASSWORD) {
        await userPasswords.confirm(owner.id, password, stranger(address))
      }
      await mailedTickets.write('verify_email', address, async (tx) => {
        const { account } = await mailedTickets.redeem(tx, ['verify_email'], ticket)
        const { id, username, emailPending } = account
        const actor = userActor({ id, username }, address)
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
