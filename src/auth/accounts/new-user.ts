import type { Actor } from '../../gateway/principal.ts'
import type { Role } from '../../gateway/scopes.ts'
import { isUniqueViolation, type Writes } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import { foldName } from './names.ts'

export type User = AuthTables['accounts']['$inferSelect']

/** In place of a hash: no password opens the account. */
export const NO_PASSWORD = ''

export interface NewUser {
  username: string
  email?: string | null | undefined
  role: Role
}

/** The names of an account as they are kept, each beside the form in which it is unique. */
export const usernameColumns = (username: string) => ({
  username,
  usernameFolded: foldName(username),
})

/**
 * A changed address is another one, whoever had shown that the one before was theirs, and whatever was
 * asked for.
 */
export const emailColumns = (email: string | null) => ({
  email,
  emailFolded: email === null ? null : foldName(email),
  emailVerifiedAt: null,
  emailClaimedAt: null,
  emailPending: null,
  emailPendingSince: null,
})

export const newUserRow = (
  { username, email, role }: NewUser,
  passwordHash: string,
  now: Date,
): User => ({
  id: Bun.randomUUIDv7(),
  ...usernameColumns(username),
  ...emailColumns(email ?? null),
  passwordHash,
  role,
  disabledAt: null,
  pendingSince: null,
  createdAt: now,
  updatedAt: now,
})

/** Within the write that makes an account. */
export async function insertUser(
  tx: Writes,
  { tables, audit }: { tables: AuthTables; audit: Audit },
  row: User,
  actor: Actor,
): Promise<User> {
  await tx.insert(tables.accounts).values(row)
  await audit.record(tx, actor, 'auth.user_created', { user_id: row.id, role: row.role })
  return row
}

/** @throws {Problem} 409 where a user name or an address is somebody else's. */
export async function refusingTakenNames<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    throw authProblems.nameTaken({ detail: 'The user name or e-mail address is in use.' })
  }
}
