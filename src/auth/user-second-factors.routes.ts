import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import { requireOutranks } from './accounts/outranking.ts'
import type { Users } from './accounts/users.ts'
import type { SecondFactors } from './second-factors/second-factors.ts'
import { existingUser } from './user-fields.ts'

/** Help for who has lost a phone, by administrators. */
export function userSecondFactorsRoutes(deps: {
  users: Users
  secondFactors: SecondFactors
}): Route[] {
  const { users, secondFactors } = deps
  return [
    route(
      {
        method: 'delete',
        path: '/api/v1/users/{id}/second-factors',
        access: 'users:write',
        tag: 'users',
        summary: 'Remove a user’s second factors',
        description:
          'TOTP, passkeys and recovery codes, for who has lost them. Ends all sessions of the user. One’s own are removed under `/api/v1/me`, after a login. Of nobody who may do more than who asks.',
        pathParameters: z.object({ id: z.string() }),
        answers: { 204: { description: 'The password alone lets the user in' } },
        problems: [problems.notFound],
      },
      async ({ path }, context) => {
        // A token of an administrator who is not there must not be enough.
        if (context.principal.id === path.id) {
          throw problems.forbidden({ detail: 'Remove your own under /api/v1/me, after a login.' })
        }
        // Whoever is promoted between this and the write was none that outranks when it was asked.
        requireOutranks(context.principal, existingUser(await users.get(path.id)).role)
        await secondFactors.removeAll(path.id, actorOf(context))
        return new Response(null, { status: 204 })
      },
    ),
  ]
}
