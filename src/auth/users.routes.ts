import { z } from '@hono/zod-openapi'

import { actorOf, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import { authProblems } from './problems.ts'
import {
  documentOf,
  email,
  password,
  roleName,
  user,
  userExample,
  username,
} from './user-fields.ts'
import type { Users } from './users.ts'

const BODY_BYTES_MAX = 16 * 1024

const newUser = z.strictObject({
  username,
  email,
  password,
  role: scalar(roleName.default('viewer')),
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
            example: userExample,
          },
        },
        problems: [authProblems.nameTaken, authProblems.busy],
      },
      async ({ body }, context) => ({
        status: 201,
        body: documentOf(await users.create(body, actorOf(context))),
      }),
    ),
  ]
}
