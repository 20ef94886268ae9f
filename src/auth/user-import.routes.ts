import { z } from '@hono/zod-openapi'

import { invalid } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import { requireOutranks } from './accounts/outranking.ts'
import type { UserImport } from './accounts/user-import.ts'
import { email, passwordHash, role, username } from './user-fields.ts'

const importedUser = z.strictObject({
  username,
  email,
  role: scalar(role.default('viewer')),
  password_hash: passwordHash,
})
const outcome = z.object({
  username: z.string(),
  outcome: z.enum(['created', 'taken']),
  id: z.string().nullable().meta({ description: 'Of the new account' }),
})

/** Accounts that come from elsewhere, whose owners keep their passwords. */
export function userImportRoutes(deps: { userImport: UserImport; usersMax: number }): Route[] {
  const { userImport, usersMax } = deps
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/users/import',
        access: 'users:write',
        tag: 'users',
        summary: 'Import users with their password hashes',
        description:
          'Takes bcrypt hashes (`$2a$`, `$2b$`, `$2y$`, to cost 15) and argon2 hashes (`argon2i` or `argon2id` in PHC form, to 256 MiB). At the next login each is replaced by one that is made as new ones are. A user whose name or address is taken is left out; where anything else is wrong, nobody is imported. No role may do more than who imports.',
        body: {
          schema: z.strictObject({ users: z.array(importedUser).min(1) }),
          example: {
            users: [
              {
                username: 'ada',
                email: 'ada@example.com',
                role: 'viewer',
                password_hash: '$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW',
              },
            ],
          },
        },
        answers: {
          200: {
            description: 'What became of each, in the order of the request',
            schema: z.object({ users: z.array(outcome) }),
            example: {
              users: [
                {
                  username: 'ada',
                  outcome: 'created' as const,
                  id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
                },
              ],
            },
          },
        },
      },
      async ({ body }, context) => {
        const count = body.users.length
        if (count > usersMax) {
          throw invalid([{ path: ['users'], detail: `has ${count} users, at most ${usersMax}` }])
        }
        for (const { role } of body.users) requireOutranks(context.principal, role)
        const users = body.users.map(({ password_hash, ...user }) => ({
          ...user,
          passwordHash: password_hash,
        }))
        const ids = await userImport.run(users, actorOf(context))
        return {
          body: {
            users: users.map(({ username }, index) => {
              const id = ids[index] ?? null
              return { username, outcome: id === null ? 'taken' : 'created', id }
            }),
          },
        }
      },
    ),
  ]
}
