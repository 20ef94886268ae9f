import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import type { User } from './accounts/new-user.ts'
import { requireOutranks } from './accounts/outranking.ts'
import type { Users } from './accounts/users.ts'
import { apiKeyDocument, apiKeyExample, apiKeySchema } from './machine-fields.ts'
import type { ApiKeys } from './machines/api-keys.ts'

const pathParameters = z.object({ id: z.string() })

/** What programs act for somebody, for administrators. */
export function userApiKeyRoutes(deps: { users: Users; apiKeys: ApiKeys }): Route[] {
  const { users, apiKeys } = deps

  async function requireUser(id: string): Promise<User> {
    const account = await users.get(id)
    if (account !== undefined) return account
    throw problems.notFound({ detail: 'There is no such user.' })
  }

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
        await requireUser(path.id)
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
        requireOutranks(context.principal, (await requireUser(path.id)).role)
        await apiKeys.removeAll({ kind: 'account', id: path.id }, actorOf(context))
        return new Response(null, { status: 204 })
      },
    ),
  ]
}
