import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { problems } from '../gateway/problems.ts'
import { actorOf, personOf, type Route, route } from '../gateway/route.ts'
import type { Clock } from '../platform/clock.ts'
import {
  apiKeyDocument,
  apiKeyExample,
  apiKeySchema,
  newApiKeyBody,
  newApiKeyBodyExample,
  newApiKeyExample,
  newApiKeySchema,
} from './machine-fields.ts'
import type { ApiKeys } from './machines/api-keys.ts'
import { expiryOf, requireScopes } from './machines/rights.ts'
import { authProblems } from './problems.ts'
import type { RecentLogins } from './sessions/recent-logins.ts'

const pathParameters = z.object({ id: z.string() })

/** My own API keys. A key is not allowed here: one that got out would make itself others. */
export function apiKeyRoutes(deps: {
  apiKeys: ApiKeys
  recentLogins: RecentLogins
  clock: Clock
}): Route[] {
  const { apiKeys, recentLogins, clock } = deps
  return [
    route(
      {
        method: 'get',
        path: '/api/v1/api-keys',
        access: 'in-person',
        tag: 'api keys',
        summary: 'List my API keys',
        description: 'The newest first, expired ones too.',
        answers: {
          200: {
            description: 'All of them, without the secrets',
            schema: z.object({ api_keys: z.array(apiKeySchema) }),
            example: { api_keys: [apiKeyExample] },
          },
        },
      },
      async (_, context) => {
        const found = await apiKeys.list(personOf(context).id)
        return { body: { api_keys: found.map(apiKeyDocument) } }
      },
    ),
    route(
      {
        method: 'post',
        path: '/api/v1/api-keys',
        access: 'in-person',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'api keys',
        summary: 'Create an API key of mine',
        description:
          'For a program that acts for me: as `Authorization: Bearer qk_…`, as `X-API-Key: qk_…`, or as the password of Basic, with any user name. It may do what its scopes name, as far as I may do it at the time. A key is `qk_`, 43 random characters of `0-9A-Za-z`, and the CRC-32 of all before in 6 of them.',
        body: { schema: newApiKeyBody, example: newApiKeyBodyExample },
        answers: {
          201: {
            description: 'The key, whose secret is shown this once',
            schema: newApiKeySchema,
            example: newApiKeyExample,
          },
        },
        problems: [authProblems.loginNotRecent, authProblems.tooManyApiKeys],
      },
      async ({ body: { name, scopes, expires_at } }, context) => {
        const me = personOf(context)
        await recentLogins.require(me)
        requireScopes(scopes, me.scopes)
        const expiresAt = expiryOf(expires_at, clock.now())
        const owner = { kind: 'account', id: me.id, sessionId: me.sessionId } as const
        const made = await apiKeys.create(owner, { name, scopes, expiresAt }, actorOf(context))
        // I was removed since my token was looked up.
        if (made === undefined) throw problems.invalidToken()
        return { status: 201, body: { ...apiKeyDocument(made.key), key: made.secret } }
      },
    ),
    route(
      {
        method: 'get',
        path: '/api/v1/api-keys/{id}',
        access: 'in-person',
        tag: 'api keys',
        summary: 'Look at an API key of mine',
        pathParameters,
        answers: {
          200: { description: 'The key', schema: apiKeySchema, example: apiKeyExample },
        },
        problems: [problems.notFound],
      },
      async ({ path }, context) => {
        const found = await apiKeys.get(personOf(context).id, path.id)
        if (found === undefined) throw noSuchKey()
        return { body: apiKeyDocument(found) }
      },
    ),
    route(
      {
        method: 'delete',
        path: '/api/v1/api-keys/{id}',
        access: 'in-person',
        tag: 'api keys',
        summary: 'Delete an API key of mine',
        description: 'It is refused at once, by other instances within a second.',
        pathParameters,
        answers: { 204: { description: 'It is gone' } },
        problems: [problems.notFound],
      },
      async ({ path }, context) => {
        const owner = { kind: 'account', id: personOf(context).id } as const
        if (!(await apiKeys.remove(owner, path.id, actorOf(context)))) throw noSuchKey()
        return new Response(null, { status: 204 })
      },
    ),
  ]
}

const noSuchKey = () => problems.notFound({ detail: 'You have no such API key.' })
