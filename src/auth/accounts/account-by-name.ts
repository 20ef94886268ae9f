import { eq } from 'drizzle-orm'

import type { Database } from '../../platform/database/database.ts'
import { StartError } from '../../platform/start-error.ts'
import type { AuthTables } from '../tables.ts'
import { foldName } from './names.ts'
import type { User } from './new-user.ts'

/**
 * Whom who has the machine names by user name, in whichever case.
 *
 * @throws {StartError} where there is nobody of that name.
 */
export async function accountByName(
  { database, tables: { accounts } }: { database: Database; tables: AuthTables },
  username: string,
): Promise<User> {
  const [account] = await database.read
    .select()
    .from(accounts)
    .where(eq(accounts.usernameFolded, foldName(username)))
  if (account === undefined) throw new StartError(`There is no user "${username}".`)
  return account
}
