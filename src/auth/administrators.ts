import { and, asc, eq, isNull } from 'drizzle-orm'

import type { Events } from '../events.ts'
import { type Clock, isoTime } from '../platform/clock.ts'
import { type Database, isUniqueViolation } from '../platform/database/database.ts'
import type { Outbox } from '../platform/outbox/outbox.ts'
import { StartError } from '../platform/start-error.ts'
import { newUserRow, type User } from './new-user.ts'
import { passwordFault } from './password-rules.ts'
import type { Passwords } from './passwords.ts'
import type { AuthTables } from './tables.ts'

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
}

export function createAdministrators(deps: {
  database: Database
  tables: AuthTables
  passwords: Passwords
  outbox: Outbox<Events>
  clock: Clock
}): Administrators {
  const { database, passwords, outbox, clock } = deps
  const { accounts } = deps.tables

  async function first(): Promise<User | undefined> {
    const [found] = await database.read
      .select()
      .from(accounts)
      .where(and(eq(accounts.role, 'admin'), isNull(accounts.disabledAt)))
      .orderBy(asc(accounts.createdAt), asc(accounts.id))
      .limit(1)
    return found
  }

  return {
    first,
    async createFirst(username, password) {
      if ((await first()) !== undefined) return undefined
      const fault = passwordFault(password)
      if (fault !== undefined) throw new StartError(`The administrator's password: ${fault}`)
      const passwordHash = await passwords.hash(password)
      const now = clock.now()
      const row = newUserRow({ username, role: 'admin' }, passwordHash, new Date(now))
      try {
        return await database.write(async (tx) => {
          const known = await tx
            .select({ id: accounts.id })
            .from(accounts)
            .where(eq(accounts.role, 'admin'))
            .limit(1)
          if (known.length > 0) return undefined
          await tx.insert(accounts).values(row)
          const event = { user_id: row.id, actor_id: null, time: isoTime(now) }
          await outbox.add(tx, 'auth.user_created', event)
          return row
        })
      } catch (error) {
        // Another process has started on the same database at the same time.
        if (isUniqueViolation(error)) return undefined
        throw error
      }
    },
  }
}
