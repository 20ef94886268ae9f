import { and, eq } from 'drizzle-orm'

import type { Actor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import type { Passwords } from '../passwords/passwords.ts'
import { authProblems } from '../problems.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { AuthTables } from '../tables.ts'
import type { User } from './new-user.ts'

export interface UserPasswords {
  /**
   * Sets an account's password and ends its other sessions.
   *
   * @throws {Problem} 403 when the current password is wrong.
   */
  change(change: {
    id: string
    currentPassword: string
    password: string
    sessionId: string
    actor: Actor
  }): Promise<void>
  /**
   * Sets an account's password without the current one, and ends all its sessions.
   *
   * @returns whether there is such an account.
   */
  reset(id: string, password: string, actor: Actor): Promise<boolean>
}

export function createUserPasswords(deps: {
  database: Database
  tables: AuthTables
  passwords: Passwords
  sessions: Sessions
  audit: Audit
  clock: Clock
  /** Called after a commit that ended sessions of an account. */
  forget: (accountId: string) => void
}): UserPasswords {
  const { database, passwords, sessions, audit, clock, forget } = deps
  const { accounts } = deps.tables

  async function get(id: string): Promise<User | undefined> {
    const [account] = await database.read.select().from(accounts).where(eq(accounts.id, id))
    return account
  }

  /** @returns false when there is no such account any more, or when its hash is not `known` any more. */
  async function set(
    account: User,
    options: { password: string; actor: Actor; known?: string; keptSession?: string },
  ): Promise<boolean> {
    const { id } = account
    const { password, actor, known, keptSession } = options
    const passwordHash = await passwords.hashNew(password, account)
    const isSet = await database.write(async (tx) => {
      const isKnown = known === undefined ? undefined : eq(accounts.passwordHash, known)
      const rows = await tx
        .update(accounts)
        .set({ passwordHash, updatedAt: new Date(clock.now()) })
        .where(and(eq(accounts.id, id), isKnown))
        .returning({ id: accounts.id })
      if (rows.length === 0) return false
      await sessions.revoke(tx, id, keptSession)
      await audit.record(tx, actor, 'auth.password_changed', { user_id: id })
      return true
    })
    if (isSet) forget(id)
    return isSet
  }

  return {
    async change({ id, currentPassword, password, sessionId: keptSession, actor }) {
      let isSet = false
      // Once more where the hash was replaced meanwhile: an administrator may have shut this one out.
      while (!isSet) {
        const account = await get(id)
        const known = account?.passwordHash
        const isRight = await passwords.verify(currentPassword, known)
        if (account === undefined || known === undefined || !isRight) {
          throw authProblems.wrongPassword({ detail: 'The current password is wrong.' })
        }
        isSet = await set(account, { password, actor, known, keptSession })
      }
    },
    async reset(id, password, actor) {
      const account = await get(id)
      return account !== undefined && set(account, { password, actor })
    },
  }
}

const RANDOM_PASSWORD_BYTES = 15

export const randomPassword = () =>
  crypto.getRandomValues(Buffer.alloc(RANDOM_PASSWORD_BYTES)).toString('base64url')
