import { timingSafeEqual } from 'node:crypto'

import { isLoopback } from './address.ts'
import { askingByBasic, keyCredential } from './key-credential.ts'
import { type Authenticate, isIdentity, isInPerson, type Principal } from './principal.ts'
import { Problem } from './problem.ts'
import { problems } from './problems.ts'
import type { Route } from './route.ts'
import type { SameOrigin } from './same-origin.ts'
import { isScope, ownScopes, type Scope } from './scopes.ts'
import type { SessionCookie } from './session-cookie.ts'

/** Says who asks, and whether the route lets them. */
export interface Guard {
  /** @throws {Problem} 401 without a token or cookie that counts, 403 for a forged request. */
  identify(
    route: Route,
    headers: Headers,
    peer: string,
    address: string,
  ): Principal | Promise<Principal>
}

const BEARER = /^Bearer +([^\s]+) *$/i
/** What proxies add: the standard ones, and those of the vendors, which name the client's address. */
const FORWARDING_HEADER = /^(x-)?forwarded|^via$|-ip$/
const LOOPBACK_HOST = /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/
const NOTHING: ReadonlySet<Scope> = new Set()
const METRICS: ReadonlySet<Scope> = new Set(['metrics:read'])

export function createGuard(deps: {
  authenticate: Authenticate
  authenticateCookie: Authenticate
  cookie: SessionCookie
  sameOrigin: SameOrigin
  /** Whether a proxy that the operator trusts is at the other end. */
  isProxy: (peer: string) => boolean
  anonymousScopes: readonly Scope[]
  metricsToken: string | undefined
}): Guard {
  const { authenticate, authenticateCookie, cookie, sameOrigin, isProxy, metricsToken } = deps
  const anonymousScopes: ReadonlySet<Scope> = new Set(deps.anonymousScopes)
  const scraper: Principal = { kind: 'scraper', id: 'scraper', scopes: METRICS }

  const anonymousFor = ({ access }: Route, address: string): Principal | undefined =>
    isScope(access) && anonymousScopes.has(access) && !ownScopes.has(access)
      ? { kind: 'anonymous', id: address, scopes: anonymousScopes }
      : undefined

  function byCookie(
    secret: string,
    route: Route,
    headers: Headers,
    address: string,
  ): Principal | Promise<Principal> {
    if (doesMore(route, headers)) sameOrigin.require(headers)
    const anonymous = anonymousFor(route, address)
    return anonymous === undefined
      ? authenticateCookie(secret)
      : byCookieOr(anonymous, () => authenticateCookie(secret))
  }

  return {
    identify(route, headers, peer, address) {
      if (route.isPage && doesMore(route, headers)) sameOrigin.require(headers)
      if (route.access === 'open') return { kind: 'anonymous', id: address, scopes: NOTHING }

      const authorization = headers.get('authorization')
      const apiKey = headers.get('x-api-key')
      if (authorization === null && apiKey === null) {
        if (route.isOpenToLoopback && !isProxy(peer) && isDirectLoopback(peer, headers)) {
          return scraper
        }
        const secret = cookie.read(headers.get('cookie'))
        if (secret !== undefined) return byCookie(secret, route, headers, address)
        const anonymous = anonymousFor(route, address)
        if (anonymous !== undefined) return anonymous
        throw problems.unauthenticated({
          detail:
            'Send the header Authorization: Bearer TOKEN, with a token from /api/v1/auth/login or an API key.',
          headers: { 'www-authenticate': 'Bearer' },
        })
      }
      const token = authorization === null ? undefined : BEARER.exec(authorization)?.[1]
      if (token === undefined || apiKey !== null) {
        const { token: sent, isBasic } = keyCredential(authorization, token, apiKey)
        if (!isBasic) return authenticate(sent)
        // Browsers keep a password that was typed, and send it along with what other pages ask for.
        if (doesMore(route, headers) && isByBrowser(headers)) sameOrigin.require(headers)
        return askingByBasic(() => authenticate(sent))
      }
      if (metricsToken !== undefined && isSame(token, metricsToken)) return scraper
      return authenticate(token)
    },
  }
}

/**
 * Whether more comes of a request than an answer, which only a page of the same origin reads. A
 * WebSocket opens by GET, and its answers any page reads; but one that a proxy asks about is not ours.
 */
const doesMore = (route: Route, headers: Headers) =>
  route.method !== 'get' || (headers.has('upgrade') && route.rate !== 'forward')

const isByBrowser = (headers: Headers) => headers.has('sec-fetch-site') || headers.has('origin')

/** A browser sends the cookie of a session that is over on and on: there it counts as none. */
async function byCookieOr(
  anonymous: Principal,
  authenticate: () => Principal | Promise<Principal>,
): Promise<Principal> {
  try {
    return await authenticate()
  } catch (error) {
    if (error instanceof Problem && error.kind.status === 401) return anonymous
    throw error
  }
}

/** @throws {Problem} 403 when the principal lacks what the route asks for. */
export function requireAccess(asked: AskedAccess, principal: Principal): void {
  const { access } = asked
  if (access === 'open') return
  if (isScope(access)) requireScope(principal, access)
  else if (!isIdentity(principal)) throw problems.forbidden({ detail: refusalDetailOf(asked) })
  if (asksForPerson(asked) && !isInPerson(principal)) {
    throw problems.forbidden({ detail: FOR_PEOPLE })
  }
}

type AskedAccess = Pick<Route, 'access' | 'isInPersonOnly'>

/** Whether people must be there themselves, and no key of theirs will do. */
export const asksForPerson = ({ access, isInPersonOnly }: AskedAccess) =>
  access === 'in-person' || isInPersonOnly === true

/** What is said first to those whom a route does not let in. */
export function refusalDetailOf(asked: AskedAccess): string {
  if (isScope(asked.access)) return scopeDetailOf(asked.access)
  return asksForPerson(asked) ? FOR_PEOPLE : 'This is for who has an account here.'
}

const FOR_PEOPLE = 'This is for people who have logged in: a key will not do.'
const scopeDetailOf = (scope: Scope) => `This needs the scope ${scope}.`

/** @throws {Problem} 403 naming the scope that is missing. */
export function requireScope(principal: Principal, scope: Scope): void {
  if (principal.scopes.has(scope)) return
  const isOwing = principal.kind === 'account' && principal.scopes.size === 0
  throw problems.forbidden({
    detail: isOwing
      ? 'Set up a second factor first, on the page /account/second-factors or by POST /api/v1/me/totp: this server asks for one.'
      : scopeDetailOf(scope),
    headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` },
  })
}

/** A page of another site can make a browser here ask, but not by a name of this machine. */
function isDirectLoopback(peer: string, headers: Headers): boolean {
  const isByName = LOOPBACK_HOST.test(headers.get('host') ?? '')
  return isLoopback(peer) && isByName && ![...headers.keys()].some(isForwarding)
}

const isForwarding = (name: string) => FORWARDING_HEADER.test(name)

/** In a time that does not tell how much of it was right. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
