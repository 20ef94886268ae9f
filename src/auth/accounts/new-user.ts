import type { Role } from '../../gateway/scopes.ts'
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
