import { sql } from 'drizzle-orm'
import type { JWK } from 'jose'

import type { Actor } from '../gateway/principal.ts'
import type { Role, Scope } from '../gateway/scopes.ts'
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
      /** Since when its owner says that it is theirs, where neither has shown it nor an administrator gave it. */
      emailClaimedAt: column.timestamp(),
      /** The address that its owner asks for in its place, until they have shown that they read it. */
      emailPending: column.text(),
      emailPendingSince: column.timestamp(),
      passwordHash: column.text().notNull(),
      role: column.text().$type<Role>().notNull(),
      /** Since when it may not be used. */
      disabledAt: column.timestamp(),
      /** Since when it waits for who made it to show that the address is theirs. */
      pendingSince: column.timestamp(),
      createdAt: column.timestamp().notNull(),
      updatedAt: column.timestamp().notNull(),
    },
    (account) => [
      uniqueIndex('accounts_username_folded').on(account.usernameFolded),
      uniqueIndex('accounts_email_folded').on(account.emailFolded),
      index('accounts_pending_since').on(account.pendingSince),
      index('accounts_email_pending_since').on(account.emailPendingSince),
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
      /** Of the cookie, where a browser has it. */
      cookieHash: column.text(),
    },
    (session) => [
      index('sessions_account_id').on(session.accountId),
      index('sessions_expires_at').on(session.expiresAt),
      index('sessions_idle_until').on(session.idleUntil),
      uniqueIndex('sessions_cookie_hash').on(session.cookieHash),
    ],
  ),

  /** Accounts of programs. Names are unique in their folded form. */
  serviceAccounts: table(
    'service_accounts',
    {
      id: column.text().primaryKey(),
      name: column.text().notNull(),
      nameFolded: column.text().notNull(),
      description: column.text(),
      scopes: column.json<Scope[]>().notNull(),
      /** Since when it may not be used. */
      disabledAt: column.timestamp(),
      /** Who may be gone by now. */
      createdBy: column.text(),
      createdAt: column.timestamp().notNull(),
      updatedAt: column.timestamp().notNull(),
    },
    (account) => [uniqueIndex('service_accounts_name_folded').on(account.nameFolded)],
  ),

  /** What programs prove themselves with. */
  apiKeys: table(
    'api_keys',
    {
      id: column.text().primaryKey(),
      hash: column.text().notNull(),
      /** An account, or a service account. */
      ownerId: column.text().notNull(),
      name: column.text().notNull(),
      scopes: column.json<Scope[]>().notNull(),
      /** How the key begins. */
      hint: column.text().notNull(),
      createdAt: column.timestamp().notNull(),
      expiresAt: column.timestamp(),
      usedAt: column.timestamp(),
    },
    (key) => [
      uniqueIndex('api_keys_hash').on(key.hash),
      index('api_keys_owner_id').on(key.ownerId),
    ],
  ),

  /** Tokens of programs that ended before they expired; by their `jti`, until they would have. */
  revokedTokens: table(
    'revoked_tokens',
    {
      id: column.text().primaryKey(),
      expiresAt: column.timestamp().notNull(),
    },
    (token) => [index('revoked_tokens_expires_at').on(token.expiresAt)],
  ),

  /** Secrets that are good once, for one thing. */
  tickets: table(
    'tickets',
    {
      hash: column.text().primaryKey(),
      purpose: column
        .text()
        .$type<
          | 'reset_password'
          | 'set_password'
          | 'verify_email'
          | 'second_factor'
          | 'passkey_registration'
          | 'passkey_login'
          | 'passkey_second_factor'
          | 'single_sign_on'
        >()
        .notNull(),
      accountId: column.text(),
      data: column.json<object>().notNull(),
      expiresAt: column.timestamp().notNull(),
      /** How often it was tried, where that is counted. */
      attempts: column.integer(),
    },
    (ticket) => [
      index('tickets_account_id').on(ticket.accountId),
      index('tickets_expires_at').on(ticket.expiresAt),
    ],
  ),

  /** How often something went wrong, or was done, that may be so often only. */
  throttles: table(
    'throttles',
    {
      /** A digest: what people type as their name may be their password. */
      key: column.text().primaryKey(),
      count: column.integer().notNull(),
      /** Until then it may not be done at all. */
      heldUntil: column.timestamp(),
      /** Whether the audit has that somebody came before. */
      isTold: column.boolean().notNull(),
      /** From when on the count begins anew. */
      expiresAt: column.timestamp().notNull(),
    },
    (throttle) => [index('throttles_expires_at').on(throttle.expiresAt)],
  ),

  /** From where somebody has logged in before, by which name. */
  knownAddresses: table(
    'known_addresses',
    {
      /** A digest of name and address, and one of the name. */
      key: column.text().primaryKey(),
      name: column.text().notNull(),
      expiresAt: column.timestamp().notNull(),
    },
    (known) => [
      index('known_addresses_name').on(known.name, known.expiresAt),
      index('known_addresses_expires_at').on(known.expiresAt),
    ],
  ),

  /** Messages that nothing takes over, for administrators to pass on. */
  keptMail: table(
    'kept_mail',
    {
      id: column.text().primaryKey(),
      accountId: column.text().notNull(),
      address: column.text(),
      subject: column.text().notNull(),
      /** Encrypted: it holds a link that is as good as a password. */
      sealedText: column.text().notNull(),
      createdAt: column.timestamp().notNull(),
      expiresAt: column.timestamp().notNull(),
    },
    (kept) => [index('kept_mail_expires_at').on(kept.expiresAt)],
  ),

  /** What an account shares with an authenticator app (RFC 6238). */
  totp: table('totp', {
    accountId: column.text().primaryKey(),
    /** Encrypted. */
    secret: column.text().notNull(),
    createdAt: column.timestamp().notNull(),
    /** Since when it is asked for. None until a first code has shown that the app has the secret. */
    confirmedAt: column.timestamp(),
    /** Of the last code that was taken: no earlier one is, nor that one again. */
    lastStep: column.integer().notNull(),
    /** Wrong codes since the last right one, and until when no other is looked at. */
    failures: column.integer().notNull(),
    waitUntil: column.timestamp(),
  }),

  recoveryCodes: table(
    'recovery_codes',
    {
      hash: column.text().primaryKey(),
      accountId: column.text().notNull(),
    },
    (code) => [index('recovery_codes_account_id').on(code.accountId)],
  ),

  passkeys: table(
    'passkeys',
    {
      id: column.text().primaryKey(),
      accountId: column.text().notNull(),
      /** By which authenticators know it. */
      credentialId: column.text().notNull(),
      /** COSE, in base64url. */
      publicKey: column.text().notNull(),
      /** How often it has signed, where its authenticator counts. */
      counter: column.integer().notNull(),
      transports: column.json<string[]>().notNull(),
      name: column.text().notNull(),
      /** Whether its authenticator keeps copies elsewhere. */
      isBackedUp: column.boolean().notNull(),
      createdAt: column.timestamp().notNull(),
      usedAt: column.timestamp(),
    },
    (passkey) => [
      uniqueIndex('passkeys_credential_id').on(passkey.credentialId),
      index('passkeys_account_id').on(passkey.accountId),
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
      /** Not of entries that are older than the column. */
      actorKind: column.text().$type<Actor['kind']>(),
      actorId: column.text(),
      /** As they were then: both may be gone. */
      actorName: column.text(),
      subjectId: column.text(),
      subjectName: column.text(),
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

  /**
   * Who may do what to which resource. What the team may is a grant to `team`; without one it is what the
   * kind says.
   */
  grants: table(
    'grants',
    {
      kind: column.text().notNull(),
      resourceId: column.text().notNull(),
      /** An account's, a service account's, or `team`. */
      principalId: column.text().notNull(),
      /** `none` for the team only: that it may nothing is a decision too. */
      access: column.text().$type<'own' | 'write' | 'read' | 'none'>().notNull(),
    },
    (grant) => [
      uniqueIndex('grants_resource').on(grant.kind, grant.resourceId, grant.principalId),
      uniqueIndex('grants_owner')
        .on(grant.kind, grant.resourceId)
        .where(sql`access = 'own'`),
      index('grants_principal').on(grant.principalId, grant.kind, grant.resourceId),
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
