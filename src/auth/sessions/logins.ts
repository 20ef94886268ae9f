import { and, eq, isNull, or, sql } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import { stranger } from '../../gateway/principal.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import { foldName } from '../accounts/names.ts'
import type { User } from '../accounts/new-user.ts'
import type { Audit } from '../audit/audit.ts'
import type { Mailings } from '../mail/mailings.ts'
import { isCurrent, isWhole } from '../passwords/password-hashes.ts'
import type { Passwords } from '../passwords/passwords.ts'
import { authProblems } from '../problems.ts'
import {
  secondFactorRequired,
  type SecondFactorTickets,
} from '../second-factors/second-factor-tickets.ts'
import type { SecondFactors } from '../second-factors/second-factors.ts'
import type { AuthTables } from '../tables.ts'
import type { Caller, IssuedTokens, Sessions } from './sessions.ts'
import type { Guess, Throttle } from './throttle.ts'

/** How people prove who they are, and get a session for it. */
export interface Logins {
  /**
   * By password. `login` is the user name or the e-mail address.
   *
   * @throws {Problem} 401, the same and after the same time whether or not the user exists; 403 when
   * the password is right and the account may not be used; 401 with a ticket when the password is right
   * and not enough; 429 while too many wrong ones came before.
   */
  byPassword(
    login: string,
    password: string,
    caller: Caller,
  ): Promise<IssuedTokens & { account: User }>
}

export function createLogins(deps: {
  database: Database
  tables: AuthTables
  sessions: Sessions
  passwords: Passwords
  secondFactors: SecondFactors
  secondFactorTickets: SecondFactorTickets
  throttle: Throttle
  mailings: Mailings
  audit: Audit
  log: Log
  /** Whether who signed up must verify the address first. */
  requiresVerified: boolean
}): Logins {
  const { database, sessions, passwords, throttle, mailings, audit, log } = deps
  const { secondFactors, secondFactorTickets } = deps
  const { accounts } = deps.tables

  // By an address that nobody has shown to be theirs nobody is found: who signs up and then logs in by
  // the address would see whether it was taken.
  const isAnswering = deps.requiresVerified ? isNull(accounts.pendingSince) : undefined
  const byName = database.read
    .select()
    .from(accounts)
    .where(
      or(
        eq(accounts.usernameFolded, sql.placeholder('name')),
        and(eq(accounts.emailFolded, sql.placeholder('name')), isAnswering),
      ),
    )
    .limit(1)
    .prepare('account_by_name')

  const tell = (
    tx: Writes,
    account: User | undefined,
    reason: Events['auth.login_failed']['reason'],
    { address }: Caller,
  ) => {
    const actor = stranger(address)
    return audit.record(tx, actor, 'auth.login_failed', { user_id: account?.id ?? null, reason })
  }

  /**
   * A login that succeeded stays one: what fails here is tried again at the next.
   *
   * @returns the account with the hash that it has now, unless somebody else replaced it.
   */
  async function renewHash(account: User, password: string): Promise<User> {
    const { id, passwordHash: known } = account
    // What was typed becomes the password: a tail that nothing vouches for would shut the owner out.
    if (isCurrent(known) || !isWhole(password, known)) return account
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

  /** Who logs in unverified, since that is allowed by now, is not removed for it later. */
  async function admit({ id }: User): Promise<void> {
    await database.write(async (tx) => {
      await tx.update(accounts).set({ pendingSince: null }).where(eq(accounts.id, id))
    })
  }

  async function attempt(
    login: string,
    password: string,
    caller: Caller,
    guess: Guess,
  ): Promise<IssuedTokens & { account: User }> {
    for (;;) {
      const [account] = await byName.execute({ name: foldName(login) })
      const isRight = await passwords.verify(password, account?.passwordHash)
      if (account === undefined || !isRight) {
        // Written whether or not there is such an account, so that the time tells nothing.
        await database.write(async (tx) => {
          await tell(tx, account, 'credentials', caller)
          await guess.failed(tx)
        })
        throw authProblems.badCredentials({ detail: 'The user name or the password is wrong.' })
      }
      if (account.disabledAt !== null) {
        await database.write((tx) => tell(tx, account, 'disabled', caller))
        throw authProblems.accountDisabled()
      }
      if (deps.requiresVerified && account.pendingSince !== null) {
        await database.write(async (tx) => {
          await tell(tx, account, 'unverified', caller)
          await mailings.enqueue(tx, { letter: 'verify_email', accountId: account.id })
        })
        throw authProblems.addressUnverified({
          detail: 'Open the link that was sent to your address. It was sent once more just now.',
        })
      }
      const methods = await secondFactors.methods(account.id)
      if (methods.length > 0) {
        const ticket = await secondFactorTickets.issue(await renewHash(account, password), caller)
        if (ticket === undefined) continue
        throw secondFactorRequired(ticket, methods)
      }
      const issued = await sessions.open(account, ['password'], caller, (tx) =>
        secondFactors.isNone(tx, account.id),
      )
      // Else it was disabled meanwhile, has a second factor now, or its hash was replaced: by another
      // password, or by another login that renewed it.
      if (issued !== undefined) {
        await guess.succeeded()
        if (account.pendingSince !== null) await admit(account)
        await renewHash(account, password)
        return { ...issued, account }
      }
    }
  }

  return {
    byPassword(login, password, caller) {
      const name = foldName(login)
      return throttle.atLogin(
        { name, address: caller.address },
        (guess) => attempt(login, password, caller, guess),
        async (tx) => {
          const [account] = await byName.execute({ name })
          await tell(tx, account, 'held_back', caller)
        },
      )
    },
  }
}
