import { desc, eq, lt } from 'drizzle-orm'

import type { Actor } from '../../gateway/principal.ts'
import type { Scope } from '../../gateway/scopes.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Database, isUniqueViolation } from '../../platform/database/database.ts'
import { foldName } from '../accounts/names.ts'
import type { Audit } from '../audit/audit.ts'
import type { Grants } from '../grants/grants.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'

export type ServiceAccount = AuthTables['serviceAccounts']['$inferSelect']

/** What is left out stays as it is. */
interface ServiceAccountChange {
  name?: string | undefined
  description?: string | null | undefined
  scopes?: Scope[] | undefined
  disabled?: boolean | undefined
}

/** Accounts of programs, which outlive the people who set them up. */
export interface ServiceAccounts {
  /** @throws {Problem} 409 when the name is taken. */
  create(
    account: { name: string; description: string | null; scopes: Scope[] },
    actor: Actor,
  ): Promise<ServiceAccount>
  /** The newest first. */
  list(filter: { before?: string | undefined; limit: number }): Promise<ServiceAccount[]>
  get(id: string): Promise<ServiceAccount | undefined>
  /**
   * @param allow called with what it may do now, before it is changed; refuses by throwing.
   * @returns the account as it is now; `undefined` where there is none.
   * @throws {Problem} 409 when the name is taken.
   */
  change(
    id: string,
    change: ServiceAccountChange,
    actor: Actor,
    allow: (account: ServiceAccount) => void,
  ): Promise<ServiceAccount | undefined>
  /** Removes an account, its keys and what it was granted. @returns whether there was one. */
  remove(id: string, actor: Actor, allow: (account: ServiceAccount) => void): Promise<boolean>
}

export function createServiceAccounts(deps: {
  database: Database
  tables: AuthTables
  grants: Grants
  audit: Audit
  clock: Clock
  /** Called after a commit that changed what an account may do. */
  forget: (id: string) => void
}): ServiceAccounts {
  const { database, grants, audit, clock, forget } = deps
  const { apiKeys, serviceAccounts } = deps.tables

  return {
    create({ name, description, scopes }, actor) {
      const now = new Date(clock.now())
      const row = {
        id: Bun.randomUUIDv7(),
        name,
        nameFolded: foldName(name),
        description,
        scopes,
        disabledAt: null,
        createdBy: actor.id,
        createdAt: now,
        updatedAt: now,
      }
      return refusingTakenNames(() =>
        database.write(async (tx) => {
          await tx.insert(serviceAccounts).values(row)
          const details = { service_account_id: row.id, scopes: row.scopes }
          await audit.record(tx, actor, 'auth.service_account_created', details)
          return row
        }),
      )
    },
    async list({ before, limit }) {
      return database.read
        .select()
        .from(serviceAccounts)
        .where(before === undefined ? undefined : lt(serviceAccounts.id, before))
        .orderBy(desc(serviceAccounts.id))
        .limit(limit)
    },
    async get(id) {
      const [found] = await database.read
        .select()
        .from(serviceAccounts)
        .where(eq(serviceAccounts.id, id))
      return found
    },
    async change(id, change, actor, allow) {
      const changed = await refusingTakenNames(() =>
        database.write(async (tx) => {
          const [account] = await database.lock(
            tx.select().from(serviceAccounts).where(eq(serviceAccounts.id, id)),
          )
          if (account === undefined) return undefined
          allow(account)
          const now = new Date(clock.now())
          const next = changedColumns(account, change, now)
          const fields = fieldsOf(next)
          if (fields.length === 0) return account
          const columns = { ...next, updatedAt: now }
          await tx.update(serviceAccounts).set(columns).where(eq(serviceAccounts.id, id))
          const details = {
            service_account_id: id,
            changed: fields,
            from: rightsOf(account, fields),
            to: rightsOf({ ...account, ...columns }, fields),
          }
          await audit.record(tx, actor, 'auth.service_account_changed', details)
          return { ...account, ...columns }
        }),
      )
      forget(id)
      return changed
    },
    async remove(id, actor, allow) {
      const isRemoved = await database.write(async (tx) => {
        const [account] = await database.lock(
          tx.select().from(serviceAccounts).where(eq(serviceAccounts.id, id)),
        )
        if (account === undefined) return false
        allow(account)
        await grants.revoke(tx, { kind: 'service_account', id }, actor)
        await tx.delete(serviceAccounts).where(eq(serviceAccounts.id, id))
        await tx.delete(apiKeys).where(eq(apiKeys.ownerId, id))
        const details = { service_account_id: id, name: account.name }
        await audit.record(tx, actor, 'auth.service_account_deleted', details)
        return true
      })
      forget(id)
      return isRemoved
    },
  }
}

/** The columns that a change sets to what they were not. */
function changedColumns(
  account: ServiceAccount,
  change: ServiceAccountChange,
  now: Date,
): Partial<ServiceAccount> {
  const { name, description, scopes, disabled } = change
  const isDisabled = account.disabledAt !== null
  const isSame = (given: Scope[]) =>
    new Set(given).symmetricDifference(new Set(account.scopes)).size === 0
  return {
    ...(name === undefined || name === account.name ? {} : { name, nameFolded: foldName(name) }),
    ...(description === undefined || description === account.description ? {} : { description }),
    ...(scopes === undefined || isSame(scopes) ? {} : { scopes }),
    ...(disabled === undefined || disabled === isDisabled
      ? {}
      : { disabledAt: disabled ? now : null }),
  }
}

/** What callers call them. */
const FIELDS = {
  name: 'name',
  description: 'description',
  scopes: 'scopes',
  disabledAt: 'disabled',
} as const

/** What the audit has of it before and after; a description gives nobody rights. */
function rightsOf({ name, scopes, disabledAt }: ServiceAccount, changed: readonly string[]) {
  const rights = { name, scopes, disabled: disabledAt !== null }
  return Object.fromEntries(
    Object.entries(rights).filter(([field]) => changed.includes(field)),
  ) as Partial<typeof rights>
}

const fieldsOf = (columns: Partial<ServiceAccount>) =>
  (Object.keys(FIELDS) as (keyof typeof FIELDS)[])
    .filter((name) => name in columns)
    .map((name) => FIELDS[name])

async function refusingTakenNames<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    throw authProblems.nameTaken({ detail: 'Another service account has this name.' })
  }
}
