import { z } from '@hono/zod-openapi'

import { Problem } from '../gateway/problem.ts'
import { type Route, route } from '../gateway/route.ts'
import type { BrowserEntry } from './browser-entry.ts'
import { FORGOT_PASSWORD } from './links.routes.ts'
import { callerOf } from './login-fields.ts'
import { type Markup, pageOf } from './pages/layout.tsx'
import { PASSKEY_SCRIPT } from './pages/passkey.tsx'
import { refusalPage } from './pages/refusal.tsx'
import { SecondFactorPage } from './pages/second-factor.tsx'
import { type Provider, SignInPage, SignOutPage } from './pages/sign-in.tsx'
import { asText, authenticationExample, authenticationResponse } from './passkey-fields.ts'
import { PASSWORD_TYPED_MAX } from './passwords/password-rules.ts'
import { authProblems } from './problems.ts'
import type { PasskeyLogins } from './second-factors/passkey-logins.ts'
import type { SecondFactorLogins } from './second-factors/second-factor-logins.ts'
import type { Logins } from './sessions/logins.ts'
import {
  PASSKEY,
  type ReturnAddresses,
  SECOND_FACTOR,
  SIGN_IN,
  signInPath,
} from './sessions/return-addresses.ts'
import type { Caller } from './sessions/sessions.ts'

const FORM_BYTES_MAX = 16 * 1024
const SIGN_OUT = '/sign-out'
const UNTYPED = 'Type your user name, or your e-mail address, and your password.'
const BEGIN_AGAIN = 'That was not what this page asks for. Sign in again.'

const credentials = z.strictObject({
  username: z.string().min(1).max(320),
  password: z.string().min(1).max(PASSWORD_TYPED_MAX),
})
const code = z.string().min(1).max(64)
const ticket = z.string().max(256)
const passkey = asText(authenticationResponse)
const secondFactor = z.union([
  z.strictObject({ ticket, code }),
  z.strictObject({ ticket, recovery_code: code }),
  z.strictObject({ ticket, response: passkey }),
])
const example = { username: 'ada', password: 'correct horse battery' }
const codeExample = { ticket: 'qt_1N5sIuyZ3CxPdnJ3ZcJ3Y1yJm4Vw0k0r9oGf0e6bq8U', code: '287082' }
const query = z.looseObject({ return_to: z.string().optional() })

/** The pages by which people sign a browser in and out. */
export function signInRoutes(deps: {
  logins: Logins
  passkeyLogins: PasskeyLogins
  secondFactorLogins: SecondFactorLogins
  entry: BrowserEntry
  returns: ReturnAddresses
  /** Where else people may sign in, and where that begins. */
  providers: readonly { id: string; title: string }[]
}): Route[] {
  const { logins, passkeyLogins, secondFactorLogins, entry, returns } = deps

  const providersTo = (target: string | undefined): Provider[] =>
    deps.providers.map(({ id, title }) => {
      const search = target === undefined ? '' : `?return_to=${encodeURIComponent(target)}`
      return { name: title, path: `/api/v1/auth/sso/${encodeURIComponent(id)}/start${search}` }
    })

  /** Where the form leads in the end, where that is another origin. */
  function aim(returnTo: string | undefined) {
    const target = returns.admit(returnTo)
    return { target, leadsTo: target === undefined ? undefined : returns.originOf(target) }
  }

  /** The form, empty or again, and in its action where to return. */
  function form(
    returnTo: string | undefined,
    problem?: Problem,
    { username, invalid }: { username?: string; invalid?: string } = {},
  ): Response {
    const { target, leadsTo } = aim(returnTo)
    const fault = problem === undefined ? undefined : faultOf(problem, invalid)
    const markup = SignInPage({
      action: signInPath(target),
      username,
      fault,
      forgotPath: FORGOT_PASSWORD,
      providers: providersTo(target),
      passkeyAction: signInPath(target, PASSKEY),
    })
    return answerOf(markup, leadsTo, problem)
  }

  async function secondStep(
    returnTo: string | undefined,
    state: { ticket: string; fault?: string; isRecovery?: boolean },
    problem?: Problem,
  ): Promise<Response> {
    const { target, leadsTo } = aim(returnTo)
    const methods = await secondFactorLogins.methods(state.ticket)
    const action = signInPath(target, SECOND_FACTOR)
    return answerOf(SecondFactorPage({ action, methods, ...state }), leadsTo, problem)
  }

  /** The session that a second factor opens. */
  function shown(body: z.output<typeof secondFactor>, caller: Caller) {
    if ('response' in body) return secondFactorLogins.byPasskey(body.ticket, body.response, caller)
    const typed = 'code' in body ? body.code : body.recovery_code
    return secondFactorLogins.byCode(body.ticket, typed, caller)
  }

  /** @param invalid says what is wrong where it is the fields. */
  const formAgain =
    (invalid: string) =>
    (problem: Problem, { url }: Request) =>
      form(returnToOf(url), problem, { invalid })

  const page = { access: 'open', isPage: true, tag: 'pages' } as const
  const answers = { 303: { description: 'Signed in, and on to where it was asked for' } }

  return [
    route(
      {
        ...page,
        method: 'get',
        path: SIGN_IN,
        summary: 'The form to sign in',
        query,
        answers: { 200: { description: 'A page' } },
        refusal: formAgain(UNTYPED),
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
        answers,
        refusal: formAgain(UNTYPED),
      },
      async ({ query, body: { username, password } }, context) => {
        try {
          const issued = await logins.byPassword(username, password, callerOf(context))
          return await entry.enter(context, issued, query.return_to)
        } catch (error) {
          if (!(error instanceof Problem)) throw error
          if (error.kind !== authProblems.secondFactorRequired.kind) {
            return form(query.return_to, error, { username })
          }
          const { ticket } = error.options.members as { ticket: string }
          return await secondStep(query.return_to, { ticket })
        }
      },
    ),

    route(
      {
        ...page,
        method: 'get',
        path: SECOND_FACTOR,
        summary: 'Where only the form leads',
        query,
        answers: { 303: { description: 'To the form to sign in' } },
        refusal: formAgain(BEGIN_AGAIN),
      },
      ({ query }) => {
        const location = signInPath(returns.admit(query.return_to))
        return new Response(null, { status: 303, headers: { location } })
      },
    ),

    route(
      {
        ...page,
        method: 'post',
        path: SECOND_FACTOR,
        rate: 'auth',
        bodyBytesMax: FORM_BYTES_MAX,
        summary: 'Sign in by a code, after the password',
        query,
        body: { schema: secondFactor, example: codeExample, isForm: true },
        answers,
        refusal: formAgain(BEGIN_AGAIN),
      },
      async ({ query, body }, context) => {
        const { ticket } = body
        const isRecovery = 'recovery_code' in body
        try {
          return await entry.enter(context, await shown(body, callerOf(context)), query.return_to)
        } catch (error) {
          if (!(error instanceof Problem)) throw error
          // What is wrong with the ticket, or with the account, no other code mends.
          const mayTryAgain = RETRIED.has(error.kind)
          if (!mayTryAgain) return form(query.return_to, error)
          const state = { ticket, fault: faultOf(error), isRecovery }
          return secondStep(query.return_to, state, error).catch((over: unknown) => {
            if (over instanceof Problem) return form(query.return_to, over)
            throw over
          })
        }
      },
    ),

    route(
      {
        ...page,
        method: 'post',
        path: PASSKEY,
        rate: 'auth',
        bodyBytesMax: FORM_BYTES_MAX,
        summary: 'Sign in by a passkey',
        query,
        body: {
          schema: z.strictObject({ response: passkey }),
          example: { response: JSON.stringify(authenticationExample) },
          isForm: true,
        },
        answers,
        refusal: formAgain(BEGIN_AGAIN),
      },
      async ({ query, body }, context) => {
        try {
          const issued = await passkeyLogins.byPasskey(body.response, callerOf(context))
          return await entry.enter(context, issued, query.return_to)
        } catch (error) {
          if (error instanceof Problem) return form(query.return_to, error)
          throw error
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
      (_, context) => entry.leave(context),
    ),
  ]
}

const RETRIED = new Set([authProblems.badSecondFactor.kind, authProblems.tooManyCodes.kind])

const returnToOf = (url: string) => new URL(url).searchParams.get('return_to') ?? undefined

/** What programs are told of, in the words of the page: nobody has seen a ticket or a challenge. */
const SAID = new Map([
  [
    authProblems.badSecondFactorTicket.kind,
    'That took too long, or was tried too often. Sign in again.',
  ],
  [
    authProblems.badPasskey.kind,
    'The passkey is not known here, or it took too long. Try again, or use your password.',
  ],
])

function faultOf({ kind, options }: Problem, invalid?: string): string {
  if (kind.status === 422 && invalid !== undefined) return invalid
  return SAID.get(kind) ?? options.detail ?? `${kind.title}. ${kind.advice}`
}

/** With what every refusal says beside, such as when to come back. */
function answerOf(markup: Markup, leadsTo: string | undefined, problem: Problem | undefined) {
  const status = problem?.kind.status ?? 200
  const response = pageOf(markup, { status, leadsTo, scripts: PASSKEY_SCRIPT })
  for (const [name, value] of Object.entries(problem?.options.headers ?? {})) {
    response.headers.set(name, value)
  }
  return response
}
