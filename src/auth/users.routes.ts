import { z } from '@hono/zod-openapi'

import { accountOf, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import { PASSWORD_TYPED_MAX } from './password-rules.ts'
import { authProblems } from './problems.ts'
import { email, password, roleName, username } from './user-fields.ts'
import type { Users } from './users.ts'

const BODY_BYTES_MAX = 16 * 1024

const newUser = z.strictObject({
  username,
  email,
  password,
  role: scalar(roleName.default('viewer')),
})
const user = z.object({
  id: z.string(),
  username: z.string(),
  email: z.string().nullable(),
  role: roleName,
})

const passwordChange = z.strictObject({
  current_password: scalar(z.string().max(PASSWORD_TYPED_MAX)),
  password,
})

export function userRoutes(users: Users): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/users',
        access: 'users:write',
        bodyBytesMax: BODY_BYTES_MAX,
        tag: 'users',
        summary: 'Create a user',
        body: {
          schema: newUser,
          example: {
            username: 'ada',
            email: 'ada@example.com',
            password: 'correct horse battery',
            role: 'viewer',
          },
        },
        answers: {
          201: {
            description: 'The new user',
            schema: user,
            example: {
              id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
              username: 'ada',
              email: 'ada@example.com',
              role: 'viewer',
            },
          },
        },
        problems: [authProblems.nameTaken, authProblems.busy],
      },
      async ({ body }) => {
        const { id, username, email, role } = await users.create(body)
        return { status: 201, body: { id, username, email, role } }
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/me/password',
        access: 'signed-in',
        rate: 'auth',
        bodyBytesMax: BODY_BYTES_MAX,
        tag: 'users',
        summary: 'Change my password',
        description: 'Ends all my other sessions.',
        body: {
          schema: passwordChange,
          example: { current_password: 'correct horse battery', password: 'staple, correct!' },
        },
        answers: { 204: { description: 'The password is changed' } },
        problems: [authProblems.wrongPassword, authProblems.busy],
      },
      async ({ body }, context) => {
        const { id, sessionId } = accountOf(context)
        await users.changePassword({
          id,
          sessionId,
          currentPassword: body.current_password,
          password: body.password,
        })
        return new Response(null, { status: 204 })
      },
    ),
  ]
}
