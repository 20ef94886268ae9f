import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { Problem } from '../gateway/problem.ts'
import { type Route, route } from '../gateway/route.ts'
import type { BrowserEntry } from './browser-entry.ts'
import { callerOf } from './login-fields.ts'
import { asText, authenticationExample, authenticationResponse } from './passkey-fields.ts'
import { PASSWORD_TYPED_MAX } from './passwords/password-rules.ts'
import { authProblems } from './problems.ts'
import type { PasskeyLogins } from './second-factors/passkey-logins.ts'
import type { Logins } from './sessions/logins.ts'
import { PASSKEY, SIGN_IN } from './sessions/return-addresses.ts'
import type { SignInPages } from './sign-in-pages.ts'

const UNTYPED = 'Type your user name, or your e-mail address, and your password.'
const BEGIN_AGAIN = 'That was not what this page asks for. Sign in again.'

const credentials = z.strictObject({
  username: z.string().min(1).max(320),
  password: z.string().min(1).max(PASSWORD_TYPED_MAX),
})
const example = { username: 'ada', password: 'correct horse battery' }
const passkey = z.strictObject({ response: asText(authenticationResponse) })
const query = z.looseObject({ return_to: z.string().optional() })

/** The page by which people sign a browser in: by a password, or by a passkey alone. */
export function signInRoutes(deps: {
  logins: Logins
  passkeyLogins: PasskeyLogins
  entry: BrowserEntry
  signInPages: SignInPages
}): Route[] {
  const { logins, passkeyLogins, entry, signInPages: pages } = deps
  const page = { access: 'open', isPage: true, tag: 'pages', query } as const
  const posted = {
    ...page,
    method: 'post',
    rate: 'auth',
    bodyBytesMax: FIELDS_BYTES_MAX,
    answers: { 303: { description: 'Signed in, and on to where it was asked for' } },
  } as const

  return [
    route(
      {
        ...page,
        method: 'get',
        path: SIGN_IN,
        summary: 'The form to sign in',
        query: query.extend({ notice: z.string().optional() }),
        answers: { 200: { description: 'A page' } },
        refusal: pages.formAgain(UNTYPED),
      },
      async ({ query: { return_to, notice } }, context) => {
        const signedInAs = await entry.whoIsIn(context)
        // Who is signed in needs none: whatever it says is over.
        const said = signedInAs === undefined ? { notice } : { signedInAs }
        return pages.form(return_to, undefined, said)
      },
    ),

    route(
      {
        ...posted,
        path: SIGN_IN,
        summary: 'Sign in',
        body: { schema: credentials, example, isForm: true },
        refusal: pages.formAgain(UNTYPED),
      },
      async ({ query, body: { username, password } }, context) => {
        try {
          const issued = await logins.byPassword(username, password, callerOf(context))
          return await entry.enter(context, issued, query.return_to)
        } catch (error) {
          if (!(error instanceof Problem)) throw error
          if (error.kind !== authProblems.secondFactorRequired.kind) {
            return pages.form(query.return_to, error, { username })
          }
          const { ticket } = error.options.members as { ticket: string }
          return pages.secondStep(query.return_to, { ticket })
        }
      },
    ),

    route(
      {
        ...posted,
        path: PASSKEY,
        summary: 'Sign in by a passkey',
        body: {
          schema: passkey,
          example: { response: JSON.stringify(authenticationExample) },
          isForm: true,
        },
        refusal: pages.formAgain(BEGIN_AGAIN),
      },
      async ({ query, body }, context) => {
        try {
          const issued = await passkeyLogins.byPasskey(body.response, callerOf(context))
          return await entry.enter(context, issued, query.return_to)
        } catch (error) {
          if (error instanceof Problem) return pages.form(query.return_to, error)
          throw error
        }
      },
    ),
  ]
}
