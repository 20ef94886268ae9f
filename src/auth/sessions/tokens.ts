import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'

import { problems } from '../../gateway/problems.ts'
import type { Role, Scope } from '../../gateway/scopes.ts'
import type { Clock } from '../../platform/clock.ts'
import { isDatabaseAway } from '../../platform/database/database.ts'
import { TOKEN_LIFE_SECONDS_MAX } from '../keys/key-life.ts'
import type { Keys } from '../keys/keys.ts'

/** What a person's token says, beside `iss`, `aud` and `jti`. */
interface TokenClaims {
  userId: string
  username: string
  /** None while the account may do nothing: others read the token, and go by the role. */
  role: Role | undefined
  scopes: ReadonlySet<Scope>
  sessionId: string
  /** Unix time in seconds. */
  issuedAt: number
  expiresAt: number
}

/** What a service account's token says, beside `iss` and `aud`. */
interface ClientTokenClaims {
  /** Its `jti`. */
  id: string
  clientId: string
  /** The API key that it was given for; with it the token ends. */
  apiKeyId: string
  scopes: Scope[]
  /** Unix time in seconds. */
  issuedAt: number
  expiresAt: number
}

interface GoodToken {
  /** Of the ES256 key that signed it. */
  keyId: string | undefined
  /** Unix time in seconds. */
  expiresAt: number
}
/** What is left to check of a person's token that is good in itself. */
export interface SessionToken extends GoodToken {
  kind: 'session'
  userId: string
  sessionId: string
}
/** The same of a service account's. */
export interface ClientToken extends GoodToken {
  kind: 'client'
  id: string
  clientId: string
  apiKeyId: string
  scopes: string[]
}

/** RFC 9068 access tokens. */
export interface Tokens {
  /** By HS256 where the instance has a secret, unless `algorithm` says otherwise. */
  sign(claims: TokenClaims, algorithm?: 'ES256'): Promise<string>
  /** For a service account, in the same way. */
  signForClient(claims: ClientTokenClaims): Promise<string>
  /** @throws {Problem} `tokenExpired` or `invalidToken`. */
  verify(token: string): Promise<SessionToken | ClientToken>
}

export const AUDIENCE = 'quintet'
const TYPE = 'at+jwt'
const TOKEN_CHARACTERS_MAX = 4096
/** An instance whose clock is behind meets tokens that were issued in what it takes for the future. */
const CLOCK_SKEW_SECONDS_MAX = 10

const none = z.never().optional()
/** RFC 8725, section 3.12: what one kind of token has, the other must not have. */
const sessionClaims = z.object({
  sub: z.string(),
  sid: z.string(),
  exp: z.int(),
  client_id: none,
  key_id: none,
})
const clientClaims = z.object({
  sub: z.string(),
  client_id: z.string(),
  key_id: z.string(),
  jti: z.string(),
  scope: z.string(),
  exp: z.int(),
  sid: none,
})
const verifiedClaims = z.union([sessionClaims, clientClaims])

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

  async function seal(jwt: SignJWT, algorithm?: 'ES256'): Promise<string> {
    jwt.setIssuer(issuer).setAudience(AUDIENCE)
    if (secret !== undefined && algorithm === undefined) {
      return jwt.setProtectedHeader({ alg: 'HS256', typ: TYPE }).sign(secret)
    }
    const { id, key } = await keys.signing()
    return jwt.setProtectedHeader({ alg: 'ES256', typ: TYPE, kid: id }).sign(key)
  }

  return {
    sign(claims, algorithm) {
      const jwt = new SignJWT({
        user_id: claims.userId,
        sid: claims.sessionId,
        username: claims.username,
        role: claims.role,
        scope: [...claims.scopes].join(' '),
      })
        .setSubject(claims.userId)
        .setIssuedAt(claims.issuedAt)
        .setExpirationTime(claims.expiresAt)
        .setJti(Bun.randomUUIDv7())
      return seal(jwt, algorithm)
    },

    signForClient(claims) {
      const jwt = new SignJWT({
        client_id: claims.clientId,
        key_id: claims.apiKeyId,
        scope: claims.scopes.join(' '),
      })
        .setSubject(claims.clientId)
        .setIssuedAt(claims.issuedAt)
        .setExpirationTime(claims.expiresAt)
        .setJti(claims.id)
      return seal(jwt)
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
        const claims = verifiedClaims.parse(payload)
        const { exp } = claims
        // The tolerance is for the beginning of a token's life, not for its end.
        if (exp * 1000 <= clock.now()) throw new errors.JWTExpired('expired', payload)
        return { ...readClaims(claims), keyId, expiresAt: exp }
      } catch (cause) {
        // Nothing is known of the token then.
        if (isDatabaseAway(cause)) throw cause
        throw cause instanceof errors.JWTExpired ? expiredToken(cause) : invalidToken(cause)
      }
    },
  }
}

function readClaims(claims: z.output<typeof verifiedClaims>) {
  if (claims.sid !== undefined) {
    return { kind: 'session' as const, userId: claims.sub, sessionId: claims.sid }
  }
  return {
    kind: 'client' as const,
    id: claims.jti,
    clientId: claims.client_id,
    apiKeyId: claims.key_id,
    scopes: claims.scope.split(' '),
  }
}

export const expiredToken = (cause?: unknown) =>
  problems.tokenExpired({
    detail: 'Log in again, or use a key that has not expired.',
    headers: { 'www-authenticate': 'Bearer error="invalid_token", error_description="expired"' },
    cause,
  })

export const invalidToken = (cause?: unknown) =>
  problems.invalidToken({
    detail: 'The token was not issued by this server, was changed, or has been revoked.',
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
    cause,
  })
