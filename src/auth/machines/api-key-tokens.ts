import type { Identity } from '../../gateway/principal.ts'
import { problems } from '../../gateway/problems.ts'
import type { Clock } from '../../platform/clock.ts'
import { expiredToken, invalidToken } from '../sessions/tokens.ts'
import type { ReadCredential } from '../sessions/verified-tokens.ts'
import { isApiKey } from './api-key.ts'
import { type ApiKeys, type FoundApiKey, isOver, scopesOf } from './api-keys.ts'
import type { KeyUses } from './key-uses.ts'

/** API keys: each is good while it is there, and its owner may be used. */
export function createApiKeyTokens(deps: {
  apiKeys: ApiKeys
  uses: KeyUses
  clock: Clock
}): ReadCredential {
  const { apiKeys, uses, clock } = deps
  return async (secret) => {
    // The checksum is no secret: whoever reads the sources can tell as much.
    if (!isApiKey(secret)) throw mistyped()
    const credential = {
      expiresAtMs: Infinity,
      async load() {
        const found = await apiKeys.find(secret)
        if (found === undefined) throw invalidToken()
        const identity = identityOf(found)
        if (identity === undefined) throw invalidToken()
        if (isOver(found, clock.now())) throw expiredToken()
        const { id, expiresAt, usedAt } = found.key
        credential.expiresAtMs = expiresAt?.getTime() ?? Infinity
        uses.note(id, usedAt)
        return identity
      },
    }
    return credential
  }
}

/** `undefined` where the owner is gone or may not be used. */
function identityOf(found: FoundApiKey): Identity | undefined {
  const { account, serviceAccount } = found
  const scopes = scopesOf(found)
  if (account !== null) return { kind: 'account', ...account, sessionId: undefined, scopes }
  if (serviceAccount === null) return undefined
  return { kind: 'service-account', id: serviceAccount.id, name: serviceAccount.name, scopes }
}

const mistyped = () =>
  problems.invalidToken({
    detail:
      'This API key is mistyped or cut off: its end does not fit the rest. Copy it again, whole.',
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
  })
