import { eq } from 'drizzle-orm'

import type { Actor } from '../../gateway/principal.ts'
import type { Role } from '../../gateway/scopes.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import type { Grants } from '../grants/grants.ts'
import type { MailedTickets } from '../mail/mailed-tickets.ts'
import type { Mailings } from '../mail/mailings.ts'
import type { Passwords } from '../passwords/passwords.ts'
import type { SecondFactors } from '../second-factors/second-factors.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { AuthTables } from '../tables.ts'
import { type Administrators, isAdministrator } from './administrators.ts'
import {
  emailColumns,
  insertUser,
  newUserRow,
  type NewUser,
  NO_PASSWORD,
  refusingTakenNames,
  type User,
  usernameColumns,
} from './new-user.ts'
import type { Allow } from './outranking.ts'
import { PASSWORD_TICKETS } from './password-resets.ts'
import { pendingColumns, type PendingAddresses } from './pending-addresses.ts'

/** What is left out stays as it is. */
interface UserChange {
  username?: string | undefined
  email?: string | null | undefined
  role?: Role | undefined
  /** Whether it may not be used. Once it may not, its sessions are over. */
  disabled?: boolean | undefined
}

export interface Users {
  /**
   * @throws {Problem} 409 when the user name or the e-mail address is taken.
   */
  create(user: NewUser & { password: string }, actor: Actor): Promise<User>
  /**
   * Creates an account whose owner sets the password, by a link that is sent to them.
   *
   * @returns the link too where it can't be sent: it is for the administrator to pass on, and nowhere kept.
   * @throws {Problem} as `create`.
   */
  invite(
    user: NewUser,
    actor: Actor,
  ): Promise<{ account: User; setPasswordUrl: string | undefined }>
  get(id: string): Promise<User | undefined>
  /**
   * @param allow called within the write; for whoever changes others.
   * @returns the account as it is now; `undefined` where there is none.
   * @throws {Problem} 409 when the user name or the e-mail address is taken, or when no administrator
   * would be left.
   */
  change(id: string, change: UserChange, actor: Actor, allow?: Allow): Promise<User | undefined>
  /**
   * As `change`, by its owner. Where mail is sent another address is only asked for: it is the
   * account's once its owner has shown that they read it, and whether it is taken makes no difference
   * to the answer. Where none is sent nobody can show it, and one that is taken is refused.
   */
  changeOwn(
    id: string,
    change: Pick<UserChange, 'username' | 'email'>,
    actor: Actor,
  ): Promise<User | undefined>
  /**
   * Removes an account, its sessions, its API keys and what it was granted.
   *
   * @param allow as of `change`.
   * @returns whether there was one.
   * @throws {Problem} 409 when no administrator would be left.
   */
  remove(id: string, actor: Actor, allow?: Allow): Promise<boolean>
}

export function createUsers(deps: {
  database: Database
  tables: AuthTables
  passwords: Passwords
  sessions: Sessions
  administrators: Administrators
  mailedTickets: MailedTickets
  mailings: Mailings
  grants: Grants
  audit: Audit
  clock: Clock
  /** Whether letters reach people. */
  isMailed: boolean
  pendingAddresses: PendingAddresses
  secondFactors: Pick<SecondFactors, 'clear'>
  /** Called after a commit that changed what tokens of an account say. */
  forget: (accountId: string) => void
}): Users {
  const { database, passwords, sessions, administrators, grants, secondFactors, audit } = deps
  const { mailedTickets, mailings, pendingAddresses, clock, forget } = deps
  const { accounts, apiKeys, identities, keptMail } = deps.tables

  async function lock(tx: Writes, id: string): Promise<User | undefined> {
    const [account] = await database.lock(tx.select().from(accounts).where(eq(accounts.id, id)))
    return account
  }

  /** Links to the address before are void, and both addresses are written to. */
  async function moveMail(tx: Writes, account: User, email: string | null): Promise<void> {
    const { id: accountId } = account
    await mailedTickets.revoke(tx, ['verify_email', ...PASSWORD_TICKETS], accountId)
    if (account.email !== null) {
      await mailings.enqueue(tx, { letter: 'email_changed', accountId, address: account.email })
    }
    if (email === null) return
    // Who was invited at a wrong address has no password yet.
    const letter = account.passwordHash === NO_PASSWORD ? 'set_password' : 'verify_email'
    await mailings.enqueue(tx, { letter, accountId })
  }

  /** The columns that an account's owner sets. */
  function ownColumns(account: User, { username, email }: UserChange, now: Date): Partial<User> {
    if (deps.isMailed && typeof email === 'string') {
      const columns = changedColumns(account, { username }, now)
      return { ...columns, ...pendingColumns(account, email, now) }
    }
    const columns = changedColumns(account, { username, email }, now)
    return typeof columns.email === 'string' ? { ...columns, emailClaimedAt: now } : columns
  }

  async function change(
    id: string,
    change: UserChange,
    actor: Actor,
    columnsOf: typeof changedColumns,
    allow?: Allow,
  ): Promise<User | undefined> {
    const changed = await refusingTakenNames(() =>
      database.write(async (tx) => {
        if (change.role !== undefined || change.disabled === true) {
          await administrators.exclude(tx)
        }
        const account = await lock(tx, id)
        if (account === undefined) return undefined
        allow?.(account)
        const now = clock.now()
        const next = columnsOf(account, change, new Date(now))
        const fields = fieldsOf(account, next)
        if (Object.keys(next).length === 0) return account
        const columns = { ...next, updatedAt: new Date(now) }
        if (isAdministrator(account) && !isAdministrator({ ...account, ...next })) {
          await administrators.requireAnother(tx, id)
        }
        if (next.disabledAt instanceof Date) await sessions.revoke(tx, id)
        // Whoever was given a link for a viewer is not to enter an administrator's account by it.
        if (next.disabledAt instanceof Date || next.role !== undefined) {
          await mailedTickets.revoke(tx, PASSWORD_TICKETS, id)
        }
        await tx.update(accounts).set(columns).where(eq(accounts.id, id))
        if (next.email !== undefined) await moveMail(tx, account, next.email)
        if (typeof next.emailPending === 'string') {
          await mailedTickets.revoke(tx, ['verify_email'], id)
          await pendingAddresses.ask(tx, id, next.emailPending)
        }
        const rights = rightsOf(account, columns)
        await audit.record(tx, actor, 'auth.user_changed', {
          user_id: id,
          changed: fields,
          ...rights,
        })
        return { ...account, ...columns }
      }),
    )
    forget(id)
    return changed
  }

  return {
    async create({ password, ...user }, actor) {
      const passwordHash = await passwords.hashNew(password, user)
      const row = newUserRow(user, passwordHash, new Date(clock.now()))
      return refusingTakenNames(() => database.write((tx) => insertUser(tx, deps, row, actor)))
    },
    async invite(user, actor) {
      const row = newUserRow(user, NO_PASSWORD, new Date(clock.now()))
      return refusingTakenNames(() =>
        database.write(async (tx) => {
          const account = await insertUser(tx, deps, row, actor)
          if (!mailings.reaches(row)) {
            return { account, setPasswordUrl: await mailings.setPasswordLink(tx, row) }
          }
          await mailings.enqueue(tx, { letter: 'set_password', accountId: row.id })
          return { account, setPasswordUrl: undefined }
        }),
      )
    },
    async get(id) {
      const [account] = await database.read.select().from(accounts).where(eq(accounts.id, id))
      return account
    },
    change: (id, asked, actor, allow) => change(id, asked, actor, changedColumns, allow),
    changeOwn: (id, asked, actor) => change(id, asked, actor, ownColumns),
    async remove(id, actor, allow) {
      const isRemoved = await database.write(async (tx) => {
        await administrators.exclude(tx)
        const account = await lock(tx, id)
        if (account === undefined) return false
        allow?.(account)
        if (isAdministrator(account)) await administrators.requireAnother(tx, id)
        await sessions.revoke(tx, id)
        await grants.revoke(tx, { kind: 'user', id }, actor)
        await tx.delete(apiKeys).where(eq(apiKeys.ownerId, id))
        await secondFactors.clear(tx, id)
        await tx.delete(identities).where(eq(identities.accountId, id))
        await tx.delete(keptMail).where(eq(keptMail.accountId, id))
        await tx.delete(accounts).where(eq(accounts.id, id))
        const { username } = account
        await audit.record(tx, actor, 'auth.user_deleted', { user_id: id, username })
        return true
      })
      forget(id)
      return isRemoved
    },
  }
}

/** The columns that a change sets to what they were not. */
function changedColumns(account: User, change: UserChange, now: Date): Partial<User> {
  const { username, email, role, disabled } = change
  const isDisabled = account.disabledAt !== null
  return {
    ...(username === undefined || username === account.username ? {} : usernameColumns(username)),
    ...(email === undefined || email === account.email ? {} : emailColumns(email)),
    // Whom an administrator gives a role waits for nothing any more.
    ...(role === undefined || role === account.role ? {} : { role, pendingSince: null }),
    ...(disabled === undefined || disabled === isDisabled
      ? {}
      : { disabledAt: disabled ? now : null }),
  }
}

/** What callers call them. */
const FIELDS = {
  username: 'username',
  email: 'email',
  emailPending: 'email_pending',
  role: 'role',
  disabledAt: 'disabled',
} as const

/** From what and to what a change takes the rights of an account, where it does. */
function rightsOf(account: User, columns: Partial<User>) {
  const [before, after] = [account, { ...account, ...columns }].map(
    ({ username, role, disabledAt }) => ({ username, role, disabled: disabledAt !== null }),
  ) as [Rights, Rights]
  const names = (['username', 'role', 'disabled'] as const).filter(
    (name) => before[name] !== after[name],
  )
  if (names.length === 0) return {}
  const only = (rights: Rights) => Object.fromEntries(names.map((name) => [name, rights[name]]))
  return { from: only(before), to: only(after) }
}
interface Rights {
  username: string
  role: Role
  disabled: boolean
}

const fieldsOf = (account: User, columns: Partial<User>) =>
  (Object.keys(FIELDS) as (keyof typeof FIELDS)[])
    .filter((name) => name in columns && columns[name] !== account[name])
    .map((name) => FIELDS[name])
