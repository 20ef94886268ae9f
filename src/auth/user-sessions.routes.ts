import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import { requireOutranks } from './accounts/outranking.ts'
import type { Users } from './accounts/users.ts'
import { sessionDocument, session, sessionExample } from './session-fields.ts'
import type { Sessions } from './sessions/sessions.ts'
import { existingUser } from './user-fields.ts'

const pathParameters = z.object({ id: z.string() })

/** Where somebody is logged in, for administrators. */
export function userSessionRoutes(deps: { users: Users; sessions: Sessions }): Route[] {
  const { users, sessions } = deps

  return [
    route(
      {
        method: 'get',
        path: '/api/v1/users/{id}/sessions',
        access: 'users:read',
        tag: 'users',
        summary: 'List a user’s sessions',
        description: 'The newest first.',
        pathParameters,
        answers: {
          200: {
            description: 'All that are not over',
            schema: z.object({ sessions: z.array(session) }),
            example: { sessions: [sessionExample] },
          },
        },
        problems: [problems.notFound],
      },
      async ({ path }) => {
        existingUser(await users.get(path.id))
        return { body: { sessions: (await sessions.list(path.id)).map(sessionDocument) } }
      },
    ),

    route(
      {
        method: 'delete',
        path: '/api/v1/users/{id}/sessions',
        access: 'users:write',
        tag: 'users',
        summary: 'End a user’s sessions',
        description:
          'All of them. To keep somebody out, disable them. Of nobody who may do more than who asks.',
        pathParameters,
        answers: { 204: { description: 'They are over' } },
        problems: [problems.notFound],
      },
      async ({ path }, context) => {
        // Whoever is promoted between this and the write was none that outranks when it was asked.
        requireOutranks(context.principal, existingUser(await users.get(path.id)).role)
        await sessions.closeAll(path.id, actorOf(context))
        return new Response(null, { status: 204 })
      },
    ),
  ]
}
