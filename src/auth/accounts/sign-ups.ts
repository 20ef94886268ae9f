import { and, eq, lt } from 'drizzle-orm'

import { type Actor, SERVER, userActor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Database, isUniqueViolation, type Writes } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import type { Grants } from '../grants/grants.ts'
import type { Mailings } from '../mail/mailings.ts'
import type { Passwords } from '../passwords/passwords.ts'
import type { AuthTables } from '../tables.ts'
import { foldName } from './names.ts'
import { emailColumns, insertUser, newUserRow, refusingTakenNames, type User } from './new-user.ts'
import type { PendingAddresses } from './pending-addresses.ts'

/** For a name, or an address, that somebody else may want. */
const PENDING_MS = 7 * 86_400_000

/** Accounts that people make for themselves. */
export interface SignUps {
  /**
   * Creates a viewer for whoever asks, so it must not tell who is here. A user name that is taken is
   * refused, since user names are public. An e-mail address that is taken makes no difference to the
   * answer or its time. Where mail is sent an address is the account's once it is verified, and until
   * then keeps nobody else from it; the owner of one that is taken is told. Where none is sent nobody can
   * show it: then the account has it at once, unless it is taken.
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
  pendingAddresses: PendingAddresses
  grants: Grants
  audit: Audit
  clock: Clock
  /** Whether letters reach people. */
  isMailed: boolean
  /** Whether the address must be verified before the first login. */
  requiresVerified: boolean
}): SignUps {
  const { database, passwords, mailings, pendingAddresses, grants, audit, clock } = deps
  const { accounts } = deps.tables

  async function insertClaiming(tx: Writes, row: User, email: string, actor: Actor) {
    const owners = await tx
      .select({ id: accounts.id })
      .from(accounts)
      .where(eq(accounts.emailFolded, foldName(email)))
    if (owners.length > 0) return insertUser(tx, deps, row, actor)
    const claiming = { ...row, ...emailColumns(email), emailClaimedAt: row.createdAt }
    const created = await insertUser(tx, deps, claiming, actor)
    await mailings.enqueue(tx, { letter: 'verify_email', accountId: row.id })
    return created
  }

  return {
    async create({ password, ...names }, address) {
      const passwordHash = await passwords.hashNew(password, names)
      const now = new Date(clock.now())
      const email = names.email ?? null
      const row = {
        ...newUserRow({ username: names.username, role: 'viewer' }, passwordHash, now),
        pendingSince: deps.requiresVerified ? now : null,
      }
      const actor = userActor(row, address)
      const attempt = () =>
        database.write(async (tx) => {
          if (email === null) return insertUser(tx, deps, row, actor)
          if (!deps.isMailed) return insertClaiming(tx, row, email, actor)
          const asking = { ...row, emailPending: email, emailPendingSince: now }
          const created = await insertUser(tx, deps, asking, actor)
          await pendingAddresses.ask(tx, row.id, email)
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
          .returning({ id: accounts.id, username: accounts.username })
        for (const { id, username } of removed) {
          await grants.revoke(tx, { kind: 'user', id }, SERVER)
          await audit.record(tx, SERVER, 'auth.user_deleted', { user_id: id, username })
        }
      })
    },
  }
}
