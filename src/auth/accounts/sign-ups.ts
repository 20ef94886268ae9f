import { and, eq, lt } from 'drizzle-orm'

import { SERVER } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Database, isUniqueViolation, type Writes } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import type { Grants } from '../grants/grants.ts'
import type { Mailings } from '../mail/mailings.ts'
import type { Passwords } from '../passwords/passwords.ts'
import type { AuthTables } from '../tables.ts'
import { emailColumns, insertUser, newUserRow, refusingTakenNames, type User } from './new-user.ts'

/** For a name, or an address, that somebody else may want. */
const PENDING_MS = 7 * 86_400_000

/** Accounts that people make for themselves. */
export interface SignUps {
  /**
   * Creates a viewer for whoever asks, so it must not tell who is here. A user name that is taken is
   * refused, since user names are public. An e-mail address that is taken makes no difference to the
   * answer or its time: the account is created without it, and its owner is told. Nobody has shown yet
   * that the address is theirs, so it is no loss. Where addresses are verified first, nobody can log in
   * to see that it is missing; elsewhere it costs an account for each guess.
   *
   * @throws {Problem} 409 when the user name is taken.
   */
  create(
    user: { username: string; email?: string | null | undefined; password: string },
    address: string,
  ): Promise<User>
  /** Removes those whose address was not verified within a week. */
  removeExpired(): Promise<void>
}

export function createSignUps(deps: {
  database: Database
  tables: AuthTables
  passwords: Passwords
  mailings: Mailings
  grants: Grants
  audit: Audit
  clock: Clock
  /** Whether the address must be verified before the first login. */
  requiresVerified: boolean
}): SignUps {
  const { database, passwords, mailings, grants, audit, clock } = deps
  const { accounts } = deps.tables

  async function ownerOf(tx: Writes, emailFolded: string) {
    const [owner] = await tx
      .select({ id: accounts.id })
      .from(accounts)
      .where(eq(accounts.emailFolded, emailFolded))
    return owner
  }

  return {
    async create({ password, ...names }, address) {
      const passwordHash = await passwords.hashNew(password, names)
      const now = new Date(clock.now())
      const row = {
        ...newUserRow({ ...names, role: 'viewer' }, passwordHash, now),
        pendingSince: deps.requiresVerified ? now : null,
        emailClaimedAt: (names.email ?? null) === null ? null : now,
      }
      const actor = { id: row.id, name: row.username, address }
      const attempt = () =>
        database.write(async (tx) => {
          const { emailFolded } = row
          if (emailFolded === null) return insertUser(tx, deps, row, actor)
          const owner = await ownerOf(tx, emailFolded)
          const free = owner === undefined ? row : { ...row, ...emailColumns(null) }
          const created = await insertUser(tx, deps, free, actor)
          const letter = owner === undefined ? 'verify_email' : 'email_taken'
          await mailings.enqueue(tx, { letter, accountId: owner?.id ?? row.id })
          return created
        })
      // Two may ask for one address at once: the second time, its owner is seen.
      return refusingTakenNames(() =>
        attempt().catch((error: unknown) => {
          if (isUniqueViolation(error)) return attempt()
          throw error
        }),
      )
    },
    async removeExpired() {
      const end = new Date(clock.now() - PENDING_MS)
      await database.write(async (tx) => {
        const removed = await tx
          .delete(accounts)
          .where(and(lt(accounts.pendingSince, end), eq(accounts.role, 'viewer')))
          .returning({ id: accounts.id })
        for (const { id } of removed) {
          await grants.revoke(tx, id)
          await audit.record(tx, SERVER, 'auth.user_deleted', { user_id: id })
        }
      })
    },
  }
}
