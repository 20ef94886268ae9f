import type { JWK } from 'jose'

import type { Kit } from '../platform/database/columns.ts'

/** Names under which an account logs in are unique in their folded form (`foldName`). */
export const authTables = ({ table, column, index, uniqueIndex }: Kit) => ({
  accounts: table(
    'accounts',
    {
      id: column.text().primaryKey(),
      username: column.text().notNull(),
      usernameFolded: column.text().notNull(),
      email: column.text(),
      emailFolded: column.text(),
      passwordHash: column.text().notNull(),
      role: column.text().$type<'admin' | 'editor' | 'viewer'>().notNull(),
      createdAt: column.timestamp().notNull(),
      updatedAt: column.timestamp().notNull(),
    },
    (account) => [
      uniqueIndex('accounts_username_folded').on(account.usernameFolded),
      uniqueIndex('accounts_email_folded').on(account.emailFolded),
    ],
  ),

  sessions: table(
    'sessions',
    {
      id: column.text().primaryKey(),
      accountId: column.text().notNull(),
      createdAt: column.timestamp().notNull(),
      expiresAt: column.timestamp().notNull(),
    },
    (session) => [
      index('sessions_account_id').on(session.accountId),
      index('sessions_expires_at').on(session.expiresAt),
    ],
  ),

  signingKeys: table('signing_keys', {
    /** The `kid` of the tokens that it signs. */
    id: column.text().primaryKey(),
    algorithm: column.text().$type<'ES256'>().notNull(),
    publicKey: column.json<JWK>().notNull(),
    privateKey: column.json<JWK>().notNull(),
    createdAt: column.timestamp().notNull(),
  }),
})

export type AuthTables = ReturnType<typeof authTables>
