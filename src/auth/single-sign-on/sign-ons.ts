import { createHmac, timingSafeEqual } from 'node:crypto'

import type { Events } from '../../events.ts'
import { stranger } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import { problems } from '../../gateway/problems.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { Audit } from '../audit/audit.ts'
import { createWriteCap } from '../audit/write-cap.ts'
import { authProblems } from '../problems.ts'
import { hashOf } from '../sessions/refresh-tokens.ts'
import type { Caller, IssuedTokens, Sessions } from '../sessions/sessions.ts'
import type { Tickets } from '../tickets/tickets.ts'
import type { Arrivals } from './arrivals.ts'
import type { Identities } from './identities.ts'
import type { Handshake, Person, Provider } from './provider.ts'
import type { Providers } from './providers.ts'

/** Time to type a password elsewhere, and to find the phone for the second factor. */
export const SIGN_ON_TTL_SECONDS = 600

/** Whose account it is to be linked to. */
interface Owner {
  accountId: string
  sessionId: string
}

/** What is kept of a sign-on while the browser is away. */
interface Begun {
  provider: string
  returnTo: string
  sessionId: string | null
}

/** What became of it. Where none were issued, somebody was linked to the account that they are logged in to. */
interface Finished {
  issued: IssuedTokens | undefined
  returnTo: string
}

/**
 * Signing on by a provider: a browser is sent there, and comes back with a code. Each half is bound to
 * the browser by a secret that it alone holds, in a cookie; what goes through addresses follows from
 * the secret and does not tell it.
 */
export interface SignOns {
  /** @returns where to send the browser, and what it must hold meanwhile. */
  begin(
    provider: string,
    returnTo: string,
    owner?: Owner,
  ): Promise<{ location: URL; secret: string }>
  /**
   * What follows from the answer that a browser brought back: a session.
   *
   * @param secret what the browser holds.
   * @throws {Problem} 400 when it was not begun in this browser or is over; 403, 409, 502.
   */
  finish(
    provider: string,
    answer: URLSearchParams,
    secret: string | undefined,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<Finished>
}

export function createSignOns(deps: {
  database: Database
  providers: Providers
  arrivals: Arrivals
  identities: Identities
  tickets: Tickets
  sessions: Sessions
  audit: Audit
  clock: Clock
  log: Log
}): SignOns {
  const { database, providers, arrivals, identities, tickets, sessions, audit } = deps
  const mayRecord = createWriteCap(deps)

  function existing(id: string): Provider {
    const provider = providers.get(id)
    if (provider === undefined) throw problems.notFound({ detail: 'There is no such provider.' })
    return provider
  }

  async function recordFailure(
    { address }: Caller,
    details: Pick<Events['auth.login_failed'], 'reason' | 'user_id' | 'provider'>,
  ): Promise<void> {
    if (details.user_id === null && !mayRecord(address, false)) return
    const actor = stranger(address)
    await database.write((tx) => audit.record(tx, actor, 'auth.login_failed', details))
  }

  /** The ticket of a sign-on with this provider that this browser began. */
  async function begunBy(secret: string | undefined, provider: string, state: string | null) {
    if (secret === undefined || state === null) return undefined
    const ticket = await tickets.read('single_sign_on', secret)
    const isOfProvider = (ticket?.data as Begun | undefined)?.provider === provider
    if (!isOfProvider || !isSame(state, handshakeOf(secret).state)) return undefined
    const taken = await database.write((tx) => tickets.redeem(tx, 'single_sign_on', secret))
    return taken && { accountId: taken.accountId, ...(taken.data as Begun) }
  }

  async function open(id: string, person: Person, caller: Caller): Promise<IssuedTokens> {
    for (;;) {
      const account = await arrivals.enter(id, person, caller.address)
      const issued = await sessions.open(account, ['single_sign_on'], caller)
      // Else it was changed meanwhile.
      if (issued !== undefined) return issued
    }
  }

  return {
    async begin(id, returnTo, owner) {
      const provider = existing(id)
      const data: Begun = {
        provider: id,
        returnTo,
        sessionId: owner?.sessionId ?? null,
      }
      const secret = await database.write((tx) =>
        tickets.issue(tx, {
          purpose: 'single_sign_on',
          accountId: owner?.accountId ?? null,
          data,
          ttlSeconds: SIGN_ON_TTL_SECONDS,
        }),
      )
      return { location: await provider.authorizationUrl(handshakeOf(secret)), secret }
    },
    async finish(id, answer, secret, caller, signal) {
      const provider = existing(id)
      const begun = await begunBy(secret, id, answer.get('state'))
      if (begun === undefined || secret === undefined) {
        await recordFailure(caller, { user_id: null, reason: 'sign_on', provider: id })
        throw authProblems.signOnInvalid({
          detail:
            'It was not begun in this browser, or is over. Begin again, at the address under which this server is known, with cookies allowed.',
        })
      }
      const person = await provider
        .person(answer, handshakeOf(secret), signal)
        .catch(async (error: unknown) => {
          await recordFailure(caller, { user_id: null, reason: 'provider', provider: id })
          throw error
        })
      const { accountId, sessionId, returnTo } = begun
      if (accountId !== null && sessionId !== null) {
        const owner = { accountId, sessionId }
        await identities.link(id, person, owner, caller.address).catch(async (error: unknown) => {
          const isTaken = error instanceof Problem && error.kind === authProblems.identityTaken.kind
          const reason = isTaken ? 'identity_taken' : 'sign_on'
          await recordFailure(caller, { user_id: accountId, reason, provider: id })
          throw error
        })
        return { issued: undefined, returnTo }
      }
      return { issued: await open(id, person, caller), returnTo }
    },
  }
}

/** Neither the secret nor one from another can be told from any of them. */
function handshakeOf(secret: string): Handshake {
  const derived = (use: string) => createHmac('sha256', secret).update(use).digest('base64url')
  return { state: derived('state'), nonce: derived('nonce'), verifier: derived('verifier') }
}

const isSame = (given: string, expected: string) =>
  timingSafeEqual(Buffer.from(hashOf(given)), Buffer.from(hashOf(expected)))
