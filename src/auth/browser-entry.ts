import type { RequestContext } from '../gateway/route.ts'
import type { SessionCookie } from '../gateway/session-cookie.ts'
import type { BrowserSessions } from './sessions/browser-sessions.ts'
import { type ReturnAddresses, SIGN_IN } from './sessions/return-addresses.ts'
import type { Grant } from './sessions/sessions.ts'

/** Where a browser goes that is to go nowhere else. */
export const ACCOUNT = '/account'

/** How a browser is let in and out, whatever its user has shown. */
export interface BrowserEntry {
  /** Makes the granted session this browser's, and sends it on. */
  enter(context: RequestContext, grant: Grant, returnTo: string | undefined): Promise<Response>
  leave(context: RequestContext): Promise<Response>
}

export function createBrowserEntry(deps: {
  browserSessions: BrowserSessions
  returns: ReturnAddresses
  cookie: SessionCookie
  /** How long a browser keeps the cookie: as long as a session lives at most. */
  ttlSeconds: number
}): BrowserEntry {
  const { browserSessions, returns, cookie, ttlSeconds } = deps

  /** A browser has one session: signing in or out ends the one before. */
  async function endCurrent({ request, address }: RequestContext): Promise<void> {
    const secret = cookie.read(request.headers.get('cookie'))
    if (secret !== undefined) await browserSessions.end(secret, address)
  }

  return {
    async enter(context, grant, returnTo) {
      const secret = await browserSessions.adopt(grant)
      await endCurrent(context)
      return seeOther(returns.admit(returnTo) ?? ACCOUNT, cookie.write(secret, ttlSeconds))
    },
    async leave(context) {
      await endCurrent(context)
      return seeOther(SIGN_IN, cookie.clear())
    },
  }
}

const seeOther = (location: string, setCookie: string) =>
  new Response(null, { status: 303, headers: { location, 'set-cookie': setCookie } })
