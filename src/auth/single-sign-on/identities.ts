import { and, asc, eq, gt } from 'drizzle-orm'

import { type Actor, userActor } from '../../gateway/principal.ts'
import type { Problem } from '../../gateway/problem.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Database, isUniqueViolation, type Writes } from '../../platform/database/database.ts'
import type { User } from '../accounts/new-user.ts'
import type { WaysToLogIn } from '../accounts/ways-to-log-in.ts'
import type { Audit } from '../audit/audit.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import type { IdentityRows, StoredIdentity } from './identity-rows.ts'
import type { Person } from './provider.ts'

/** Who people are elsewhere, as they see and change it themselves. */
export interface Identities {
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
  identityRows: IdentityRows
  audit: Audit
  waysToLogIn: WaysToLogIn
  clock: Clock
}): Identities {
  const { database, identityRows, audit, waysToLogIn, clock } = deps
  const { accounts, identities, sessions } = deps.tables

  async function locked(tx: Writes, id: string): Promise<User | undefined> {
    const [account] = await database.lock(tx.select().from(accounts).where(eq(accounts.id, id)))
    return account
  }

  return {
    async link(provider, person, { accountId, sessionId }, address) {
      const fault = await refusingTaken(() =>
        database.write(async (tx) => {
          const account = await locked(tx, accountId)
          const open = await tx
            .select({ id: sessions.id })
            .from(sessions)
            .where(and(eq(sessions.id, sessionId), gt(sessions.expiresAt, new Date(clock.now()))))
          if (account === undefined || account.disabledAt !== null || open.length === 0) {
            return authProblems.signOnInvalid({
              detail: 'The session that began it is over. Log in, and begin again.',
            })
          }
          const identity = await identityRows.find(tx, provider, person.subject)
          if (identity?.accountId === accountId) {
            await identityRows.touch(tx, identity)
            return undefined
          }
          if (await identityRows.isLinked(tx, accountId, provider)) {
            return authProblems.identityTaken({
              detail: 'The account is linked to somebody else at this provider. Remove that first.',
            })
          }
          const actor = userActor(account, address)
          await identityRows.add(tx, actor, account, provider, person)
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
        const account = await locked(tx, accountId)
        const removed = await tx
          .delete(identities)
          .where(and(eq(identities.id, id), eq(identities.accountId, accountId)))
          .returning({ provider: identities.provider })
        if (account === undefined || removed[0] === undefined) return false
        await waysToLogIn.requireOne(tx, account)
        const details = { user_id: accountId, identity_id: id, provider: removed[0].provider }
        await audit.record(tx, actor, 'auth.identity_removed', details)
        return true
      })
    },
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
