import { type Actor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import type { AuthTables } from '../tables.ts'
import { type NewUser, newUserRow } from './new-user.ts'

type ImportedUser = NewUser & { passwordHash: string }

export interface UserImport {
  /**
   * Creates accounts with the hashes that another system made. One whose name or address is taken, by
   * an account or by one before it, is left out and harms no other; all others are created, or none.
   *
   * @returns of each user the id of the new account, or `undefined`, in their order.
   */
  run(users: ImportedUser[], actor: Actor): Promise<(string | undefined)[]>
}

export function createUserImport(deps: {
  database: Database
  tables: AuthTables
  audit: Audit
  clock: Clock
}): UserImport {
  const { database, audit, clock } = deps
  const { accounts } = deps.tables

  async function add(tx: Writes, user: ImportedUser, actor: Actor) {
    const [created] = await tx
      .insert(accounts)
      .values(newUserRow(user, user.passwordHash, new Date(clock.now())))
      .onConflictDoNothing()
      .returning({ id: accounts.id })
    if (created === undefined) return undefined
    await audit.record(tx, actor, 'auth.user_created', { user_id: created.id, role: user.role })
    return created.id
  }

  return {
    run(users, actor) {
      return database.write(async (tx) => {
        // Two with the same names in another order would each wait for the other.
        await database.exclude(tx, 'user import')
        const ids: (string | undefined)[] = []
        for (const user of users) ids.push(await add(tx, user, actor))
        return ids
      })
    },
  }
}
