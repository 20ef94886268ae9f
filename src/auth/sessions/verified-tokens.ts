import type { Identity } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import type { Clock } from '../../platform/clock.ts'
import { createRemembered } from '../../platform/remembered.ts'
import { expiredToken } from './tokens.ts'

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
}

export function createVerifiedTokens(deps: {
  read: ReadCredential
  clock: Clock
  cacheMax: number
}): VerifiedTokens {
  const { read, clock } = deps
  /** By the whole token: a digest short enough to be quick would not be safe from collisions. */
  const verified = createRemembered<Verified>({
    async read(token, known) {
      const credential = known?.credential ?? (await read(token))
      return { identity: await credential.load(), credential }
    },
    isRefusal: (error) => error instanceof Problem,
    clock,
    max: deps.cacheMax,
  })

  function identityOf(token: string, { identity, credential }: Verified): Identity {
    if (clock.now() < credential.expiresAtMs) return identity
    verified.forget(token)
    throw expiredToken()
  }

  return {
    authenticate(token) {
      const found = verified.get(token)
      return found instanceof Promise
        ? found.then((fresh) => identityOf(token, fresh))
        : identityOf(token, found)
    },
    forget: (identityId) => verified.forgetAll(({ identity }) => identity.id === identityId),
  }
}
