import { and, eq, isNull, lte, sql } from 'drizzle-orm'

import type { Actor } from '../../gateway/principal.ts'
import { isScope } from '../../gateway/scopes.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import type { Keys } from '../keys/keys.ts'
import { type ClientToken, invalidToken, type Tokens } from '../sessions/tokens.ts'
import type { Credential } from '../sessions/verified-tokens.ts'
import type { AuthTables } from '../tables.ts'
import { scopesOf } from './api-keys.ts'
import type { Client } from './clients.ts'

/** A token and what its holder must know of it. */
interface IssuedToken {
  token: string
  expiresInSeconds: number
  scopes: string[]
}

/** Tokens of service accounts, got for an API key (RFC 6749, section 4.4). */
export interface ClientTokens {
  /** @param client with the scopes that the token is to have. */
  issue(client: Client, address: string): Promise<IssuedToken>
  /** It is good while the key that it was got for is, and may do no more than that key now. */
  credentialOf(token: ClientToken): Credential
  /** Ends a token of a client before it expires (RFC 7009). */
  revoke(client: Client, token: ClientToken, address: string): Promise<void>
  /** Forgets revocations of what has expired anyway. */
  removeExpired(): Promise<void>
}

export function createClientTokens(deps: {
  database: Database
  tables: AuthTables
  tokens: Tokens
  keys: Keys
  audit: Audit
  clock: Clock
  ttlSeconds: number
  /** Called after a commit that ended a token of a service account. */
  forget: (serviceAccountId: string) => void
}): ClientTokens {
  const { database, tokens, keys, audit, clock, forget } = deps
  const { apiKeys, revokedTokens, serviceAccounts } = deps.tables

  const byKey = database.read
    .select({
      key: apiKeys,
      serviceAccount: {
        id: serviceAccounts.id,
        name: serviceAccounts.name,
        scopes: serviceAccounts.scopes,
      },
    })
    .from(apiKeys)
    .innerJoin(serviceAccounts, eq(serviceAccounts.id, apiKeys.ownerId))
    .leftJoin(revokedTokens, eq(revokedTokens.id, sql.placeholder('tokenId')))
    .where(
      and(
        eq(apiKeys.id, sql.placeholder('apiKeyId')),
        eq(serviceAccounts.id, sql.placeholder('clientId')),
        isNull(serviceAccounts.disabledAt),
        isNull(revokedTokens.id),
      ),
    )
    .prepare('service_account_by_token')

  const actorOf = ({ serviceAccount: { id, name } }: Client, address: string): Actor => ({
    kind: 'service_account',
    id,
    name,
    address,
  })

  return {
    async issue(client, address) {
      const { key, serviceAccount } = client
      const id = Bun.randomUUIDv7()
      const scopes = [...client.scopes]
      const issuedAt = Math.floor(clock.now() / 1000)
      const keyEnd = key.expiresAt === null ? Infinity : Math.floor(key.expiresAt.getTime() / 1000)
      const expiresAt = Math.min(issuedAt + deps.ttlSeconds, keyEnd)
      const clientId = serviceAccount.id
      const claims = { id, clientId, apiKeyId: key.id, scopes, issuedAt, expiresAt }
      const token = await tokens.signForClient(claims)
      await database.write((tx) =>
        audit.record(tx, actorOf(client, address), 'auth.token_issued', {
          service_account_id: clientId,
          token_id: id,
          key_id: key.id,
          scopes,
        }),
      )
      return { token, expiresInSeconds: expiresAt - issuedAt, scopes }
    },
    credentialOf({ id, clientId, apiKeyId, keyId, scopes, expiresAt }) {
      const named = new Set(scopes.filter(isScope))
      return {
        expiresAtMs: expiresAt * 1000,
        async load() {
          // The key that signed it may be removed before the token expires.
          const isKeyGone = keyId !== undefined && (await keys.verifying(keyId)) === undefined
          if (isKeyGone) throw invalidToken()
          const [row] = await byKey.execute({ apiKeyId, clientId, tokenId: id })
          if (row === undefined) throw invalidToken()
          const { name } = row.serviceAccount
          const owned = new Set(row.serviceAccount.scopes)
          // That the key is not over the token says itself: it ends no later.
          const allowed = scopesOf({ key: row.key, owned }).intersection(named)
          return { kind: 'service-account', id: clientId, name, scopes: allowed }
        },
      }
    },
    async revoke(client, { id, clientId, expiresAt }, address) {
      await database.write(async (tx) => {
        const rows = await tx
          .insert(revokedTokens)
          .values({ id, expiresAt: new Date(expiresAt * 1000) })
          .onConflictDoNothing()
          .returning({ id: revokedTokens.id })
        if (rows.length === 0) return
        const details = { service_account_id: clientId, token_id: id }
        await audit.record(tx, actorOf(client, address), 'auth.token_revoked', details)
      })
      forget(clientId)
    },
    async removeExpired() {
      const now = new Date(clock.now())
      await database.write(async (tx) => {
        await tx.delete(revokedTokens).where(lte(revokedTokens.expiresAt, now))
      })
    },
  }
}
