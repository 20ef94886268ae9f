import { and, count, desc, eq, isNull, sql } from 'drizzle-orm'

import type { Actor } from '../../gateway/principal.ts'
import type { Scope } from '../../gateway/scopes.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { PersonRights } from '../accounts/person-rights.ts'
import type { Audit } from '../audit/audit.ts'
import { authProblems } from '../problems.ts'
import { requireOpenSession } from '../sessions/open-sessions.ts'
import { hashOf } from '../sessions/refresh-tokens.ts'
import type { AuthTables } from '../tables.ts'
import { isApiKey, newApiKey } from './api-key.ts'

type StoredApiKey = AuthTables['apiKeys']['$inferSelect']
/** A key as its owner sees it. */
export type ApiKeyView = Omit<StoredApiKey, 'hash' | 'ownerId'>

/** Whose keys they are. */
interface KeyOwner {
  kind: 'account' | 'service-account'
  id: string
}

/** A key that is there, and for whom it stands while they may be used. */
export interface FoundApiKey {
  key: StoredApiKey
  account: Pick<AuthTables['accounts']['$inferSelect'], 'id' | 'username' | 'role'> | null
  serviceAccount: Pick<
    AuthTables['serviceAccounts']['$inferSelect'],
    'id' | 'name' | 'scopes'
  > | null
  /** What its owner may do now. */
  owned: ReadonlySet<Scope>
}

/** Secrets by which programs prove whose they are. In the database each is a hash. */
export interface ApiKeys {
  /**
   * @param owner with the session of who makes one for themselves.
   * @param key its scopes are ones that owner and actor both have, which the caller has checked.
   * @returns the secret, which is nowhere kept; `undefined` where the owner is gone.
   * @throws {Problem} 401 when the session is over; 409 when the owner has as many as may be.
   */
  create(
    owner: KeyOwner & { sessionId?: string },
    key: { name: string; scopes: Scope[]; expiresAt: Date | null },
    actor: Actor,
  ): Promise<{ key: ApiKeyView; secret: string } | undefined>
  /** Those of an owner, the newest first, expired ones too. */
  list(ownerId: string): Promise<ApiKeyView[]>
  get(ownerId: string, id: string): Promise<ApiKeyView | undefined>
  /** @returns whether the owner had it. */
  remove(owner: KeyOwner, id: string, actor: Actor): Promise<boolean>
  /** Removes all keys of an owner. */
  removeAll(owner: KeyOwner, actor: Actor): Promise<void>
  /** `undefined` for what is none, which a look at the database is not needed for where it was mistyped. */
  find(secret: string): Promise<FoundApiKey | undefined>
}

export function createApiKeys(deps: {
  database: Database
  tables: AuthTables
  rights: PersonRights
  audit: Audit
  clock: Clock
  perOwnerMax: number
  /** Called after a commit that ended a key of an owner. */
  forget: (ownerId: string) => void
}): ApiKeys {
  const { database, rights, audit, clock, perOwnerMax, forget } = deps
  const { accounts, apiKeys, serviceAccounts } = deps.tables
  const view = {
    id: apiKeys.id,
    name: apiKeys.name,
    scopes: apiKeys.scopes,
    hint: apiKeys.hint,
    createdAt: apiKeys.createdAt,
    expiresAt: apiKeys.expiresAt,
    usedAt: apiKeys.usedAt,
  }

  const byHash = database.read
    .select({
      key: apiKeys,
      account: { id: accounts.id, username: accounts.username, role: accounts.role },
      serviceAccount: {
        id: serviceAccounts.id,
        name: serviceAccounts.name,
        scopes: serviceAccounts.scopes,
      },
    })
    .from(apiKeys)
    .leftJoin(accounts, and(eq(accounts.id, apiKeys.ownerId), isNull(accounts.disabledAt)))
    .leftJoin(
      serviceAccounts,
      and(eq(serviceAccounts.id, apiKeys.ownerId), isNull(serviceAccounts.disabledAt)),
    )
    .where(eq(apiKeys.hash, sql.placeholder('hash')))
    .prepare('api_key_by_hash')

  /** It stays until the commit: whoever removes the owner removes this key too. */
  async function isThere(tx: Writes, { kind, id }: KeyOwner): Promise<boolean> {
    const table = kind === 'account' ? accounts : serviceAccounts
    const rows = await database.lock(
      tx.select({ id: table.id }).from(table).where(eq(table.id, id)),
    )
    return rows.length > 0
  }

  async function requireRoom(tx: Writes, ownerId: string): Promise<void> {
    const [found] = await tx
      .select({ keys: count() })
      .from(apiKeys)
      .where(eq(apiKeys.ownerId, ownerId))
    if (found!.keys < perOwnerMax) return
    throw authProblems.tooManyApiKeys({
      detail: `There may be at most ${perOwnerMax} keys. Delete one that is not needed.`,
    })
  }

  return {
    create(owner, { name, scopes, expiresAt }, actor) {
      const { secret, hash, hint } = newApiKey()
      const key = {
        id: Bun.randomUUIDv7(),
        name,
        scopes,
        hint,
        createdAt: new Date(clock.now()),
        expiresAt,
        usedAt: null,
      }
      return database.write(async (tx) => {
        // The lock makes those who create for one owner at once wait for each other, so that none is too many.
        if (!(await isThere(tx, owner))) return undefined
        const { id, sessionId } = owner
        if (sessionId !== undefined) await requireOpenSession(tx, deps.tables, { id, sessionId })
        await requireRoom(tx, owner.id)
        await tx.insert(apiKeys).values({ ...key, hash, ownerId: owner.id })
        const details = { ...ownerIds(owner), key_id: key.id, name, scopes }
        await audit.record(tx, actor, 'auth.api_key_created', details)
        return { key, secret }
      })
    },
    async list(ownerId) {
      return database.read
        .select(view)
        .from(apiKeys)
        .where(eq(apiKeys.ownerId, ownerId))
        .orderBy(desc(apiKeys.id))
        .limit(perOwnerMax)
    },
    async get(ownerId, id) {
      const [found] = await database.read
        .select(view)
        .from(apiKeys)
        .where(and(eq(apiKeys.id, id), eq(apiKeys.ownerId, ownerId)))
      return found
    },
    async remove(owner, id, actor) {
      const isRemoved = await database.write(async (tx) => {
        const rows = await tx
          .delete(apiKeys)
          .where(and(eq(apiKeys.id, id), eq(apiKeys.ownerId, owner.id)))
          .returning({ key_id: apiKeys.id, name: apiKeys.name })
        if (rows[0] === undefined) return false
        await audit.record(tx, actor, 'auth.api_key_deleted', { ...ownerIds(owner), ...rows[0] })
        return true
      })
      if (isRemoved) forget(owner.id)
      return isRemoved
    },
    async removeAll(owner, actor) {
      await database.write(async (tx) => {
        const rows = await tx
          .delete(apiKeys)
          .where(eq(apiKeys.ownerId, owner.id))
          .returning({ key_id: apiKeys.id, name: apiKeys.name })
        for (const key of rows) {
          await audit.record(tx, actor, 'auth.api_key_deleted', { ...ownerIds(owner), ...key })
        }
      })
      forget(owner.id)
    },
    async find(secret) {
      if (!isApiKey(secret)) return undefined
      const [found] = await byHash.execute({ hash: hashOf(secret) })
      if (found === undefined) return undefined
      const { account, serviceAccount } = found
      const owned = account === null ? new Set(serviceAccount?.scopes) : await rights.of(account)
      return { ...found, owned }
    },
  }
}

/** What a key may be used for now: no more than its owner may, whatever it was made for. */
export const scopesOf = ({ key, owned }: Pick<FoundApiKey, 'key' | 'owned'>): Set<Scope> =>
  new Set(key.scopes.filter((scope) => owned.has(scope)))

export const isOver = ({ key }: FoundApiKey, now: number) =>
  key.expiresAt !== null && key.expiresAt.getTime() <= now

const ownerIds = ({ kind, id }: KeyOwner) => ({
  user_id: kind === 'account' ? id : null,
  service_account_id: kind === 'account' ? null : id,
})
