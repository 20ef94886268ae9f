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
import { expiryOf, requireOwned, requireScopes } from './machines/rights.ts'
import type { ServiceAccounts } from './machines/service-accounts.ts'
import { authProblems } from './problems.ts'
import type { RecentLogins } from './sessions/recent-logins.ts'

const PATH = '/api/v1/service-accounts/{id}/api-keys'
const pathParameters = z.object({ id: z.string() })
const ownerOf = (id: string) => ({ kind: 'service-account', id }) as const

/** The API keys of service accounts, for administrators. */
export function serviceAccountKeyRoutes(deps: {
  apiKeys: ApiKeys
  serviceAccounts: ServiceAccounts
  recentLogins: RecentLogins
  clock: Clock
}): Route[] {
  const { apiKeys, serviceAccounts, recentLogins, clock } = deps

  async function requireServiceAccount(id: string) {
    const found = await serviceAccounts.get(id)
    if (found === undefined) throw noSuchAccount()
    return found
  }

  return [
    route(
      {
        method: 'get',
        path: PATH,
        access: 'service-accounts:read',
        tag: 'service accounts',
        summary: 'List a service account’s API keys',
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
        await requireServiceAccount(path.id)
        return { body: { api_keys: (await apiKeys.list(path.id)).map(apiKeyDocument) } }
      },
    ),
    route(
      {
        method: 'post',
        path: PATH,
        access: 'service-accounts:write',
        isInPersonOnly: true,
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'service accounts',
        summary: 'Create an API key of a service account',
        description:
          'It is sent as a key of one’s own is, and is the client secret at `/oauth/token`, with the account’s id as the client id. To change it without a pause make a second one, and delete the first when nothing uses it any more: with a key end the tokens that were got for it.',
        pathParameters,
        body: { schema: newApiKeyBody, example: newApiKeyBodyExample },
        answers: {
          201: {
            description: 'The key, whose secret is shown this once',
            schema: newApiKeySchema,
            example: newApiKeyExample,
          },
        },
        problems: [problems.notFound, authProblems.loginNotRecent, authProblems.tooManyApiKeys],
      },
      async ({ path, body: { name, scopes, expires_at } }, context) => {
        await recentLogins.require(personOf(context))
        const account = await requireServiceAccount(path.id)
        requireScopes(scopes, context.principal.scopes)
        requireOwned(scopes, account.scopes)
        const expiresAt = expiryOf(expires_at, clock.now())
        const key = { name, scopes, expiresAt }
        const made = await apiKeys.create(ownerOf(path.id), key, actorOf(context))
        if (made === undefined) throw noSuchAccount()
        return { status: 201, body: { ...apiKeyDocument(made.key), key: made.secret } }
      },
    ),
    route(
      {
        method: 'delete',
        path: `${PATH}/{key_id}`,
        access: 'service-accounts:write',
        isInPersonOnly: true,
        tag: 'service accounts',
        summary: 'Delete an API key of a service account',
        description: 'With the tokens that were got for it.',
        pathParameters: pathParameters.extend({ key_id: z.string() }),
        answers: { 204: { description: 'It is gone' } },
        problems: [problems.notFound],
      },
      async ({ path }, context) => {
        // Else it might be a person's id.
        await requireServiceAccount(path.id)
        if (!(await apiKeys.remove(ownerOf(path.id), path.key_id, actorOf(context)))) {
          throw problems.notFound({ detail: 'There is no such API key.' })
        }
        return new Response(null, { status: 204 })
      },
    ),
  ]
}

const noSuchAccount = () => problems.notFound({ detail: 'There is no such service account.' })
