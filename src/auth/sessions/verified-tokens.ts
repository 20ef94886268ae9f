import { LRUCache } from 'lru-cache'

import type { Identity } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import type { Clock } from '../../platform/clock.ts'
import { DatabaseSilent, isDatabaseAway } from '../../platform/database/database.ts'
import { within } from '../../platform/within.ts'
import { expiredToken } from './tokens.ts'

/** How long a revocation by another process may go unseen. */
const RECHECK_INTERVAL_MS = 1000
/** How long a token that was good is believed while the database can't be asked. */
const UNCHECKED_MAX_MS = 60_000
/** How long a request waits to hear whether its good token is still one. */
const RECHECK_PATIENCE_MS = 1000

/** A token that is good in itself. */
export interface Credential {
  /** Unix time in milliseconds. A `load` may find another. */
  expiresAtMs: number
  /**
   * Whom it stands for as the database has it now, so that a changed role counts at once.
   *
   * @throws {Problem} 401 when it stands for nobody any more.
   */
  load(): Promise<Identity>
}

/**
 * Reads one kind of token.
 *
 * @throws {Problem} 401 when it is not good.
 */
export type ReadCredential = (token: string) => Promise<Credential>

/** Whom tokens stand for. What was verified is remembered, and whether it was revoked looked up each second. */
export interface VerifiedTokens {
  /** @throws {Problem} 401 when the token is not good, or what it stands for is over. */
  authenticate(token: string): Identity | Promise<Identity>
  /** Forgets what is remembered of somebody's tokens. Call it after the commit. */
  forget(identityId: string): void
}

interface Verified {
  identity: Identity
  credential: Credential
  /** When the database was last asked, and when it last answered. */
  checkedAtMs: number
  confirmedAtMs: number
  /** Under way, for all requests with this token together. */
  recheck: Promise<Identity> | undefined
}

export function createVerifiedTokens(deps: {
  read: ReadCredential
  clock: Clock
  cacheMax: number
}): VerifiedTokens {
  const { read, clock } = deps
  /** By the whole token: a digest short enough to be quick would not be safe from collisions. */
  const verified = new LRUCache<string, Verified>({ max: deps.cacheMax })

  async function verify(token: string): Promise<Identity> {
    const credential = await read(token)
    const identity = await credential.load()
    const now = clock.now()
    verified.set(token, {
      identity,
      credential,
      checkedAtMs: now,
      confirmedAtMs: now,
      recheck: undefined,
    })
    return identity
  }

  /**
   * Goes on when nobody waits for it any more: a revocation counts whenever it is heard of. What is
   * no refusal, such as that a statement took too long, says nothing of the token.
   */
  async function askAgain(token: string, entry: Verified): Promise<Identity> {
    const now = clock.now()
    try {
      entry.identity = await entry.credential.load()
      entry.confirmedAtMs = now
      return entry.identity
    } catch (error) {
      if (error instanceof Problem && verified.peek(token) === entry) verified.delete(token)
      throw error
    } finally {
      entry.recheck = undefined
    }
  }

  /** One asks the database, and the others believe what is remembered, as long as that may be believed. */
  async function recheck(token: string, entry: Verified): Promise<Identity> {
    const now = clock.now()
    const isBelieved = now - entry.confirmedAtMs < UNCHECKED_MAX_MS
    entry.checkedAtMs = now
    if (entry.recheck !== undefined && isBelieved) return entry.identity
    entry.recheck ??= askAgain(token, entry)
    try {
      return await within(RECHECK_PATIENCE_MS, entry.recheck, () => {
        throw new DatabaseSilent()
      })
    } catch (error) {
      if (isDatabaseAway(error) && isBelieved) return entry.identity
      verified.delete(token)
      throw error
    }
  }

  return {
    authenticate(token) {
      const entry = verified.get(token)
      if (entry === undefined) return verify(token)
      const now = clock.now()
      if (now >= entry.credential.expiresAtMs) {
        verified.delete(token)
        throw expiredToken()
      }
      return Math.abs(now - entry.checkedAtMs) < RECHECK_INTERVAL_MS
        ? entry.identity
        : recheck(token, entry)
    },
    forget(identityId) {
      for (const [token, { identity }] of verified) {
        if (identity.id === identityId) verified.delete(token)
      }
    },
  }
}
