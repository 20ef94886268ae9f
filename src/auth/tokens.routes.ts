import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { isInPerson } from '../gateway/principal.ts'
import { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { actorOf, personOf, type Route, route } from '../gateway/route.ts'
import { scalar, unboxed } from '../gateway/scalar.ts'
import {
  callerOf,
  issuedTokensDocument,
  issuedTokens,
  issuedTokensExample,
  login,
  loginDocument,
  loginExample,
  userId,
} from './login-fields.ts'
import { PASSWORD_TYPED_MAX } from './passwords/password-rules.ts'
import { authProblems } from './problems.ts'
import type { Logins } from './sessions/logins.ts'
import type { Sessions } from './sessions/sessions.ts'
import type { VerifiedTokens } from './sessions/verified-tokens.ts'
import { role } from './user-fields.ts'

const credentials = z.strictObject({
  username: scalar(z.string().max(320)).meta({ description: 'User name or e-mail address' }),
  password: scalar(z.string().max(PASSWORD_TYPED_MAX)),
})
const refreshBody = z.strictObject({ refresh_token: scalar(z.string().max(4096)) })

/** Whatever is no text is no token either, and is told so as any other that is not good. */
const tokenBody = z.strictObject({
  token: z.preprocess((value) => textOf(unboxed(value)), z.string()),
})
const textOf = (value: unknown) => (typeof value === 'string' ? value : '')
const validation = z.object({
  valid: z.literal(true),
  user_id: z.string(),
  role: role.nullable().meta({
    description:
      'null for API keys and service accounts, which have scopes alone, and for who owes a second factor',
  }),
})

/** Tokens for passwords, tokens for tokens, and what a token is worth. */
export function tokenRoutes(deps: {
  logins: Logins
  sessions: Sessions
  verified: VerifiedTokens
}): Route[] {
  const { logins, sessions, verified } = deps
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/auth/login',
        access: 'open',
        rate: 'auth',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'auth',
        summary: 'Log in',
        description:
          'Exchanges a password for a token. The answer to a wrong pair does not tell which half was wrong. After several of them there is a wait, longer each time, of which `Retry-After` tells. Where the account has a second factor, the answer to the right pair is 401 `auth/second-factor-required` with `ticket`, `methods` and `expires_in`: go on at `/api/v1/auth/second-factor`.',
        body: {
          schema: credentials,
          example: { username: 'ada', password: 'correct horse battery' },
        },
        answers: {
          200: {
            description: 'The token, and whose it is',
            schema: login,
            example: loginExample,
          },
        },
        problems: [
          authProblems.badCredentials,
          authProblems.secondFactorRequired,
          authProblems.accountDisabled,
          authProblems.addressUnverified,
          authProblems.tooManyFailures,
          authProblems.busy,
        ],
      },
      async ({ body }, context) => ({
        body: loginDocument(
          await logins.byPassword(body.username, body.password, callerOf(context)),
        ),
      }),
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/auth/refresh',
        access: 'open',
        rate: 'auth',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'auth',
        summary: 'Refresh a token',
        description:
          'Exchanges a refresh token for a token and the next refresh token. One that was used before ends its session, but for 10 seconds, in which it gets the same next one again: several tabs may refresh at once.',
        body: {
          schema: refreshBody,
          example: { refresh_token: issuedTokensExample.refresh_token },
        },
        answers: {
          200: {
            description: 'The next ones',
            schema: issuedTokens,
            example: { ...issuedTokensExample, expires_in: 900 },
          },
        },
        problems: [authProblems.badRefreshToken],
      },
      async ({ body }, context) => ({
        body: issuedTokensDocument(await sessions.refresh(body.refresh_token, callerOf(context))),
      }),
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/auth/logout',
        access: 'in-person',
        tag: 'auth',
        summary: 'Log out',
        description: 'Ends the session of the token, and of what was refreshed from it.',
        answers: { 204: { description: 'It is over' } },
      },
      async (_, context) => {
        const { id, sessionId } = personOf(context)
        await sessions.close(id, sessionId, actorOf(context))
        return new Response(null, { status: 204 })
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/auth/validate',
        access: 'open',
        rate: 'validate',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'auth',
        summary: 'Validate a token',
        description: 'For services that can not verify a token themselves.',
        body: { schema: tokenBody, example: { token: 'eyJhbGciOiJFUzI1NiIs…' } },
        answers: {
          200: {
            description: 'The token is good',
            schema: validation,
            example: { valid: true, user_id: userId, role: 'viewer' },
          },
        },
        problems: [problems.tokenExpired, problems.invalidToken],
      },
      async ({ body }) => {
        try {
          const identity = await verified.authenticate(body.token)
          // An API key may do less than its owner, and who owes a second factor nothing: the role would say
          // too much of them.
          const hasRole = isInPerson(identity) && identity.scopes.size > 0
          const role = hasRole ? identity.role : null
          return { body: { valid: true, user_id: identity.id, role } }
        } catch (error) {
          if (!(error instanceof Problem)) throw error
          throw new Problem(error.kind, { ...error.options, members: { valid: false } })
        }
      },
    ),
  ]
}
