import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import { requireOutranks } from './accounts/outranking.ts'
import type { Users } from './accounts/users.ts'
import { apiKeyDocument, apiKeyExample, apiKeySchema } from './machine-fields.ts'
import type { ApiKeys } from './machines/api-keys.ts'
import { existingUser } from './user-fields.ts'

const pathParameters = z.object({ id: z.string() })

/** What programs act for somebody, for administrators. */
export function userApiKeyRoutes(deps: { users: Users; apiKeys: ApiKeys }): Route[] {
  const { users, apiKeys } = deps

  return [
    route(
      {
        method: 'get',
        path: '/api/v1/users/{id}/api-keys',
        access: 'users:read',
        tag: 'users',
        summary: 'List a user’s API keys',
        description: 'The newest first, expired ones too.',
        pathParameters,
        answers: {
          200: {
            description: 'All of them, without the secrets',
            schema: z.object({ api_keys: z.array(apiKeySchema) }),
            example: { api_keys: [apiKeyExample] },
          },
        },
        problems: [problems.notFound],
      },
      async ({ path }) => {
        existingUser(await users.get(path.id))
        return { body: { api_keys: (await apiKeys.list(path.id)).map(apiKeyDocument) } }
      },
    ),
    route(
      {
        method: 'delete',
        path: '/api/v1/users/{id}/api-keys',
        access: 'users:write',
        tag: 'users',
        summary: 'Delete a user’s API keys',
        description:
          'All of them. A password that is set ends sessions and no keys, so whoever had the account may have left some; one that is voided ends both. Of nobody who may do more than who asks.',
        pathParameters,
        answers: { 204: { description: 'They are gone' } },
        problems: [problems.notFound],
      },
      async ({ path }, context) => {
        // Whoever is promoted between this and the write was none that outranks when it was asked.
        requireOutranks(context.principal, existingUser(await users.get(path.id)).role)
        await apiKeys.removeAll({ kind: 'account', id: path.id }, actorOf(context))
        return new Response(null, { status: 204 })
      },
    ),
  ]
}
