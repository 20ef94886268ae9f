import { eq, inArray } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import { SERVER, stranger, userActor } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Database, isUniqueViolation, type Writes } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import { type Administrators, isAdministrator } from '../accounts/administrators.ts'
import { foldName, isSameMailbox } from '../accounts/names.ts'
import { newUserRow, NO_PASSWORD, type User } from '../accounts/new-user.ts'
import { PASSWORD_TICKETS } from '../accounts/password-resets.ts'
import type { Audit } from '../audit/audit.ts'
import type { MailedTickets } from '../mail/mailed-tickets.ts'
import { authProblems } from '../problems.ts'
import type { SecondFactors } from '../second-factors/second-factors.ts'
import type { AuthTables } from '../tables.ts'
import type { IdentityRows } from './identity-rows.ts'
import type { Person } from './provider.ts'
import { freeUsername } from './usernames.ts'

/** Two who arrive at once may want one name; one after the other they get two. */
const ATTEMPTS_MAX = 5

/** Why there is no account for somebody, as the audit tells it and as they are told. */
const WHY = {
  email_unverified:
    'You have no account here that you are linked to, and the identity provider does not say that an e-mail address is yours.',
  account_unverified:
    'An account has your e-mail address, but nobody has shown here that it is theirs. Log in to it by password and link it, or verify the address.',
  identity_taken:
    'The account with your e-mail address is linked to somebody else at this identity provider.',
  second_factor:
    'The account with your e-mail address has a second factor. Log in to it with that, and link it.',
  no_account: 'You have no account here. Ask an administrator for one.',
} satisfies Partial<Record<Events['auth.login_failed']['reason'], string>>

type Reason = keyof typeof WHY | 'disabled'
type Decision = { account: User } | { refused: Reason; account: User | undefined }

/** Whose account somebody gets who arrives from a provider. */
export interface Arrivals {
  /**
   * The account that is linked to them; else that of the same address, where both sides have seen that
   * it is theirs; else a new one, where the operator has listed its domain. The role follows their
   * groups, where it does at all.
   *
   * @throws {Problem} 403 that says why there is none.
   */
  enter(provider: string, person: Person, address: string): Promise<User>
}

export function createArrivals(deps: {
  database: Database
  tables: AuthTables
  identityRows: IdentityRows
  administrators: Administrators
  secondFactors: Pick<SecondFactors, 'isNone'>
  mailedTickets: MailedTickets
  audit: Audit
  clock: Clock
  log: Log
  /** Called after a commit that changed what tokens of an account say. */
  forget: (accountId: string) => void
}): Arrivals {
  const { database, identityRows, administrators, secondFactors, mailedTickets } = deps
  const { audit, clock, log, forget } = deps
  const { accounts } = deps.tables

  async function locked(tx: Writes, condition: ReturnType<typeof eq>): Promise<User | undefined> {
    const [account] = await database.lock(tx.select().from(accounts).where(condition))
    return account
  }

  async function decide(
    tx: Writes,
    provider: string,
    person: Person,
    address: string,
  ): Promise<Decision> {
    const identity = await identityRows.find(tx, provider, person.subject)
    if (identity !== undefined) {
      const account = await locked(tx, eq(accounts.id, identity.accountId))
      if (account === undefined) return { refused: 'no_account', account }
      if (account.disabledAt !== null) return { refused: 'disabled', account }
      if (!(await identityRows.touch(tx, identity))) return { refused: 'no_account', account }
      return { account }
    }

    const { email } = person
    if (email?.isVerified !== true) return { refused: 'email_unverified', account: undefined }
    const owner = await locked(tx, eq(accounts.emailFolded, foldName(email.address)))
    if (owner !== undefined) {
      // Whoever made it may have typed another's address, and would be let in with its owner.
      const isTheirs = owner.email !== null && isSameMailbox(owner.email, email.address)
      if (owner.emailVerifiedAt === null || !isTheirs) {
        return { refused: 'account_unverified', account: owner }
      }
      if (owner.disabledAt !== null) return { refused: 'disabled', account: owner }
      if (await identityRows.isLinked(tx, owner.id, provider)) {
        // The address has passed to somebody else there.
        return { refused: 'identity_taken', account: owner }
      }
      // Linked, it would be a way round it.
      if (!(await secondFactors.isNone(tx, owner.id))) {
        return { refused: 'second_factor', account: owner }
      }
      const actor = userActor(owner, address)
      await identityRows.add(tx, actor, owner, provider, person)
      return { account: owner }
    }

    if (!person.mayJoin) return { refused: 'no_account', account: undefined }
    const account = await create(tx, person, email.address)
    const actor = userActor(account, address)
    const { id, role } = account
    await audit.record(tx, actor, 'auth.user_created', { user_id: id, role, provider })
    await identityRows.add(tx, actor, account, provider, person)
    return { account }
  }

  async function create(tx: Writes, person: Person, email: string): Promise<User> {
    const username = await freeUsername(person.username ?? email, async (folded) => {
      const taken = await tx
        .select({ folded: accounts.usernameFolded })
        .from(accounts)
        .where(inArray(accounts.usernameFolded, folded))
      return taken.map((each) => each.folded)
    })
    const now = new Date(clock.now())
    const asked = { username, email, role: person.role ?? ('viewer' as const) }
    const row = { ...newUserRow(asked, NO_PASSWORD, now), emailVerifiedAt: now }
    await tx.insert(accounts).values(row)
    return row
  }

  /** The last administrator stays one, whatever their groups: nobody could undo it. */
  async function applyRole(
    tx: Writes,
    account: User,
    provider: string,
    role: Person['role'],
    address: string,
  ): Promise<User> {
    if (role === undefined || role === account.role) return account
    if (isAdministrator(account)) {
      try {
        await administrators.requireAnother(tx, account.id)
      } catch (error) {
        if (!(error instanceof Problem)) throw error
        log.warn({ 'user.id': account.id, provider }, 'the last administrator keeps the role')
        return account
      }
    }
    const columns = { role, updatedAt: new Date(clock.now()) }
    await tx.update(accounts).set(columns).where(eq(accounts.id, account.id))
    await mailedTickets.revoke(tx, PASSWORD_TICKETS, account.id)
    // Not the person: the provider says so, and the server does it.
    const actor = { ...SERVER, address }
    const details = {
      user_id: account.id,
      changed: ['role' as const],
      from: { role: account.role },
      to: { role },
      provider,
    }
    await audit.record(tx, actor, 'auth.user_changed', details)
    return { ...account, ...columns }
  }

  return {
    async enter(provider, person, address) {
      const decision = await retried(() =>
        database.write(async (tx): Promise<Decision> => {
          if (person.role !== undefined) await administrators.exclude(tx)
          const made = await decide(tx, provider, person, address)
          if (!('refused' in made)) {
            return { account: await applyRole(tx, made.account, provider, person.role, address) }
          }
          const actor = stranger(address)
          const details = { user_id: made.account?.id ?? null, reason: made.refused, provider }
          await audit.record(tx, actor, 'auth.login_failed', details)
          return made
        }),
      )
      if ('refused' in decision) throw refusalOf(decision.refused)
      forget(decision.account.id)
      return decision.account
    },
  }
}

async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!isUniqueViolation(error) || attempt === ATTEMPTS_MAX) throw error
    }
  }
}

function refusalOf(reason: Reason): Problem {
  if (reason === 'disabled') return authProblems.accountDisabled()
  return authProblems.signOnRefused({ detail: WHY[reason] })
}
