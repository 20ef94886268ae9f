import { z } from '@hono/zod-openapi'

import { type Identity, isInPerson } from '../gateway/principal.ts'
import type { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { identityOf, type Route, route } from '../gateway/route.ts'
import { type Role, roleNames } from '../gateway/scopes.ts'
import { PROGRAM_PREFIX } from './accounts/names.ts'
import { type ReturnAddresses, signInPath } from './sessions/return-addresses.ts'

/** All but what stands for itself in a header: text of one byte a character, `%` escaping the rest. */
const ESCAPED = /[^\u0020-\u0024\u0026-\u007e]+/gu

/** Of these refusals the status says all. Others tell the operator what is wrong. */
const EMPTY: ReadonlySet<number> = new Set([401, 403, 429])

const query = z.strictObject({
  role: z.enum(roleNames).optional().openapi({
    description: 'The least role that will do',
  }),
  redirect: z.literal('true').optional().openapi({
    description:
      'Send browsers that are not signed in to the page for it. nginx wants the bare 401',
  }),
})

/** For proxies that put other applications behind the accounts of this server. */
export function forwardRoutes(deps: { returns: ReturnAddresses; publicUrl: string }): Route[] {
  const { returns, publicUrl } = deps

  /** Whatever the headers say, the way back is one that sign-in admits: so it matters not who sent them. */
  function signInOf({ headers }: Request): string {
    const [proto, host, uri] = ['proto', 'host', 'uri'].map(
      (name) => headers.get(`x-forwarded-${name}`) ?? '',
    )
    const target = returns.admit(`${proto}://${host}${uri}`)
    return publicUrl + signInPath(target)
  }

  function refusal({ kind: { status } }: Problem, request: Request): Response | undefined {
    const isBrowser = request.headers.get('accept')?.includes('text/html') ?? false
    const isWanted = new URL(request.url).searchParams.get('redirect') === 'true'
    if (status === 401 && isBrowser && isWanted) {
      return new Response(null, { status: 302, headers: { location: signInOf(request) } })
    }
    // Caddy and Traefik hand the body on, to somebody who asked another application.
    return EMPTY.has(status) ? new Response(null, { status }) : undefined
  }

  return [
    route(
      {
        method: 'get',
        path: '/api/v1/auth/forward',
        access: 'forward',
        rate: 'forward',
        tag: 'auth',
        summary: 'Who asks, for a proxy',
        description:
          'Traefik, nginx or Caddy asks here with the headers of a request to another application, a token or the cookie of a signed-in browser among them, and hands on who it is: `X-User` and `X-Role`, and `X-User-Id`, which stays when the name changes. In a name, `%` and what is not ASCII are percent-encoded as UTF-8. A service account is `service-account:NAME`, which no user is called, and has the role `service-account`; an API key of a person has `api-key`: neither will do where a role is asked for, and both need the scope `forward`.',
        query,
        answers: {
          200: { description: 'Somebody who may; the headers say who' },
          302: { description: 'A browser that is not signed in, with `redirect=true`' },
          401: { description: 'Nobody that is known here; without a body' },
          403: { description: 'Somebody who may not; without a body' },
          429: { description: 'Too many requests; without a body' },
        },
        problems: [problems.forbidden],
        refusal,
      },
      ({ query }, context) => {
        const identity = identityOf(context)
        if (query.role !== undefined && !isAtLeast(identity, query.role)) {
          throw problems.forbidden({ detail: `This needs the role ${query.role}.` })
        }
        // Each header each time: one that is left out might be passed as the client made it up.
        const headers = {
          'x-user': nameOf(identity),
          'x-user-id': identity.id,
          'x-role': roleOf(identity),
        }
        return new Response(null, { headers })
      },
    ),
  ]
}

const isAtLeast = (identity: Identity, role: Role) =>
  isInPerson(identity) && roleNames.indexOf(identity.role) >= roleNames.indexOf(role)

/** An API key of a person may do less than they may, and their role would say that it may not. */
function roleOf(identity: Identity): string {
  if (identity.kind === 'service-account') return identity.kind
  return isInPerson(identity) ? identity.role : 'api-key'
}

const nameOf = (identity: Identity) =>
  (identity.kind === 'account' ? identity.username : `${PROGRAM_PREFIX}${identity.name}`).replace(
    ESCAPED,
    (text) => encodeURIComponent(text.toWellFormed()),
  )
