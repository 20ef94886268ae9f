import { eq } from 'drizzle-orm'

import { stranger } from '../../gateway/principal.ts'
import type { Problem } from '../../gateway/problem.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { User } from '../accounts/new-user.ts'
import type { Audit } from '../audit/audit.ts'
import { authProblems } from '../problems.ts'
import { hashOf } from '../sessions/refresh-tokens.ts'
import type { Caller } from '../sessions/sessions.ts'
import type { AuthTables } from '../tables.ts'
import type { Tickets } from '../tickets/tickets.ts'
import type { SecondFactorMethod } from './second-factors.ts'

const TTL_SECONDS = 300
const ATTEMPTS_MAX = 5
const PURPOSE = 'second_factor'

/**
 * What somebody holds between the password and the second factor: the account that the password was
 * right for, five minutes, and five attempts. With another password of the account it is void.
 */
export interface SecondFactorTickets {
  /** @returns `undefined` where the account is not as it was when the password was verified. */
  issue(account: User, caller: Caller): Promise<string | undefined>
  /**
   * Whose it is. The account may have been disabled meanwhile.
   *
   * @throws {Problem} 401 when it is none, or not any more.
   */
  read(ticket: string): Promise<User>
  /** Counts an attempt. @returns whether there was one left. */
  attempt(tx: Writes, ticket: string): Promise<boolean>
  /** Takes it, after the second factor was right. */
  redeem(tx: Writes, ticket: string): Promise<void>
}

export function createSecondFactorTickets(deps: {
  database: Database
  tables: AuthTables
  tickets: Tickets
  audit: Audit
}): SecondFactorTickets {
  const { database, tickets, audit } = deps
  const { accounts } = deps.tables

  return {
    async issue(account, { address }) {
      const { id, passwordHash } = account
      return database.write(async (tx) => {
        const [now] = await database.lock(tx.select().from(accounts).where(eq(accounts.id, id)))
        if (now?.passwordHash !== passwordHash || now.disabledAt !== null) return undefined
        // Not by name: that it is the account's owner is yet to be shown.
        const actor = stranger(address)
        await audit.record(tx, actor, 'auth.second_factor_required', { user_id: id })
        return tickets.issue(tx, {
          purpose: PURPOSE,
          accountId: id,
          data: { password: hashOf(passwordHash) },
          ttlSeconds: TTL_SECONDS,
        })
      })
    },
    async read(ticket) {
      const { accountId, data } = (await tickets.read(PURPOSE, ticket)) ?? {}
      if (accountId === undefined || accountId === null) throw badSecondFactorTicket()
      const [account] = await database.read
        .select()
        .from(accounts)
        .where(eq(accounts.id, accountId))
      if (account === undefined) throw badSecondFactorTicket()
      const { password } = data as { password: string }
      if (password !== hashOf(account.passwordHash)) throw badSecondFactorTicket()
      return account
    },
    async attempt(tx, ticket) {
      return (await tickets.attempt(tx, PURPOSE, ticket, ATTEMPTS_MAX)) !== undefined
    },
    async redeem(tx, ticket) {
      await tickets.redeem(tx, PURPOSE, ticket)
    },
  }
}

export const badSecondFactorTicket = () =>
  authProblems.badSecondFactorTicket({
    detail: 'It was used, tried too often, or is older than five minutes. Log in again.',
  })

/** How a login goes on whose password was right. */
export const secondFactorRequired = (ticket: string, methods: SecondFactorMethod[]): Problem =>
  authProblems.secondFactorRequired({
    detail: 'Send the ticket, with a code or a passkey, to /api/v1/auth/second-factor.',
    members: { ticket, methods, expires_in: TTL_SECONDS },
  })
