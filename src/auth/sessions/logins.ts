import { and, eq, or, sql } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import { foldName } from '../accounts/names.ts'
import type { User } from '../accounts/new-user.ts'
import type { Audit } from '../audit/audit.ts'
import { isCurrent } from '../passwords/password-hashes.ts'
import type { Passwords } from '../passwords/passwords.ts'
import { authProblems } from '../problems.ts'
import {
  secondFactorRequired,
  type SecondFactorTickets,
} from '../second-factors/second-factor-tickets.ts'
import type { SecondFactors } from '../second-factors/second-factors.ts'
import type { AuthTables } from '../tables.ts'
import type { Client, Grant, Sessions } from './sessions.ts'

/** How people prove who they are, and get a session for it. */
export interface Logins {
  /**
   * By password. `login` is the user name or the e-mail address.
   *
   * @throws {Problem} 401, the same and after the same time whether or not the user exists; 403 when
   * the password is right and the account may not be used; 401 with a ticket when the password is right
   * and not enough.
   */
  byPassword(login: string, password: string, client: Client): Promise<Grant & { account: User }>
}

export function createLogins(deps: {
  database: Database
  tables: AuthTables
  sessions: Sessions
  passwords: Passwords
  secondFactors: SecondFactors
  secondFactorTickets: SecondFactorTickets
  audit: Audit
  log: Log
}): Logins {
  const { database, sessions, passwords, secondFactors, secondFactorTickets, audit, log } = deps
  const { accounts } = deps.tables

  const byName = database.read
    .select()
    .from(accounts)
    .where(
      or(
        eq(accounts.usernameFolded, sql.placeholder('name')),
        eq(accounts.emailFolded, sql.placeholder('name')),
      ),
    )
    .limit(1)
    .prepare('account_by_name')

  /** Written whether or not there is such an account, so that the time tells nothing. */
  async function recordFailure(
    account: User | undefined,
    reason: Events['auth.login_failed']['reason'],
    { address }: Client,
  ): Promise<void> {
    const actor = { id: null, name: null, address }
    const details = { user_id: account?.id ?? null, reason }
    await database.write((tx) => audit.record(tx, actor, 'auth.login_failed', details))
  }

  /**
   * A login that succeeded stays one: what fails here is tried again at the next.
   *
   * @returns the account with the hash that it has now, unless somebody else replaced it.
   */
  async function renewHash(account: User, password: string): Promise<User> {
    const { id, passwordHash: known } = account
    if (isCurrent(known)) return account
    try {
      const passwordHash = await passwords.hash(password)
      const renewed = await database.write(async (tx) =>
        tx
          .update(accounts)
          .set({ passwordHash })
          .where(and(eq(accounts.id, id), eq(accounts.passwordHash, known)))
          .returning({ id: accounts.id }),
      )
      return renewed.length > 0 ? { ...account, passwordHash } : account
    } catch (error) {
      log.warn({ error }, 'an imported password hash could not be replaced')
      return account
    }
  }

  return {
    async byPassword(login, password, client) {
      for (;;) {
        const [account] = await byName.execute({ name: foldName(login) })
        const isRight = await passwords.verify(password, account?.passwordHash)
        if (account === undefined || !isRight) {
          await recordFailure(account, 'credentials', client)
          throw authProblems.badCredentials({ detail: 'The user name or the password is wrong.' })
        }
        if (account.disabledAt !== null) {
          await recordFailure(account, 'disabled', client)
          throw authProblems.accountDisabled()
        }
        const methods = await secondFactors.methods(account.id)
        if (methods.length > 0) {
          const ticket = await secondFactorTickets.issue(await renewHash(account, password), client)
          if (ticket === undefined) continue
          throw secondFactorRequired(ticket, methods)
        }
        const grant = await sessions.open(account, ['password'], client, (tx) =>
          secondFactors.isNone(tx, account.id),
        )
        // Else it was disabled meanwhile, has a second factor now, or its hash was replaced: by another
        // password, or by another login that renewed it.
        if (grant !== undefined) {
          await renewHash(account, password)
          return { ...grant, account }
        }
      }
    },
  }
}
