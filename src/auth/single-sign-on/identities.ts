import { and, asc, eq, gt, inArray, ne } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import type { Actor } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import { problems } from '../../gateway/problems.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Database, isUniqueViolation, type Writes } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import { type Administrators, isAdministrator } from '../accounts/administrators.ts'
import { foldName } from '../accounts/names.ts'
import { newUserRow, NO_PASSWORD, type User } from '../accounts/new-user.ts'
import type { Audit } from '../audit/audit.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import type { Person } from './provider.ts'
import { freeUsername } from './usernames.ts'

export type StoredIdentity = AuthTables['identities']['$inferSelect']

/** Two who arrive at once may want one name; one after the other they get two. */
const ATTEMPTS_MAX = 5

type Reason = Events['auth.login_failed']['reason']
type Decision = { account: User } | { refused: Reason; account: User | undefined }

/** Who people are elsewhere, and whose accounts are theirs here. */
export interface Identities {
  /**
   * The account of somebody whom a provider knows: the one that is linked to them; else that of the
   * same address, where both sides have seen that it is theirs; else a new one, where the operator
   * has listed its domain. The role follows their groups, where it does at all.
   *
   * @throws {Problem} 403 that says why there is none.
   */
  enter(provider: string, person: Person, address: string): Promise<User>
  /**
   * Links somebody to the account of who is logged in: they are at both sides at once, so no address
   * is asked for.
   *
   * @throws {Problem} 400 when the session is over; 409 when either is linked already.
   */
  link(
    provider: string,
    person: Person,
    to: { accountId: string; sessionId: string },
    address: string,
  ): Promise<void>
  list(accountId: string): Promise<StoredIdentity[]>
  /**
   * @returns whether the account had it.
   * @throws {Problem} 409 when its owner could not log in any more.
   */
  remove(accountId: string, id: string, actor: Actor): Promise<boolean>
}

export function createIdentities(deps: {
  database: Database
  tables: AuthTables
  administrators: Administrators
  audit: Audit
  clock: Clock
  log: Log
  /** Those through which people can come in. */
  providerIds: readonly string[]
  /** Called after a commit that changed what tokens of an account say. */
  forget: (accountId: string) => void
}): Identities {
  const { database, administrators, audit, clock, log, providerIds, forget } = deps
  const { accounts, identities, sessions } = deps.tables

  async function known(tx: Writes, provider: string, subject: string) {
    const [identity] = await tx
      .select()
      .from(identities)
      .where(and(eq(identities.provider, provider), eq(identities.subject, subject)))
    return identity
  }

  async function locked(tx: Writes, condition: ReturnType<typeof eq>): Promise<User | undefined> {
    const [account] = await database.lock(tx.select().from(accounts).where(condition))
    return account
  }

  async function insert(tx: Writes, actor: Actor, account: User, provider: string, person: Person) {
    const now = new Date(clock.now())
    const id = Bun.randomUUIDv7()
    await tx.insert(identities).values({
      id,
      accountId: account.id,
      provider,
      subject: person.subject,
      email: person.email?.address ?? null,
      createdAt: now,
      usedAt: now,
    })
    const details = { user_id: account.id, identity_id: id, provider }
    await audit.record(tx, actor, 'auth.identity_linked', details)
  }

  /** @returns whether it is there still. */
  async function touch(tx: Writes, { id }: StoredIdentity): Promise<boolean> {
    const touched = await tx
      .update(identities)
      .set({ usedAt: new Date(clock.now()) })
      .where(eq(identities.id, id))
      .returning({ id: identities.id })
    return touched.length > 0
  }

  async function decide(
    tx: Writes,
    provider: string,
    person: Person,
    address: string,
  ): Promise<Decision> {
    const identity = await known(tx, provider, person.subject)
    if (identity !== undefined) {
      const account = await locked(tx, eq(accounts.id, identity.accountId))
      if (account === undefined) return { refused: 'no_account', account }
      if (account.disabledAt !== null) return { refused: 'disabled', account }
      if (!(await touch(tx, identity))) return { refused: 'no_account', account }
      return { account }
    }

    const { email } = person
    if (email?.isVerified !== true) return { refused: 'email_unverified', account: undefined }
    const owner = await locked(tx, eq(accounts.emailFolded, foldName(email.address)))
    if (owner !== undefined) {
      // Whoever made it may have typed another's address, and would be let in with its owner.
      if (owner.emailVerifiedAt === null) return { refused: 'account_unverified', account: owner }
      if (owner.disabledAt !== null) return { refused: 'disabled', account: owner }
      if (await hasIdentity(tx, owner.id, provider)) {
        // The address has passed to somebody else there.
        return { refused: 'identity_taken', account: owner }
      }
      const actor = { id: owner.id, name: owner.username, address }
      await insert(tx, actor, owner, provider, person)
      return { account: owner }
    }

    if (!person.mayJoin) return { refused: 'no_account', account: undefined }
    const account = await create(tx, person, email.address)
    const actor = { id: account.id, name: account.username, address }
    await audit.record(tx, actor, 'auth.user_created', { user_id: account.id })
    await insert(tx, actor, account, provider, person)
    return { account }
  }

  async function hasIdentity(tx: Writes, accountId: string, provider: string): Promise<boolean> {
    const found = await tx
      .select({ id: identities.id })
      .from(identities)
      .where(and(eq(identities.accountId, accountId), eq(identities.provider, provider)))
    return found.length > 0
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
    // Not the person: it is the provider that says so.
    const actor = { id: null, name: null, address }
    const details = { user_id: account.id, changed: ['role' as const] }
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
          const actor = { id: null, name: null, address }
          const details = { user_id: made.account?.id ?? null, reason: made.refused, provider }
          await audit.record(tx, actor, 'auth.login_failed', details)
          return made
        }),
      )
      if ('refused' in decision) throw refusalOf(decision.refused)
      forget(decision.account.id)
      return decision.account
    },
    async link(provider, person, { accountId, sessionId }, address) {
      const fault = await refusingTaken(() =>
        database.write(async (tx) => {
          const account = await locked(tx, eq(accounts.id, accountId))
          const open = await tx
            .select({ id: sessions.id })
            .from(sessions)
            .where(and(eq(sessions.id, sessionId), gt(sessions.expiresAt, new Date(clock.now()))))
          if (account === undefined || account.disabledAt !== null || open.length === 0) {
            return authProblems.signOnInvalid({
              detail: 'The session that began it is over. Log in, and begin again.',
            })
          }
          const identity = await known(tx, provider, person.subject)
          if (identity?.accountId === accountId) {
            await touch(tx, identity)
            return undefined
          }
          if (await hasIdentity(tx, accountId, provider)) {
            return authProblems.identityTaken({
              detail: 'The account is linked to somebody else at this provider. Remove that first.',
            })
          }
          const actor = { id: accountId, name: account.username, address }
          await insert(tx, actor, account, provider, person)
          return undefined
        }),
      )
      if (fault !== undefined) throw fault
    },
    async list(accountId) {
      return database.read
        .select()
        .from(identities)
        .where(eq(identities.accountId, accountId))
        .orderBy(asc(identities.id))
    },
    async remove(accountId, id, actor) {
      return database.write(async (tx) => {
        const account = await locked(tx, eq(accounts.id, accountId))
        const removed = await tx
          .delete(identities)
          .where(and(eq(identities.id, id), eq(identities.accountId, accountId)))
          .returning({ provider: identities.provider })
        if (account === undefined || removed[0] === undefined) return false
        if (account.passwordHash === NO_PASSWORD && !(await hasAnother(tx, accountId, id))) {
          throw authProblems.lastLogin({
            detail: 'You have no password. Have one set first, or you could not log in any more.',
          })
        }
        const details = { user_id: accountId, identity_id: id, provider: removed[0].provider }
        await audit.record(tx, actor, 'auth.identity_removed', details)
        return true
      })
    },
  }

  /** Whether there is one left through which its owner can come in. */
  async function hasAnother(tx: Writes, accountId: string, id: string): Promise<boolean> {
    if (providerIds.length === 0) return false
    const others = await tx
      .select({ id: identities.id })
      .from(identities)
      .where(
        and(
          eq(identities.accountId, accountId),
          ne(identities.id, id),
          inArray(identities.provider, [...providerIds]),
        ),
      )
      .limit(1)
    return others.length > 0
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

async function refusingTaken<T>(work: () => Promise<T>): Promise<T | Problem> {
  try {
    return await work()
  } catch (error) {
    if (isUniqueViolation(error)) return identityTaken()
    throw error
  }
}

const identityTaken = () =>
  authProblems.identityTaken({ detail: 'Whom you signed in as is linked to another account.' })

function refusalOf(reason: Reason): Problem {
  if (reason === 'disabled') return authProblems.accountDisabled()
  return authProblems.signOnRefused({ detail: WHY[reason] ?? problems.forbidden.kind.title })
}

const WHY: Partial<Record<Reason, string>> = {
  email_unverified:
    'You have no account here that you are linked to, and the identity provider does not say that an e-mail address is yours.',
  account_unverified:
    'An account has your e-mail address, but nobody has shown here that it is theirs. Log in to it by password and link it, or verify the address.',
  identity_taken:
    'The account with your e-mail address is linked to somebody else at this identity provider.',
  no_account: 'You have no account here. Ask an administrator for one.',
}
