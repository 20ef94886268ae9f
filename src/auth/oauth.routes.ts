import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import type { RequestContext, Route } from '../gateway/route.ts'
import { route } from '../gateway/route.ts'
import { looksLikeApiKey } from './machines/api-key.ts'
import type { ClientTokens } from './machines/client-tokens.ts'
import type { Client, Clients } from './machines/clients.ts'
import type { Introspection } from './machines/introspection.ts'
import {
  clientParameters,
  invalidClient,
  oauthProblems,
  oauthRefusal,
  oauthRefusals,
  parameter,
  sentSecretOf,
} from './oauth-fields.ts'
import type { Tokens } from './sessions/tokens.ts'

const GRANT = 'client_credentials'
const INTROSPECT = 'tokens:introspect'

const clientId = '0198c5a2-9b02-7c61-9d0e-5a2e8b7f4c44'
const secretExample = {
  client_id: clientId,
  client_secret: 'qk_7Jt0PRkZ2mXw9sLqT4vNcB8yHgF3dKaE6uVoWiYr1Qx5M2s0GuP',
}
const tokenParameters = z.object({
  grant_type: parameter(100),
  scope: parameter(1000).openapi({ description: 'Scopes of the key, by blanks; all unless said' }),
  ...clientParameters,
})
const tokenAnswer = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: z.int().meta({ description: 'In seconds' }),
  scope: z.string(),
})
const aboutToken = z.object({
  token: parameter(FIELDS_BYTES_MAX),
  token_type_hint: parameter(100).openapi({ description: 'Makes no difference' }),
  ...clientParameters,
})
const aboutTokenExample = { token: 'eyJhbGciOiJFUzI1NiIs…', ...secretExample }
const introspection = z.object({
  active: z.boolean(),
  scope: z.string().optional(),
  client_id: z.string().optional(),
  username: z.string().optional(),
  token_type: z.string().optional(),
  exp: z.int().optional(),
  iat: z.int().optional(),
  sub: z.string().optional(),
  aud: z.string().optional(),
  iss: z.string().optional(),
  jti: z.string().optional(),
})

/** OAuth 2.0 for programs. Everything here is refused in its way too, not by problem documents. */
export function oauthRoutes(deps: {
  clients: Clients
  clientTokens: ClientTokens
  introspect: (token: string) => Promise<Introspection>
  tokens: Tokens
}): Route[] {
  const { clients, clientTokens, introspect, tokens } = deps

  /** @throws {Problem} `invalidClient`. */
  async function clientOf(
    body: z.output<z.ZodObject<typeof clientParameters>>,
    { request, address }: RequestContext,
  ): Promise<Client> {
    const { id, secret } = sentSecretOf(body, request)
    const client = await clients.authenticate(id, secret, address)
    if (client === undefined) throw invalidClient()
    return client
  }

  return [
    route(
      {
        method: 'post',
        path: '/oauth/token',
        access: 'open',
        isForClients: true,
        rate: 'clients',
        bodyBytesMax: FIELDS_BYTES_MAX,
        refusal: oauthRefusal,
        tag: 'oauth',
        summary: 'Get a token for a service account',
        description:
          'The client credentials grant of RFC 6749, section 4.4, and no other. The client id is the id of a service account, the client secret any of its API keys, sent by Basic (each part encoded as in a form) or in the body. The token is a JWT by RFC 9068; it ends with the key.',
        body: {
          schema: tokenParameters,
          example: { grant_type: GRANT, scope: 'predict', ...secretExample },
          isForm: true,
        },
        answers: {
          200: {
            description: 'The token',
            schema: tokenAnswer,
            example: {
              access_token: 'eyJhbGciOiJFUzI1NiIs…',
              token_type: 'Bearer' as const,
              expires_in: 3600,
              scope: 'predict',
            },
          },
          ...oauthRefusals,
        },
        problems: [
          oauthProblems.invalidRequest,
          oauthProblems.invalidClient,
          oauthProblems.invalidScope,
          oauthProblems.unsupportedGrantType,
        ],
      },
      async ({ body }, context) => {
        requireGrant(body.grant_type)
        const client = await clientOf(body, context)
        const scopes = narrowed(client.scopes, body.scope)
        const issued = await clientTokens.issue({ ...client, scopes }, context.address)
        return {
          body: {
            access_token: issued.token,
            token_type: 'Bearer',
            expires_in: issued.expiresInSeconds,
            scope: issued.scopes.join(' '),
          },
        }
      },
    ),
    route(
      {
        method: 'post',
        path: '/oauth/introspect',
        access: 'open',
        isForClients: true,
        rate: 'validate',
        bodyBytesMax: FIELDS_BYTES_MAX,
        refusal: oauthRefusal,
        tag: 'oauth',
        summary: 'Ask what a token is worth',
        description:
          'RFC 7662, for service accounts with the scope `tokens:introspect`. Tokens of people and of service accounts and API keys are known; of what is not good, for whatever reason, only that is said.',
        body: { schema: aboutToken, example: aboutTokenExample, isForm: true },
        answers: {
          200: {
            description: 'What it is worth now',
            schema: introspection,
            example: {
              active: true,
              scope: 'predict',
              client_id: clientId,
              token_type: 'Bearer',
              exp: 1_767_326_645,
              iat: 1_767_323_045,
              sub: clientId,
              aud: 'quintet',
              iss: 'http://localhost:8080',
              jti: '0198c5a2-9c3f-7a10-b1f2-6c8d2e4a5b55',
            },
          },
          ...oauthRefusals,
          403: {
            ...oauthRefusals[401],
            description: 'The client lacks the scope',
            example: { error: 'insufficient_scope' },
          },
        },
        problems: [oauthProblems.insufficientScope],
      },
      async ({ body }, context) => {
        const client = await clientOf(body, context)
        if (!client.scopes.has(INTROSPECT)) {
          throw oauthProblems.insufficientScope({ detail: `This needs the scope ${INTROSPECT}.` })
        }
        return { body: await introspect(tokenOf(body.token)) }
      },
    ),
    route(
      {
        method: 'post',
        path: '/oauth/revoke',
        access: 'open',
        isForClients: true,
        rate: 'clients',
        bodyBytesMax: FIELDS_BYTES_MAX,
        refusal: oauthRefusal,
        tag: 'oauth',
        summary: 'End a token',
        description:
          'RFC 7009: a token that the same service account got at `/oauth/token`. What is no token, or none any more, is well too. API keys are deleted elsewhere.',
        body: { schema: aboutToken, example: aboutTokenExample, isForm: true },
        answers: {
          200: { description: 'It is over', schema: z.object({}), example: {} },
          ...oauthRefusals,
        },
        problems: [oauthProblems.unauthorizedClient, oauthProblems.unsupportedTokenType],
      },
      async ({ body }, context) => {
        const client = await clientOf(body, context)
        const sent = tokenOf(body.token)
        if (looksLikeApiKey(sent)) {
          throw oauthProblems.unsupportedTokenType({
            detail: 'Who owns an API key, or looks after its service account, deletes it.',
          })
        }
        const token = await goodOne(tokens, sent)
        if (token === undefined) return { body: {} }
        if (token.kind !== 'client' || token.clientId !== client.serviceAccount.id) {
          throw oauthProblems.unauthorizedClient({ detail: 'The token is not this client’s.' })
        }
        await clientTokens.revoke(client, token, context.address)
        return { body: {} }
      },
    ),
  ]
}

function requireGrant(grant: string | undefined): void {
  if (grant === GRANT) return
  if (grant === undefined) throw oauthProblems.invalidRequest({ detail: 'grant_type is missing.' })
  throw oauthProblems.unsupportedGrantType({ detail: `The one grant here is ${GRANT}.` })
}

/** RFC 6749, section 3.3: what is asked for, and never more than there is. */
function narrowed(had: Client['scopes'], asked: string | undefined): Client['scopes'] {
  const names = asked === undefined ? had : new Set(asked.split(' '))
  const scopes = new Set([...had].filter((scope) => names.has(scope)))
  // A key may have lost all that it was made for: a token without rights is no use to anybody.
  if (scopes.size === names.size && scopes.size > 0) return scopes
  const detail =
    had.size === 0
      ? 'This key has no scope left. Make another.'
      : `This key has the scopes ${[...had].join(' ')}: ask for some of them, or leave scope out to get all.`
  throw oauthProblems.invalidScope({ detail })
}

function tokenOf(token: string | undefined): string {
  if (token !== undefined) return token
  throw oauthProblems.invalidRequest({ detail: 'token is missing.' })
}

async function goodOne(tokens: Tokens, sent: string) {
  try {
    return await tokens.verify(sent)
  } catch (error) {
    if (error instanceof Problem && error.kind.status === problems.invalidToken.kind.status) {
      return undefined
    }
    throw error
  }
}
