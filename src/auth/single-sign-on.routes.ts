import { z } from '@hono/zod-openapi'

import { type Route, route } from '../gateway/route.ts'
import { ACCOUNT, type BrowserEntry } from './browser-entry.ts'
import { callerOf } from './login-fields.ts'
import { signOnRefusalPage } from './pages/refusal.tsx'
import type { ReturnAddresses } from './sessions/return-addresses.ts'
import type { BrowserSecret } from './single-sign-on/browser-secret.ts'
import type { Providers } from './single-sign-on/providers.ts'
import type { SignOns } from './single-sign-on/sign-ons.ts'

const provider = z.object({ id: z.string(), title: z.string() })
const pathParameters = z.object({ provider: z.string() })
const startQuery = z.looseObject({ return_to: z.string().optional() })
/** Providers add what they like. */
const answerQuery = z.looseObject({
  code: z.string().optional(),
  state: z.string().optional(),
  iss: z.string().optional(),
  error: z.string().optional(),
})

/** Not 307, by which a form would be sent on (RFC 9700 §4.12). */
const redirection = (location: string, cookie: string) =>
  new Response(null, { status: 303, headers: { location, 'set-cookie': cookie } })

/** Signing in where people have their accounts already. */
export function singleSignOnRoutes(deps: {
  providers: Providers
  signOns: SignOns
  browserSecret: BrowserSecret
  entry: BrowserEntry
  returns: ReturnAddresses
}): Route[] {
  const { providers, signOns, browserSecret, entry, returns } = deps
  const page = {
    access: 'open',
    rate: 'auth',
    isPage: true,
    tag: 'pages',
    refusal: signOnRefusalPage,
  } as const
  return [
    route(
      {
        method: 'get',
        path: '/api/v1/auth/sso',
        access: 'open',
        isSelfContained: true,
        tag: 'auth',
        summary: 'List identity providers',
        description: 'Where people may sign in instead of here.',
        answers: {
          200: {
            description: 'All of them, in the order of the setting',
            schema: z.object({ providers: z.array(provider) }),
            example: { providers: [{ id: 'company', title: 'Example Ltd' }] },
          },
        },
      },
      () => ({
        body: { providers: [...providers.values()].map(({ id, title }) => ({ id, title })) },
      }),
    ),

    route(
      {
        method: 'get',
        path: '/api/v1/auth/sso/{provider}/start',
        ...page,
        summary: 'Sign on by a provider',
        pathParameters,
        query: startQuery,
        answers: { 303: { description: 'To the provider' } },
      },
      async ({ path, query }) => {
        const returnTo = returns.admit(query.return_to) ?? ACCOUNT
        const { location, secret } = await signOns.begin(path.provider, returnTo)
        return redirection(location.href, browserSecret.kept(secret))
      },
    ),

    route(
      {
        method: 'get',
        path: '/api/v1/auth/sso/{provider}/callback',
        ...page,
        summary: 'Come back from a provider',
        pathParameters,
        query: answerQuery,
        answers: { 303: { description: 'Signed in, and on to where the sign-on was to lead' } },
      },
      async ({ path }, context) => {
        const { request, signal } = context
        const secret = browserSecret.read(request)
        const answer = new URL(request.url).searchParams
        const caller = callerOf(context)
        const done = await signOns.finish(path.provider, answer, secret, caller, signal)
        if (done.issued === undefined) return redirection(done.returnTo, browserSecret.forgotten())
        const response = await entry.enter(context, done.issued, done.returnTo)
        response.headers.append('set-cookie', browserSecret.forgotten())
        return response
      },
    ),
  ]
}
