import { decodeJwt } from 'jose'

import type { Identity } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import { AUDIENCE } from '../sessions/tokens.ts'
import type { VerifiedTokens } from '../sessions/verified-tokens.ts'
import { looksLikeApiKey } from './api-key.ts'
import type { ApiKeys } from './api-keys.ts'

/** What RFC 7662, section 2.2, says of a token. Times are Unix times in seconds. */
export type Introspection =
  | { active: false }
  | {
      active: true
      scope: string
      client_id?: string
      username?: string
      token_type: 'Bearer'
      exp?: number
      iat: number
      sub: string
      aud: string
      iss: string
      jti: string
    }

const INACTIVE: Introspection = { active: false }

/**
 * Says what a token is worth now: a person's, a service account's, or an API key. Of what is not good,
 * for whatever reason, nothing is said but that.
 */
export function createIntrospection(deps: {
  verified: VerifiedTokens
  apiKeys: ApiKeys
  issuer: string
}): (token: string) => Promise<Introspection> {
  const { verified, apiKeys, issuer } = deps

  async function identityOf(token: string): Promise<Identity | undefined> {
    try {
      return await verified.authenticate(token)
    } catch (error) {
      if (error instanceof Problem && error.kind.status === 401) return undefined
      throw error
    }
  }

  /** The gist of a token that is good. */
  async function claimsOf(token: string) {
    if (!looksLikeApiKey(token)) {
      const { exp, iat, jti } = decodeJwt(token)
      return { exp: exp!, iat: iat!, jti: jti! }
    }
    const found = await apiKeys.find(token)
    if (found === undefined) return undefined
    const { id, createdAt, expiresAt } = found.key
    return {
      ...(expiresAt === null ? {} : { exp: seconds(expiresAt) }),
      iat: seconds(createdAt),
      jti: id,
    }
  }

  return async (token) => {
    const identity = await identityOf(token)
    if (identity === undefined) return INACTIVE
    const claims = await claimsOf(token)
    // A key may be deleted between the two.
    if (claims === undefined) return INACTIVE
    return {
      active: true,
      scope: [...identity.scopes].join(' '),
      ...(identity.kind === 'account'
        ? { username: identity.username }
        : { client_id: identity.id }),
      token_type: 'Bearer',
      ...claims,
      sub: identity.id,
      aud: AUDIENCE,
      iss: issuer,
    }
  }
}

const seconds = (time: Date) => Math.floor(time.getTime() / 1000)
