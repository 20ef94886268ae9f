import { z } from '@hono/zod-openapi'

import { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { type Route, route } from '../gateway/route.ts'
import { scalar, unboxed } from '../gateway/scalar.ts'
import { roleScopes } from '../gateway/scopes.ts'
import { PASSWORD_LENGTH } from './passwords.ts'
import { authProblems } from './problems.ts'
import type { Sessions } from './sessions.ts'

const CREDENTIAL_BYTES_MAX = 16 * 1024

const role = z.enum(Object.keys(roleScopes) as (keyof typeof roleScopes)[])

const credentials = z.object({
  username: scalar(z.string().max(320)).meta({ description: 'User name or e-mail address' }),
  password: scalar(z.string().max(PASSWORD_LENGTH.max * 4)),
})
const login = z.object({
  token: z.string().meta({ description: 'Bearer token, a JWT' }),
  user: z.object({ id: z.string(), username: z.string(), role }),
})

/** Whatever is no text is no token either, and is told so as any other that is not good. */
const tokenBody = z.object({
  token: z.preprocess((value) => textOf(unboxed(value)), z.string()),
})
const textOf = (value: unknown) => (typeof value === 'string' ? value : '')
const validation = z.object({ valid: z.literal(true), user_id: z.string(), role })

const userId = '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11'

export function sessionRoutes(sessions: Sessions): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/auth/login',
        access: 'open',
        rate: 'auth',
        bodyBytesMax: CREDENTIAL_BYTES_MAX,
        tag: 'auth',
        summary: 'Log in',
        description:
          'Exchanges a password for a token. The answer to a wrong pair does not tell which half was wrong.',
        body: {
          schema: credentials,
          example: { username: 'ada', password: 'correct horse battery' },
        },
        answers: {
          200: {
            description: 'The token, and whose it is',
            schema: login,
            example: {
              token: 'eyJhbGciOiJFUzI1NiIs…',
              user: { id: userId, username: 'ada', role: 'viewer' },
            },
          },
        },
        problems: [authProblems.badCredentials, authProblems.busy],
      },
      async ({ body }) => {
        const { token, account } = await sessions.open(body.username, body.password)
        const { id, username, role } = account
        return { body: { token, user: { id, username, role } } }
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/auth/validate',
        access: 'open',
        rate: 'validate',
        bodyBytesMax: CREDENTIAL_BYTES_MAX,
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
          const { id, role } = await sessions.authenticate(body.token)
          return { body: { valid: true, user_id: id, role } }
        } catch (error) {
          if (!(error instanceof Problem)) throw error
          throw new Problem(error.kind, { ...error.options, members: { valid: false } })
        }
      },
    ),
  ]
}
