import { asc, eq } from 'drizzle-orm'

import type { Role } from '../gateway/scopes.ts'
import type { Clock } from '../platform/clock.ts'
import { type Database, isUniqueViolation } from '../platform/database/database.ts'
import { StartError } from '../platform/start-error.ts'
import { foldName } from './names.ts'
import { passwordFault } from './password-rules.ts'
import type { Passwords } from './passwords.ts'
import { authProblems } from './problems.ts'
import type { Sessions } from './sessions.ts'
import type { AuthTables } from './tables.ts'

type User = AuthTables['accounts']['$inferSelect']

interface NewUser {
  username: string
  email?: string | null | undefined
  password: string
  role: Role
}

export interface Users {
  /** @throws {Problem} 409 when the user name or the e-mail address is taken. */
  create(user: NewUser): Promise<User>
  /**
   * Sets an account's password and ends its other sessions.
   *
   * @throws {Problem} 403 when the current password is wrong.
   */
  changePassword(change: {
    id: string
    currentPassword: string
    password: string
    sessionId: string
  }): Promise<void>
  /**
   * Creates the first administrator; `undefined` when there is one already.
   *
   * @throws {StartError} when the password is not fit to be one.
   */
  createAdministrator(username: string, password: string): Promise<User | undefined>
  /** Sets the first administrator's password and ends all its sessions. */
  resetAdministrator(password: string): Promise<User | undefined>
  /** The first administrator. */
  administrator(): Promise<User | undefined>
}

export function createUsers(deps: {
  database: Database
  tables: AuthTables
  passwords: Passwords
  sessions: Sessions
  clock: Clock
  /** Called after a commit that ended sessions of an account. */
  forget: (accountId: string) => void
}): Users {
  const { database, passwords, sessions, clock, forget } = deps
  const { accounts } = deps.tables

  async function rowOf({ username, email, password, role }: NewUser): Promise<User> {
    const now = new Date(clock.now())
    return {
      id: Bun.randomUUIDv7(),
      username,
      usernameFolded: foldName(username),
      email: email ?? null,
      emailFolded: typeof email === 'string' ? foldName(email) : null,
      passwordHash: await passwords.hash(password),
      role,
      disabledAt: null,
      createdAt: now,
      updatedAt: now,
    }
  }

  async function setPassword(id: string, password: string, keptSession?: string): Promise<void> {
    const passwordHash = await passwords.hash(password)
    await database.write(async (tx) => {
      const updatedAt = new Date(clock.now())
      await tx.update(accounts).set({ passwordHash, updatedAt }).where(eq(accounts.id, id))
      await sessions.revoke(tx, id, keptSession)
    })
    forget(id)
  }

  async function administrator(): Promise<User | undefined> {
    const [first] = await database.read
      .select()
      .from(accounts)
      .where(eq(accounts.role, 'admin'))
      .orderBy(asc(accounts.createdAt), asc(accounts.id))
      .limit(1)
    return first
  }

  return {
    administrator,
    async create(user) {
      const row = await rowOf(user)
      try {
        await database.write(async (tx) => {
          await tx.insert(accounts).values(row)
        })
        return row
      } catch (error) {
        if (!isUniqueViolation(error)) throw error
        throw authProblems.nameTaken({ detail: 'The user name or e-mail address is in use.' })
      }
    },
    async changePassword({ id, currentPassword, password, sessionId }) {
      const [account] = await database.read.select().from(accounts).where(eq(accounts.id, id))
      if (!(await passwords.verify(currentPassword, account?.passwordHash))) {
        throw authProblems.wrongPassword({ detail: 'The current password is wrong.' })
      }
      await setPassword(id, password, sessionId)
    },
    async createAdministrator(username, password) {
      if ((await administrator()) !== undefined) return undefined
      const fault = passwordFault(password)
      if (fault !== undefined) throw new StartError(`The administrator's password: ${fault}`)
      const row = await rowOf({ username, password, role: 'admin' })
      try {
        return await database.write(async (tx) => {
          const first = await tx
            .select({ id: accounts.id })
            .from(accounts)
            .where(eq(accounts.role, 'admin'))
            .limit(1)
          if (first.length > 0) return undefined
          await tx.insert(accounts).values(row)
          return row
        })
      } catch (error) {
        // Another process has started on the same database at the same time.
        if (isUniqueViolation(error)) return undefined
        throw error
      }
    },
    async resetAdministrator(password) {
      const account = await administrator()
      if (account !== undefined) await setPassword(account.id, password)
      return account
    },
  }
}
