import { z } from '@hono/zod-openapi'

import { Problem } from '../gateway/problem.ts'
import { type RequestContext, type Route, route } from '../gateway/route.ts'
import type { SessionCookie } from '../gateway/session-cookie.ts'
import { FORGOT_PASSWORD } from './links.routes.ts'
import { pageOf } from './pages/layout.tsx'
import { refusalPage } from './pages/refusal.tsx'
import { SignInPage, SignOutPage } from './pages/sign-in.tsx'
import { PASSWORD_TYPED_MAX } from './passwords/password-rules.ts'
import type { BrowserSessions } from './sessions/browser-sessions.ts'
import type { Logins } from './sessions/logins.ts'
import { type ReturnAddresses, SIGN_IN, signInPath } from './sessions/return-addresses.ts'

const FORM_BYTES_MAX = 16 * 1024
const SIGN_OUT = '/sign-out'
const ACCOUNT = '/account'

const credentials = z.strictObject({
  username: z.string().min(1).max(320),
  password: z.string().min(1).max(PASSWORD_TYPED_MAX),
})
const example = { username: 'ada', password: 'correct horse battery' }
const query = z.looseObject({ return_to: z.string().optional() })

/** The pages by which people sign a browser in and out. */
export function signInRoutes(deps: {
  logins: Logins
  browserSessions: BrowserSessions
  returns: ReturnAddresses
  cookie: SessionCookie
  /** How long a browser keeps the cookie: as long as a session lives at most. */
  ttlSeconds: number
}): Route[] {
  const { logins, browserSessions, returns, cookie } = deps

  /** The form, empty or again, and in its action where to return. */
  function form(returnTo: string | undefined, problem?: Problem, username?: string): Response {
    const target = returns.admit(returnTo)
    const leadsTo = target === undefined ? undefined : returns.originOf(target)
    const action = signInPath(target)
    const fault = problem === undefined ? undefined : faultOf(problem)
    return pageOf(SignInPage({ action, username, fault, forgotPath: FORGOT_PASSWORD }), {
      status: problem?.kind.status ?? 200,
      leadsTo,
    })
  }
  const formAgain = (problem: Problem, { url }: Request) =>
    form(new URL(url).searchParams.get('return_to') ?? undefined, problem)

  /** A browser has one session: signing in or out ends the one before. */
  async function endCurrent({ request, address }: RequestContext): Promise<void> {
    const secret = cookie.read(request.headers.get('cookie'))
    if (secret !== undefined) await browserSessions.end(secret, address)
  }

  const page = { access: 'open', isPage: true, tag: 'pages' } as const

  return [
    route(
      {
        ...page,
        method: 'get',
        path: SIGN_IN,
        summary: 'The form to sign in',
        query,
        answers: { 200: { description: 'A page' } },
        refusal: formAgain,
      },
      ({ query }) => form(query.return_to),
    ),

    route(
      {
        ...page,
        method: 'post',
        path: SIGN_IN,
        rate: 'auth',
        bodyBytesMax: FORM_BYTES_MAX,
        summary: 'Sign in',
        query,
        body: { schema: credentials, example, isForm: true },
        answers: { 303: { description: 'Signed in, and on to where it was asked for' } },
        refusal: formAgain,
      },
      async ({ query, body: { username, password } }, context) => {
        const { address, request } = context
        const client = { address, device: request.headers.get('user-agent') }
        try {
          const grant = await logins.byPassword(username, password, client)
          const secret = await browserSessions.adopt(grant)
          await endCurrent(context)
          const target = returns.admit(query.return_to) ?? ACCOUNT
          return seeOther(target, cookie.write(secret, deps.ttlSeconds))
        } catch (error) {
          if (!(error instanceof Problem)) throw error
          const response = form(query.return_to, error, username)
          for (const [name, value] of Object.entries(error.options.headers ?? {})) {
            response.headers.set(name, value)
          }
          return response
        }
      },
    ),

    route(
      {
        ...page,
        method: 'get',
        path: SIGN_OUT,
        summary: 'The button to sign out',
        answers: { 200: { description: 'A page' } },
      },
      () => pageOf(SignOutPage({ action: SIGN_OUT })),
    ),

    route(
      {
        ...page,
        method: 'post',
        path: SIGN_OUT,
        summary: 'Sign out',
        answers: { 303: { description: 'Signed out, and on to the form to sign in' } },
        refusal: refusalPage,
      },
      async (_, context) => {
        await endCurrent(context)
        return seeOther(SIGN_IN, cookie.clear())
      },
    ),
  ]
}

function faultOf({ kind, options }: Problem): string {
  if (kind.status === 422) return 'Type your user name, or your e-mail address, and your password.'
  return options.detail ?? `${kind.title}.`
}

const seeOther = (location: string, setCookie: string) =>
  new Response(null, { status: 303, headers: { location, 'set-cookie': setCookie } })
