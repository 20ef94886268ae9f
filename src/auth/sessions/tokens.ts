import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'

import { problems } from '../../gateway/problems.ts'
import { roleScopes } from '../../gateway/scopes.ts'
import type { Clock } from '../../platform/clock.ts'
import { isDatabaseAway } from '../../platform/database/database.ts'
import { TOKEN_LIFE_SECONDS_MAX } from '../keys/key-life.ts'
import type { Keys } from '../keys/keys.ts'

/** What a token says, beside `iss`, `aud` and `jti`. */
interface TokenClaims {
  userId: string
  username: string
  role: keyof typeof roleScopes
  sessionId: string
  /** Unix time in seconds. */
  issuedAt: number
  expiresAt: number
}

/** What is left to check of a token that is good in itself. */
interface VerifiedToken {
  userId: string
  sessionId: string
  /** Of the ES256 key that signed it. */
  keyId: string | undefined
  /** Unix time in seconds. */
  expiresAt: number
}

/** RFC 9068 access tokens. */
export interface Tokens {
  /** By HS256 where the instance has a secret, unless `algorithm` says otherwise. */
  sign(claims: TokenClaims, algorithm?: 'ES256'): Promise<string>
  /** @throws {Problem} `tokenExpired` or `invalidToken`. */
  verify(token: string): Promise<VerifiedToken>
}

const AUDIENCE = 'quintet'
const TYPE = 'at+jwt'
const TOKEN_CHARACTERS_MAX = 4096
/** An instance whose clock is behind meets tokens that were issued in what it takes for the future. */
const CLOCK_SKEW_SECONDS_MAX = 10

const verifiedClaims = z.object({ sub: z.string(), sid: z.string(), exp: z.int() })

export function createTokens(deps: {
  keys: Keys
  issuer: string
  secret: string | undefined
  clock: Clock
}): Tokens {
  const { keys, issuer, clock } = deps
  const secret = deps.secret === undefined ? undefined : new TextEncoder().encode(deps.secret)

  /** Each algorithm has its own key, so that no token chooses how it is checked. */
  async function keyOf(token: string) {
    if (token.length > TOKEN_CHARACTERS_MAX) throw new errors.JWTInvalid('too long')
    // base64url has several spellings of one signature; only one of them is the token that we issued.
    const signature = token.slice(token.lastIndexOf('.') + 1)
    if (Buffer.from(signature, 'base64url').toString('base64url') !== signature) {
      throw new errors.JWTInvalid('not canonical')
    }
    const { alg, kid } = decodeProtectedHeader(token)
    if (alg === 'HS256' && secret !== undefined) return { alg, key: secret, keyId: undefined }
    const key = alg === 'ES256' && kid !== undefined ? await keys.verifying(kid) : undefined
    if (key === undefined) throw new errors.JOSEAlgNotAllowed('no key for this token')
    return { alg: 'ES256', key, keyId: kid }
  }

  return {
    async sign(claims, algorithm) {
      const jwt = new SignJWT({
        user_id: claims.userId,
        sid: claims.sessionId,
        username: claims.username,
        role: claims.role,
        scope: roleScopes[claims.role].join(' '),
      })
        .setIssuer(issuer)
        .setAudience(AUDIENCE)
        .setSubject(claims.userId)
        .setIssuedAt(claims.issuedAt)
        .setExpirationTime(claims.expiresAt)
        .setJti(Bun.randomUUIDv7())
      if (secret !== undefined && algorithm === undefined) {
        return jwt.setProtectedHeader({ alg: 'HS256', typ: TYPE }).sign(secret)
      }
      const { id, key } = await keys.signing()
      return jwt.setProtectedHeader({ alg: 'ES256', typ: TYPE, kid: id }).sign(key)
    },

    async verify(token) {
      try {
        const { alg, key, keyId } = await keyOf(token)
        const { payload } = await jwtVerify(token, key, {
          algorithms: [alg],
          issuer,
          audience: AUDIENCE,
          typ: TYPE,
          // Without it jose accepts a token from the future.
          maxTokenAge: TOKEN_LIFE_SECONDS_MAX,
          clockTolerance: CLOCK_SKEW_SECONDS_MAX,
          currentDate: new Date(clock.now()),
        })
        const { sub, sid, exp } = verifiedClaims.parse(payload)
        // The tolerance is for the beginning of a token's life, not for its end.
        if (exp * 1000 <= clock.now()) throw new errors.JWTExpired('expired', payload)
        return { userId: sub, sessionId: sid, keyId, expiresAt: exp }
      } catch (cause) {
        // Nothing is known of the token then.
        if (isDatabaseAway(cause)) throw cause
        throw cause instanceof errors.JWTExpired ? expiredToken(cause) : invalidToken(cause)
      }
    },
  }
}

export const expiredToken = (cause?: unknown) =>
  problems.tokenExpired({
    detail: 'Log in again.',
    headers: { 'www-authenticate': 'Bearer error="invalid_token", error_description="expired"' },
    cause,
  })

export const invalidToken = (cause?: unknown) =>
  problems.invalidToken({
    detail: 'The token was not issued by this server, was changed, or has been revoked.',
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
    cause,
  })
