import type { Authenticate } from '../gateway/principal.ts'
import { Problem } from '../gateway/problem.ts'
import type { RequestContext } from '../gateway/route.ts'
import type { SessionCookie } from '../gateway/session-cookie.ts'
import type { BrowserSessions } from './sessions/browser-sessions.ts'
import { type ReturnAddresses, SIGN_IN, signInPath } from './sessions/return-addresses.ts'
import type { IssuedTokens } from './sessions/sessions.ts'

/** Where a browser goes that is to go nowhere else. */
export const ACCOUNT = '/account'
/** Where somebody goes first who owes the server a second factor. */
export const SECOND_FACTORS = '/account/second-factors'

/** How a browser is let in and out, whatever its user has shown. */
export interface BrowserEntry {
  /** Makes the granted session this browser's, and sends it on; first to what is owed, where that is so. */
  enter(
    context: RequestContext,
    issued: IssuedTokens,
    returnTo: string | undefined,
  ): Promise<Response>
  leave(context: RequestContext): Promise<Response>
  /** By name, whose session this browser has; `undefined` where it has none. */
  whoIsIn(context: RequestContext): Promise<string | undefined>
}

export function createBrowserEntry(deps: {
  browserSessions: BrowserSessions
  /** Of the secret in the cookie. */
  authenticate: Authenticate
  returns: ReturnAddresses
  cookie: SessionCookie
  /** How long a browser keeps the cookie: as long as a session lives at most. */
  ttlSeconds: number
}): BrowserEntry {
  const { browserSessions, authenticate, returns, cookie, ttlSeconds } = deps

  /** A browser has one session: signing in or out ends the one before. */
  async function endCurrent({ request, address }: RequestContext): Promise<void> {
    const secret = cookie.read(request.headers.get('cookie'))
    if (secret !== undefined) await browserSessions.end(secret, address)
  }

  return {
    async enter(context, issued, returnTo) {
      const secret = await browserSessions.adopt(issued)
      await endCurrent(context)
      const target = returns.admit(returnTo)
      const { scopes } = await authenticate(secret)
      const location = scopes.size === 0 ? signInPath(target, SECOND_FACTORS) : (target ?? ACCOUNT)
      return seeOther(location, cookie.write(secret, ttlSeconds))
    },
    async leave(context) {
      await endCurrent(context)
      return seeOther(`${SIGN_IN}?notice=signed-out`, cookie.clear())
    },
    async whoIsIn({ request }) {
      const secret = cookie.read(request.headers.get('cookie'))
      if (secret === undefined) return undefined
      try {
        const identity = await authenticate(secret)
        return identity.kind === 'account' ? identity.username : undefined
      } catch (error) {
        if (error instanceof Problem) return undefined
        throw error
      }
    },
  }
}

const seeOther = (location: string, setCookie: string) =>
  new Response(null, { status: 303, headers: { location, 'set-cookie': setCookie } })
