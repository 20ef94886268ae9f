import { eq, or } from 'drizzle-orm'

import { stranger, userActor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { Audit } from '../audit/audit.ts'
import { createWriteCap } from '../audit/write-cap.ts'
import type { MailedPurpose, MailedTickets } from '../mail/mailed-tickets.ts'
import type { Mailings } from '../mail/mailings.ts'
import type { Passwords } from '../passwords/passwords.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Throttle } from '../sessions/throttle.ts'
import type { AuthTables } from '../tables.ts'
import type { Credentials } from './credentials.ts'
import { foldName } from './names.ts'
import type { User } from './new-user.ts'
import { NO_PENDING_ADDRESS } from './pending-addresses.ts'

/** A first password is set as a forgotten one is. */
export const PASSWORD_TICKETS: MailedPurpose[] = ['reset_password', 'set_password']

/** Setting a password without the current one, by a link. */
export interface PasswordResets {
  /**
   * Has a link sent to the account of a user name or an e-mail address. It does the same, and takes as
   * long, where there is none.
   */
  request(login: string, address: string): Promise<void>
  /** Whose ticket it is, where it is good, for a page to say so before it asks for a password. */
  find(ticket: string): Promise<User | undefined>
  /**
   * Sets the password, ends all sessions and voids all other links for it. The password is known to
   * be fit in itself. Where it does not come to it the ticket stays good. Where it is the first to show
   * that an address is read which the owner only claimed, all else that lets anybody in is removed.
   *
   * @throws {Problem} 400 when the ticket is none, or not any more; 422 where the password is made of
   * the account's names; 503 when too many passwords are being hashed.
   */
  reset(ticket: string, password: string, address: string): Promise<void>
}

export function createPasswordResets(deps: {
  database: Database
  tables: AuthTables
  passwords: Passwords
  sessions: Sessions
  mailedTickets: MailedTickets
  mailings: Mailings
  throttle: Throttle
  audit: Audit
  clock: Clock
  log: Log
  credentials: Credentials
  /** Called after a commit that ended sessions of an account. */
  forget: (accountId: string) => void
}): PasswordResets {
  const { database, passwords, sessions, mailedTickets, mailings, throttle, audit, clock } = deps
  const { credentials } = deps
  const { accounts } = deps.tables
  const mayRecord = createWriteCap(deps)

  return {
    async request(login, address) {
      const name = foldName(login)
      const [account] = await database.read
        .select({ id: accounts.id })
        .from(accounts)
        .where(or(eq(accounts.usernameFolded, name), eq(accounts.emailFolded, name)))
        .limit(1)
      const accountId = account?.id ?? null
      const actor = stranger(address)
      // Whose the name is makes no difference: what is told must not say, by its time, who is here.
      const isRecorded = mayRecord(address, accountId !== null)
      await database.write(async (tx) => {
        await mailings.enqueue(tx, { letter: 'reset_password', accountId })
        if (!isRecorded) return
        await audit.record(tx, actor, 'auth.password_reset_requested', { user_id: accountId })
      })
    },
    find: (ticket) => mailedTickets.read(PASSWORD_TICKETS, ticket),
    async reset(ticket, password, address) {
      // Before the hash, which costs 40 ms; who has none asks the write, which refuses and tells of it.
      const owner = await mailedTickets.read(PASSWORD_TICKETS, ticket)
      const passwordHash = owner === undefined ? '' : await passwords.hashNew(password, owner)
      const id = await mailedTickets.write('reset_password', address, async (tx) => {
        const { account, isMailed } = await mailedTickets.redeem(
          tx,
          owner === undefined ? [] : PASSWORD_TICKETS,
          ticket,
        )
        const { id, username, usernameFolded, emailFolded } = account
        const now = new Date(clock.now())
        await tx
          .update(accounts)
          .set({
            passwordHash,
            updatedAt: now,
            // Whoever asked for another address could undo this by it.
            ...NO_PENDING_ADDRESS,
            // Who has the link reads what comes there.
            ...(isMailed
              ? {
                  emailVerifiedAt: account.emailVerifiedAt ?? now,
                  emailClaimedAt: null,
                  pendingSince: null,
                }
              : {}),
          })
          .where(eq(accounts.id, id))
        await sessions.revoke(tx, id)
        await mailedTickets.revoke(tx, PASSWORD_TICKETS, id)
        await throttle.welcome(tx, { accountId: id, names: [usernameFolded, emailFolded], address })
        const actor = userActor({ id, username }, address)
        // Who reads what comes to an address that was only claimed may be another than who claimed it.
        if (isMailed && account.emailClaimedAt !== null) await credentials.clear(tx, id, actor)
        await audit.record(tx, actor, 'auth.password_changed', { user_id: id })
        await mailings.enqueue(tx, { letter: 'password_changed', accountId: id })
        return id
      })
      deps.forget(id)
    },
  }
}
