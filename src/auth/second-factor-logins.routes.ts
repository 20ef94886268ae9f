import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import { callerOf, login, loginDocument, loginExample } from './login-fields.ts'
import {
  authenticationExample,
  authenticationResponse,
  requestExample,
  requestOptions,
} from './passkey-fields.ts'
import { authProblems } from './problems.ts'
import type { SecondFactorLogins } from './second-factors/second-factor-logins.ts'
import { ticketText } from './user-fields.ts'

const ticket = scalar(ticketText).meta({ description: 'From the answer to the password' })
const ticketExample = 'qt_c3RhbmRzIGJldHdlZW4gdHdvIHN0ZXBz'
const code = scalar(z.string().max(64)).meta({
  description: 'The six digits of the app, or a recovery code',
})

const common = {
  method: 'post',
  access: 'open',
  rate: 'auth',
  bodyBytesMax: FIELDS_BYTES_MAX,
  tag: 'auth',
} as const
const answers = {
  200: { description: 'The token, and whose it is', schema: login, example: loginExample },
}
const problems = [
  authProblems.badSecondFactorTicket,
  authProblems.badSecondFactor,
  authProblems.accountDisabled,
]

/** The second step of a login whose password was right. */
export function secondFactorLoginRoutes(secondFactorLogins: SecondFactorLogins): Route[] {
  return [
    route(
      {
        ...common,
        path: '/api/v1/auth/second-factor',
        summary: 'Log in by a second factor',
        description:
          'After a login that answered 401 `auth/second-factor-required`. The ticket is good for five minutes and five attempts. A code is good once.',
        body: {
          schema: z.strictObject({ ticket, code }),
          example: { ticket: ticketExample, code: '287082' },
        },
        answers,
        problems: [...problems, authProblems.tooManyCodes],
      },
      async ({ body }, context) => ({
        body: loginDocument(
          await secondFactorLogins.byCode(body.ticket, body.code, callerOf(context)),
        ),
      }),
    ),

    route(
      {
        ...common,
        path: '/api/v1/auth/second-factor/passkey/options',
        summary: 'Begin to log in by a passkey as second factor',
        description: 'What the browser needs for `navigator.credentials.get`, for five minutes.',
        body: { schema: z.strictObject({ ticket }), example: { ticket: ticketExample } },
        answers: {
          200: {
            description: 'PublicKeyCredentialRequestOptionsJSON of WebAuthn',
            schema: requestOptions,
            example: requestExample,
          },
        },
        problems: [authProblems.badSecondFactorTicket, authProblems.noSecondFactor],
      },
      async ({ body }) => ({ body: await secondFactorLogins.passkeyOptions(body.ticket) }),
    ),

    route(
      {
        ...common,
        path: '/api/v1/auth/second-factor/passkey',
        summary: 'Log in by a passkey as second factor',
        body: {
          schema: z.strictObject({ ticket, response: authenticationResponse }),
          example: { ticket: ticketExample, response: authenticationExample },
        },
        answers,
        problems,
      },
      async ({ body }, context) => ({
        body: loginDocument(
          await secondFactorLogins.byPasskey(body.ticket, body.response, callerOf(context)),
        ),
      }),
    ),
  ]
}
