import { and, asc, eq, inArray, isNull } from 'drizzle-orm'

import type { Identity } from '../../gateway/principal.ts'
import type { Database, Reads, Writes } from '../../platform/database/database.ts'
import { foldName } from '../accounts/names.ts'
import type { PersonRights } from '../accounts/person-rights.ts'
import type { AuthTables } from '../tables.ts'

/** Somebody who can own resources and be granted some, as others see them. */
export interface Grantee {
  id: string
  kind: 'user' | 'service_account'
  name: string
}

/** One kind of them. Ids are unique across kinds. */
export interface Grantees {
  /** Those of the ids that are of this kind. */
  find(reads: Reads, ids: readonly string[]): Promise<Grantee[]>
  /** Within a write the same, and they stay until the commit. */
  hold(tx: Writes, ids: readonly string[]): Promise<Grantee[]>
  /**
   * The ids of those of a kind who have one of the names, whatever its case, by the folded name. Not
   * by e-mail address: whose an address is, nobody is told.
   */
  named(
    reads: Reads,
    kind: Grantee['kind'],
    names: readonly string[],
  ): Promise<ReadonlyMap<string, string>>
  /** Who one of them is now; `undefined` where there is none, or it may not be used. */
  identity(id: string): Promise<Identity | undefined>
}

/** People. */
export function accountGrantees(deps: {
  database: Database
  tables: AuthTables
  rights: PersonRights
}): Grantees {
  const { database, rights } = deps
  const { accounts } = deps.tables

  const select = (reads: Reads, ids: readonly string[]) =>
    reads
      .select({ id: accounts.id, name: accounts.username })
      .from(accounts)
      .where(inArray(accounts.id, [...ids]))
      // Whoever holds several takes them in this order, and nobody waits for each other.
      .orderBy(asc(accounts.id))
  const users = (rows: { id: string; name: string }[]): Grantee[] =>
    rows.map((row) => ({ ...row, kind: 'user' }))

  return {
    find: async (reads, ids) => users(await select(reads, ids)),
    hold: async (tx, ids) => users(await database.lock(select(tx, ids))),
    async named(reads, kind, names) {
      if (kind !== 'user' || names.length === 0) return new Map()
      const rows = await reads
        .select({ id: accounts.id, folded: accounts.usernameFolded })
        .from(accounts)
        .where(inArray(accounts.usernameFolded, names.map(foldName)))
      return new Map(rows.map(({ folded, id }) => [folded, id]))
    },
    async identity(id) {
      const [account] = await database.read
        .select({ id: accounts.id, username: accounts.username, role: accounts.role })
        .from(accounts)
        .where(and(eq(accounts.id, id), isNull(accounts.disabledAt)))
      if (account === undefined) return undefined
      const scopes = await rights.of(account)
      return { kind: 'account', ...account, sessionId: undefined, scopes }
    },
  }
}

/** Programs. */
export function serviceAccountGrantees(deps: { database: Database; tables: AuthTables }): Grantees {
  const { database } = deps
  const { serviceAccounts } = deps.tables

  const select = (reads: Reads, ids: readonly string[]) =>
    reads
      .select({ id: serviceAccounts.id, name: serviceAccounts.name })
      .from(serviceAccounts)
      .where(inArray(serviceAccounts.id, [...ids]))
      .orderBy(asc(serviceAccounts.id))
  const programs = (rows: { id: string; name: string }[]): Grantee[] =>
    rows.map((row) => ({ ...row, kind: 'service_account' }))

  return {
    find: async (reads, ids) => programs(await select(reads, ids)),
    hold: async (tx, ids) => programs(await database.lock(select(tx, ids))),
    async named(reads, kind, names) {
      if (kind !== 'service_account' || names.length === 0) return new Map()
      const rows = await reads
        .select({ id: serviceAccounts.id, folded: serviceAccounts.nameFolded })
        .from(serviceAccounts)
        .where(inArray(serviceAccounts.nameFolded, names.map(foldName)))
      return new Map(rows.map(({ folded, id }) => [folded, id]))
    },
    async identity(id) {
      const { name, scopes } = serviceAccounts
      const [account] = await database.read
        .select({ id: serviceAccounts.id, name, scopes })
        .from(serviceAccounts)
        .where(and(eq(serviceAccounts.id, id), isNull(serviceAccounts.disabledAt)))
      if (account === undefined) return undefined
      return { kind: 'service-account', ...account, scopes: new Set(account.scopes) }
    },
  }
}

/** All kinds as one. */
export function allGrantees(kinds: readonly Grantees[]): Grantees {
  return {
    find: async (reads, ids) =>
      (await Promise.all(kinds.map((kind) => kind.find(reads, ids)))).flat(),
    async hold(tx, ids) {
      const held: Grantee[] = []
      for (const kind of kinds) held.push(...(await kind.hold(tx, ids)))
      return held
    },
    async named(reads, kind, names) {
      const found = await Promise.all(kinds.map((each) => each.named(reads, kind, names)))
      return new Map(found.flatMap((ids) => [...ids]))
    },
    async identity(id) {
      for (const kind of kinds) {
        const found = await kind.identity(id)
        if (found !== undefined) return found
      }
      return undefined
    },
  }
}
