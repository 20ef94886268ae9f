import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { type Route, route } from '../gateway/route.ts'
import { callerOf, login, loginDocument, loginExample } from './login-fields.ts'
import {
  authenticationExample,
  authenticationResponse,
  requestExample,
  requestOptions,
} from './passkey-fields.ts'
import { authProblems } from './problems.ts'
import type { PasskeyLogins } from './second-factors/passkey-logins.ts'

/** Logging in without a password. */
export function passkeyLoginRoutes(passkeyLogins: PasskeyLogins): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/auth/passkeys/login/options',
        access: 'open',
        rate: 'auth',
        tag: 'auth',
        summary: 'Begin to log in by a passkey',
        description: 'What the browser needs for `navigator.credentials.get`, for five minutes.',
        answers: {
          200: {
            description: 'PublicKeyCredentialRequestOptionsJSON of WebAuthn',
            schema: requestOptions,
            example: requestExample,
          },
        },
      },
      async () => ({ body: await passkeyLogins.options() }),
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/auth/passkeys/login',
        access: 'open',
        rate: 'auth',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'auth',
        summary: 'Log in by a passkey',
        description:
          'Without user name and password. The passkey counts as both factors, since its authenticator has asked for a PIN, a finger or a face.',
        body: {
          schema: z.strictObject({ response: authenticationResponse }),
          example: { response: authenticationExample },
        },
        answers: {
          200: { description: 'The token, and whose it is', schema: login, example: loginExample },
        },
        problems: [authProblems.badPasskey, authProblems.accountDisabled],
      },
      async ({ body }, context) => ({
        body: loginDocument(await passkeyLogins.byPasskey(body.response, callerOf(context))),
      }),
    ),
  ]
}
