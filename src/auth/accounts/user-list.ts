import { and, desc, lt, or, type SQL, sql } from 'drizzle-orm'

import type { Database } from '../../platform/database/database.ts'
import type { AuthTables } from '../tables.ts'
import { foldName } from './names.ts'
import type { User } from './new-user.ts'

export interface UserList {
  /** The newest first: those before `before`, and whose user name or e-mail address begins so. */
  list(filter: {
    beginning?: string | undefined
    before?: string | undefined
    limit: number
  }): Promise<User[]>
}

export function createUserList(deps: { database: Database; tables: AuthTables }): UserList {
  const { accounts } = deps.tables

  const begins = (
    column: typeof accounts.usernameFolded | typeof accounts.emailFolded,
    text: string,
  ): SQL => sql`${column} like ${`${text.replaceAll(/[!%_]/g, '!$&')}%`} escape '!'`

  return {
    async list({ beginning, before, limit }) {
      const folded = beginning === undefined ? '' : foldName(beginning)
      return deps.database.read
        .select()
        .from(accounts)
        .where(
          and(
            folded === ''
              ? undefined
              : or(begins(accounts.usernameFolded, folded), begins(accounts.emailFolded, folded)),
            before === undefined ? undefined : lt(accounts.id, before),
          ),
        )
        .orderBy(desc(accounts.id))
        .limit(limit)
    },
  }
}
