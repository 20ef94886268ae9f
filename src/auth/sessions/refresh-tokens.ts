import { createHmac, timingSafeEqual } from 'node:crypto'

import type { Secrets } from '../keys/secrets.ts'

const PREFIX = 'qrt_'
const SESSION_BYTES = 16
const SECRET_BYTES = 32
const SEAL_BYTES = 16
const TOKEN_BYTES = SESSION_BYTES + SECRET_BYTES + SEAL_BYTES
const SHAPE = /^qrt_[\w-]{86}$/

/** A token as the database knows it. */
export interface ReadRefreshToken {
  sessionId: string
  /** All that is stored of it. */
  hash: string
}

/**
 * Refresh tokens: to their holders opaque, in the database a hash. Each but a session's first
 * follows from the one before it by HMAC, so that whoever asks twice within the grace gets the same
 * one although it is nowhere stored. A seal tells tokens that were issued once from made-up ones: an
 * old one that comes again means that it was copied, a made-up one means nothing.
 */
export interface RefreshTokens {
  /** The first of a session. */
  first(sessionId: string): Promise<string>
  /** The one that follows. */
  next(token: string): Promise<string>
  /** `undefined` for what this server did not issue. */
  read(token: string): Promise<ReadRefreshToken | undefined>
}

export function createRefreshTokens(secrets: Secrets): RefreshTokens {
  let keys: Promise<{ seal: Buffer; chain: Buffer }> | undefined

  async function load() {
    const [seal, chain] = await Promise.all([
      secrets.keyFor('refresh token seal'),
      secrets.keyFor('refresh token chain'),
    ])
    return { seal, chain }
  }
  async function keyFor(use: 'seal' | 'chain'): Promise<Buffer> {
    keys ??= load().catch((error: unknown) => {
      keys = undefined
      throw error
    })
    return (await keys)[use]
  }

  const sealOf = async (content: Buffer) =>
    createHmac('sha256', await keyFor('seal'))
      .update(content)
      .digest()
      .subarray(0, SEAL_BYTES)

  async function tokenOf(session: Buffer, secret: Buffer): Promise<string> {
    const content = Buffer.concat([session, secret])
    const sealed = Buffer.concat([content, await sealOf(content)])
    return PREFIX + sealed.toString('base64url')
  }

  return {
    first(sessionId) {
      const session = Buffer.from(sessionId.replaceAll('-', ''), 'hex')
      return tokenOf(session, crypto.getRandomValues(Buffer.alloc(SECRET_BYTES)))
    },
    async next(token) {
      const { session, content } = partsOf(token)
      const secret = createHmac('sha256', await keyFor('chain'))
        .update(content)
        .digest()
      return tokenOf(session, secret)
    },
    async read(token) {
      if (!SHAPE.test(token)) return undefined
      const { bytes, session, content, seal } = partsOf(token)
      // The last character has spellings that mean the same bytes, and would have other hashes.
      if (PREFIX + bytes.toString('base64url') !== token) return undefined
      if (!timingSafeEqual(seal, await sealOf(content))) return undefined
      return { sessionId: uuidOf(session), hash: hashOf(token) }
    },
  }
}

/** The random part has 256 bits, so a plain digest can't be guessed back. */
export const hashOf = (token: string) =>
  new Bun.CryptoHasher('sha256').update(token).digest('base64url')

function partsOf(token: string) {
  const bytes = Buffer.from(token.slice(PREFIX.length), 'base64url')
  return {
    bytes,
    session: bytes.subarray(0, SESSION_BYTES),
    content: bytes.subarray(0, SESSION_BYTES + SECRET_BYTES),
    seal: bytes.subarray(SESSION_BYTES + SECRET_BYTES, TOKEN_BYTES),
  }
}

const uuidOf = (bytes: Buffer) =>
  bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
