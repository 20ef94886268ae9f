import { eq } from 'drizzle-orm'

import { stranger } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database, Reads, Writes } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { User } from '../accounts/new-user.ts'
import type { Audit } from '../audit/audit.ts'
import { createWriteCap } from '../audit/write-cap.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import type { StoredTicket, Tickets } from '../tickets/tickets.ts'
import { LINK_TTL_SECONDS } from './letters.ts'

export type MailedPurpose = keyof typeof LINK_TTL_SECONDS

/** What the ticket in a link was made for. */
interface Sent {
  /** The address that it is about. The ticket is good while it is the account's, or asked for. */
  email: string | null
  /** Whether it went there by mail, so that who has it reads what comes there. */
  isMailed: boolean
}

/** The tickets in links: each is for one account, and for the address that it had. */
export interface MailedTickets {
  issue(
    tx: Writes,
    purpose: MailedPurpose,
    account: User,
    options: { isMailed: boolean },
  ): Promise<string>
  /** Whose ticket it is, which stays good; `undefined` where it is none, or not any more. */
  read(purposes: MailedPurpose[], secret: string): Promise<User | undefined>
  /**
   * Takes a ticket for one of these purposes.
   *
   * @returns its account, locked, and whether the ticket went to the account's address.
   * @throws {Problem} 400 when it is none, or not any more; then it is as it was.
   */
  redeem(
    tx: Writes,
    purposes: MailedPurpose[],
    secret: string,
  ): Promise<{ account: User; isMailed: boolean }>
  /** Within a write: voids an account's tickets for these purposes. */
  revoke(tx: Writes, purposes: MailedPurpose[], accountId: string): Promise<void>
  /** Runs a write that redeems one, and has the audit tell of a ticket that is refused. */
  write<T>(
    purpose: 'reset_password' | 'verify_email',
    address: string,
    work: (tx: Writes) => Promise<T>,
  ): Promise<T>
}

export function createMailedTickets(deps: {
  database: Database
  tables: AuthTables
  tickets: Tickets
  audit: Audit
  clock: Clock
  log: Log
}): MailedTickets {
  const { database, tickets, audit } = deps
  const { accounts } = deps.tables
  const mayRecord = createWriteCap(deps)

  const accountOf = (reads: Reads, { accountId }: StoredTicket) =>
    reads
      .select()
      .from(accounts)
      .where(eq(accounts.id, accountId ?? ''))

  async function take(tx: Writes, purposes: MailedPurpose[], secret: string) {
    for (const purpose of purposes) {
      const ticket = await tickets.redeem(tx, purpose, secret)
      if (ticket !== undefined) return ticket
    }
    return undefined
  }

  return {
    issue(tx, purpose, account, { isMailed }) {
      const data: Sent = { email: addressOf(purpose, account), isMailed }
      return tickets.issue(tx, {
        purpose,
        accountId: account.id,
        data,
        ttlSeconds: LINK_TTL_SECONDS[purpose],
      })
    },
    async read(purposes, secret) {
      for (const purpose of purposes) {
        const ticket = await tickets.read(purpose, secret)
        if (ticket === undefined) continue
        const [account] = await accountOf(database.read, ticket)
        return isFor(account, ticket) ? account : undefined
      }
      return undefined
    },
    async redeem(tx, purposes, secret) {
      const ticket = await take(tx, purposes, secret)
      if (ticket === undefined) throw badTicket()
      const [account] = await database.lock(accountOf(tx, ticket))
      if (!isFor(account, ticket)) throw badTicket()
      return { account, isMailed: (ticket.data as Sent).isMailed }
    },
    async revoke(tx, purposes, accountId) {
      for (const purpose of purposes) await tickets.revoke(tx, purpose, accountId)
    },
    async write(purpose, address, work) {
      try {
        return await database.write(work)
      } catch (error) {
        if (!isBadTicket(error) || !mayRecord(address, false)) throw error
        const actor = stranger(address)
        await database.write((tx) => audit.record(tx, actor, 'auth.ticket_refused', { purpose }))
        throw error
      }
    },
  }
}

/** Where a letter goes: what is to be verified is the address that was asked for, if there is one. */
export const addressOf = (
  letter: string,
  { email, emailPending }: Pick<User, 'email' | 'emailPending'>,
) => (letter === 'verify_email' ? (emailPending ?? email) : email)

const isFor = (account: User | undefined, { purpose, data }: StoredTicket): account is User =>
  account !== undefined &&
  account.disabledAt === null &&
  addressOf(purpose, account) === (data as Sent).email

export const badTicket = () =>
  authProblems.badTicket({
    detail: 'The link was used, is too old, or was made void by a change since. Ask for a new one.',
  })

const isBadTicket = (error: unknown) =>
  error instanceof Problem && error.kind === authProblems.badTicket.kind
