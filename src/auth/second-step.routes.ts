import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { Problem } from '../gateway/problem.ts'
import { type Route, route } from '../gateway/route.ts'
import type { BrowserEntry } from './browser-entry.ts'
import { callerOf } from './login-fields.ts'
import { asText, authenticationResponse } from './passkey-fields.ts'
import { authProblems } from './problems.ts'
import type { SecondFactorLogins } from './second-factors/second-factor-logins.ts'
import { type ReturnAddresses, SECOND_FACTOR, signInPath } from './sessions/return-addresses.ts'
import type { Caller } from './sessions/sessions.ts'
import { faultOf, type SignInPages } from './sign-in-pages.ts'
import { ticketText as ticket } from './user-fields.ts'

const BEGIN_AGAIN = 'That was not what this page asks for. Sign in again.'

const code = z.string().min(1).max(64)
const secondFactor = z.union([
  z.strictObject({ ticket, code }),
  z.strictObject({ ticket, recovery_code: code }),
  z.strictObject({ ticket, response: asText(authenticationResponse) }),
])
type SecondFactor = z.output<typeof secondFactor>
const example = { ticket: 'qt_1N5sIuyZ3CxPdnJ3ZcJ3Y1yJm4Vw0k0r9oGf0e6bq8U', code: '287082' }
const query = z.looseObject({ return_to: z.string().optional() })

/** With these the same ticket may be tried again: what is wrong with it, or the account, no other code mends. */
const RETRIED = new Set([authProblems.badSecondFactor.kind, authProblems.tooManyCodes.kind])

/** The second step of signing a browser in, behind a password that was right. */
export function secondStepRoutes(deps: {
  secondFactorLogins: SecondFactorLogins
  entry: BrowserEntry
  returns: ReturnAddresses
  signInPages: SignInPages
}): Route[] {
  const { secondFactorLogins, entry, returns, signInPages: pages } = deps
  const refusal = pages.formAgain(BEGIN_AGAIN)
  const page = { access: 'open', isPage: true, tag: 'pages', query, refusal } as const

  /** The session that it opens. */
  function shown(body: SecondFactor, caller: Caller) {
    if ('response' in body) return secondFactorLogins.byPasskey(body.ticket, body.response, caller)
    const typed = 'code' in body ? body.code : body.recovery_code
    return secondFactorLogins.byCode(body.ticket, typed, caller)
  }

  return [
    route(
      {
        ...page,
        method: 'get',
        path: SECOND_FACTOR,
        summary: 'Where only the form leads',
        answers: { 303: { description: 'To the form to sign in' } },
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
        bodyBytesMax: FIELDS_BYTES_MAX,
        summary: 'Sign in by a code, after the password',
        body: { schema: secondFactor, example, isForm: true },
        answers: { 303: { description: 'Signed in, and on to where it was asked for' } },
      },
      async ({ query, body }, context) => {
        const { ticket } = body
        const isRecovery = 'recovery_code' in body
        try {
          return await entry.enter(context, await shown(body, callerOf(context)), query.return_to)
        } catch (error) {
          if (!(error instanceof Problem)) throw error
          if (!RETRIED.has(error.kind)) return pages.form(query.return_to, error)
          const state = { ticket, fault: wrong(body, error), isRecovery }
          return pages.secondStep(query.return_to, state, error).catch((over: unknown) => {
            if (over instanceof Problem) return pages.form(query.return_to, over)
            throw over
          })
        }
      },
    ),
  ]
}

function wrong(body: SecondFactor, problem: Problem): string {
  if (problem.kind !== authProblems.badSecondFactor.kind) return faultOf(problem)
  if ('response' in body) return 'The passkey is not one of this account.'
  return 'code' in body
    ? 'The code is wrong, or was used. Type the one that the app shows now.'
    : 'The recovery code is wrong, or was used.'
}
