import { timingSafeEqual } from 'node:crypto'

import { isLoopback } from './address.ts'
import { askingByBasic, keyCredential } from './key-credential.ts'
import { type Authenticate, isIdentity, type Principal } from './principal.ts'
import { problems } from './problems.ts'
import type { Route } from './route.ts'
import { isScope, type Scope } from './scopes.ts'

/** Says who asks, and whether the route lets them. */
export interface Guard {
  /** @throws {Problem} 401 without a token that counts. */
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
  /** Whether a proxy that the operator trusts is at the other end. */
  isProxy: (peer: string) => boolean
  anonymousScopes: readonly Scope[]
  metricsToken: string | undefined
}): Guard {
  const { authenticate, isProxy, metricsToken } = deps
  const anonymousScopes: ReadonlySet<Scope> = new Set(deps.anonymousScopes)
  const scraper: Principal = { kind: 'scraper', id: 'scraper', scopes: METRICS }

  return {
    identify(route, headers, peer, address) {
      if (route.access === 'open') return { kind: 'anonymous', id: address, scopes: NOTHING }

      const authorization = headers.get('authorization')
      const apiKey = headers.get('x-api-key')
      if (authorization === null && apiKey === null) {
        if (route.isOpenToLoopback && !isProxy(peer) && isDirectLoopback(peer, headers)) {
          return scraper
        }
        if (isScope(route.access) && anonymousScopes.has(route.access)) {
          return { kind: 'anonymous', id: address, scopes: anonymousScopes }
        }
        throw problems.unauthenticated({
          detail:
            'Send the header Authorization: Bearer TOKEN, with a token from /api/v1/auth/login or an API key.',
          headers: { 'www-authenticate': 'Bearer' },
        })
      }
      const token = authorization === null ? undefined : BEARER.exec(authorization)?.[1]
      if (token === undefined || apiKey !== null) {
        const { token: sent, isBasic } = keyCredential(authorization, token, apiKey)
        return isBasic ? askingByBasic(() => authenticate(sent)) : authenticate(sent)
      }
      if (metricsToken !== undefined && isSame(token, metricsToken)) return scraper
      return authenticate(token)
    },
  }
}

/** @throws {Problem} 403 when the principal lacks what the route asks for. */
export function requireAccess({ access }: Pick<Route, 'access'>, principal: Principal): void {
  if (access === 'open') return
  if (isScope(access)) return requireScope(principal, access)
  if (!isIdentity(principal)) throw problems.forbidden()
  const isInPerson = principal.kind === 'account' && principal.sessionId !== undefined
  if (access === 'in-person' && !isInPerson) {
    throw problems.forbidden({
      detail: 'This is for people who have logged in: a key will not do.',
    })
  }
}

/** @throws {Problem} 403 naming the scope that is missing. */
function requireScope(principal: Principal, scope: Scope): void {
  if (principal.scopes.has(scope)) return
  throw problems.forbidden({
    detail: `This needs the scope ${scope}.`,
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
