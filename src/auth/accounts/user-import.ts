import type { Events } from '../../events.ts'
import { type Clock, isoTime } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Outbox } from '../../platform/outbox/outbox.ts'
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
  run(users: ImportedUser[], actorId: string | null): Promise<(string | undefined)[]>
}

export function createUserImport(deps: {
  database: Database
  tables: AuthTables
  outbox: Outbox<Events>
  clock: Clock
}): UserImport {
  const { database, outbox, clock } = deps
  const { accounts } = deps.tables

  async function add(tx: Writes, user: ImportedUser, actorId: string | null) {
    const now = clock.now()
    const [created] = await tx
      .insert(accounts)
      .values(newUserRow(user, user.passwordHash, new Date(now)))
      .onConflictDoNothing()
      .returning({ id: accounts.id })
    if (created === undefined) return undefined
    const event = { user_id: created.id, actor_id: actorId, time: isoTime(now) }
    await outbox.add(tx, 'auth.user_created', event)
    return created.id
  }

  return {
    run(users, actorId) {
      return database.write(async (tx) => {
        // Two with the same names in another order would each wait for the other.
        await database.exclude(tx, 'user import')
        const ids: (string | undefined)[] = []
        for (const user of users) ids.push(await add(tx, user, actorId))
        return ids
      })
    },
  }
}
