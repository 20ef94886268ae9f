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
      /** Since when its owner is known to read what comes there. */
      emailVerifiedAt: column.timestamp(),
      passwordHash: column.text().notNull(),
      role: column.text().$type<'admin' | 'editor' | 'viewer'>().notNull(),
      /** Since when it may not be used. */
      disabledAt: column.timestamp(),
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
      /** However much it is used. */
      expiresAt: column.timestamp().notNull(),
      /** Unless it is used until then. */
      idleUntil: column.timestamp(),
      usedAt: column.timestamp(),
      /** What the client calls itself, and where it came from, when it was used last. */
      device: column.text(),
      address: column.text(),
      /** Of the refresh token that is next, and of the one before it. None where it can't be refreshed. */
      refreshHash: column.text(),
      parentHash: column.text(),
      rotatedAt: column.timestamp(),
    },
    (session) => [
      index('sessions_account_id').on(session.accountId),
      index('sessions_expires_at').on(session.expiresAt),
      index('sessions_idle_until').on(session.idleUntil),
    ],
  ),

  /** Secrets that are good once, for one thing. */
  tickets: table(
    'tickets',
    {
      hash: column.text().primaryKey(),
      purpose: column
        .text()
        .$type<'reset_password' | 'single_sign_on' | 'sign_on_code'>()
        .notNull(),
      accountId: column.text(),
      data: column.json<object>().notNull(),
      expiresAt: column.timestamp().notNull(),
    },
    (ticket) => [
      index('tickets_account_id').on(ticket.accountId),
      index('tickets_expires_at').on(ticket.expiresAt),
    ],
  ),

  /** Who people are elsewhere: there a subject has one account here, and an account one subject. */
  identities: table(
    'identities',
    {
      id: column.text().primaryKey(),
      accountId: column.text().notNull(),
      provider: column.text().notNull(),
      subject: column.text().notNull(),
      /** As the provider told it when they were linked. */
      email: column.text(),
      createdAt: column.timestamp().notNull(),
      usedAt: column.timestamp().notNull(),
    },
    (identity) => [
      uniqueIndex('identities_provider_subject').on(identity.provider, identity.subject),
      uniqueIndex('identities_account_id_provider').on(identity.accountId, identity.provider),
    ],
  ),

  /** Who did what. Entries are never changed. */
  audit: table(
    'audit',
    {
      id: column.text().primaryKey(),
      /** That of the event that tells of it. */
      type: column.text().notNull(),
      time: column.timestamp().notNull(),
      actorId: column.text(),
      /** As it was then: the actor may be gone. */
      actorName: column.text(),
      subjectId: column.text(),
      address: column.text(),
      outcome: column.text().$type<'success' | 'failure'>().notNull(),
      details: column.json<object>().notNull(),
    },
    (entry) => [
      index('audit_type').on(entry.type, entry.id),
      index('audit_actor_id').on(entry.actorId, entry.id),
      index('audit_subject_id').on(entry.subjectId, entry.id),
      index('audit_time').on(entry.time),
    ],
  ),

  /** What only the server knows. */
  secrets: table('secrets', {
    name: column.text().primaryKey(),
    value: column.text().notNull(),
  }),

  signingKeys: table('signing_keys', {
    /** The `kid` of the tokens that it signs. */
    id: column.text().primaryKey(),
    algorithm: column.text().$type<'ES256'>().notNull(),
    publicKey: column.json<JWK>().notNull(),
    privateKey: column.json<JWK>().notNull(),
    createdAt: column.timestamp().notNull(),
    /** From when it signs. None where it did from the beginning. */
    activeFrom: column.timestamp(),
  }),
})

export type AuthTables = ReturnType<typeof authTables>
