import { and, asc, eq, isNull, ne } from 'drizzle-orm'

import { SERVER } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Database, isUniqueViolation, type Writes } from '../../platform/database/database.ts'
import { StartError } from '../../platform/start-error.ts'
import type { Audit } from '../audit/audit.ts'
import { likenessFault, passwordFault } from '../passwords/password-rules.ts'
import type { Passwords } from '../passwords/passwords.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import { insertUser, newUserRow, type User } from './new-user.ts'

/** The accounts without which nobody could let anybody in. */
export interface Administrators {
  /** The oldest that may be used. */
  first(): Promise<User | undefined>
  /**
   * Creates one; `undefined` when there is one already.
   *
   * @throws {StartError} when the password is not fit to be one.
   */
  createFirst(username: string, password: string): Promise<User | undefined>
  /** Within a write, before it reads: until its commit nobody else takes an administrator's rights. */
  exclude(tx: Writes): Promise<void>
  /**
   * Within a write that went past `exclude`: makes sure that one is left without this account.
   *
   * @throws {Problem} 409 when it is the last that may be used.
   */
  requireAnother(tx: Writes, id: string): Promise<void>
}

export function createAdministrators(deps: {
  database: Database
  tables: AuthTables
  passwords: Passwords
  audit: Audit
  clock: Clock
}): Administrators {
  const { database, passwords, clock } = deps
  const { accounts } = deps.tables

  const isUsable = () =>
    and(eq(accounts.role, 'admin'), isNull(accounts.disabledAt), isNull(accounts.pendingSince))

  async function first(): Promise<User | undefined> {
    const [found] = await database.read
      .select()
      .from(accounts)
      .where(isUsable())
      .orderBy(asc(accounts.createdAt), asc(accounts.id))
      .limit(1)
    return found
  }

  return {
    first,
    async createFirst(username, password) {
      if ((await first()) !== undefined) return undefined
      const fault = passwordFault(password) ?? likenessFault(password, [username])
      if (fault !== undefined) throw new StartError(`The administrator's password: ${fault}`)
      const passwordHash = await passwords.hash(password)
      const row = newUserRow({ username, role: 'admin' }, passwordHash, new Date(clock.now()))
      try {
        return await database.write(async (tx) => {
          const known = await tx
            .select({ id: accounts.id })
            .from(accounts)
            .where(eq(accounts.role, 'admin'))
            .limit(1)
          if (known.length > 0) return undefined
          return insertUser(tx, deps, row, SERVER)
        })
      } catch (error) {
        // Another process has started on the same database at the same time.
        if (isUniqueViolation(error)) return undefined
        throw error
      }
    },
    exclude: (tx) => database.exclude(tx, 'administrators'),
    async requireAnother(tx, id) {
      const others = await tx
        .select({ id: accounts.id })
        .from(accounts)
        .where(and(isUsable(), ne(accounts.id, id)))
        .limit(1)
      if (others.length > 0) return
      throw authProblems.lastAdministrator({
        detail: 'Make somebody else an administrator first: nobody could undo this.',
      })
    },
  }
}

/**
 * Whether an account is an administrator's that may be used. One that waits for its address to be
 * verified may not be: it may be gone before.
 */
export const isAdministrator = ({
  role,
  disabledAt,
  pendingSince,
}: Pick<User, 'role' | 'disabledAt' | 'pendingSince'>) =>
  role === 'admin' && disabledAt === null && pendingSince === null
