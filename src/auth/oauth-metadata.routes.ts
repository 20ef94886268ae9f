import { z } from '@hono/zod-openapi'

import { type Route, route } from '../gateway/route.ts'
import { scopes } from '../gateway/scopes.ts'

const MAX_AGE_SECONDS = 300
const METHODS = ['client_secret_basic', 'client_secret_post']

const metadata = z.object({
  issuer: z.string(),
  token_endpoint: z.string(),
  token_endpoint_auth_methods_supported: z.array(z.string()),
  jwks_uri: z.string(),
  introspection_endpoint: z.string(),
  introspection_endpoint_auth_methods_supported: z.array(z.string()),
  revocation_endpoint: z.string(),
  revocation_endpoint_auth_methods_supported: z.array(z.string()),
  grant_types_supported: z.array(z.string()),
  response_types_supported: z.array(z.string()),
  scopes_supported: z.array(z.string()),
  service_documentation: z.string(),
})

/** Where programs find the rest (RFC 8414), under the name that OpenID clients look for too. */
export function oauthMetadataRoutes(publicUrl: string): Route[] {
  const document = metadataOf(publicUrl)
  const at = (path: string, summary: string, description: string): Route =>
    route(
      {
        method: 'get',
        path,
        access: 'open',
        isSelfContained: true,
        tag: 'oauth',
        summary,
        description,
        answers: {
          200: {
            description: 'What there is',
            schema: metadata,
            example: metadataOf('http://localhost:8080'),
          },
        },
      },
      () => ({
        body: document,
        headers: { 'cache-control': `public, max-age=${MAX_AGE_SECONDS}` },
      }),
    )
  return [
    at(
      '/.well-known/oauth-authorization-server',
      'What OAuth clients need to know',
      'RFC 8414. Nobody signs in to other applications here, so there is no authorization endpoint.',
    ),
    at(
      '/.well-known/openid-configuration',
      'The same, where OpenID clients look',
      'The same document: this is no OpenID provider, but its clients find the endpoints.',
    ),
  ]
}

const metadataOf = (issuer: string) => ({
  issuer,
  token_endpoint: `${issuer}/oauth/token`,
  token_endpoint_auth_methods_supported: METHODS,
  jwks_uri: `${issuer}/.well-known/jwks.json`,
  introspection_endpoint: `${issuer}/oauth/introspect`,
  introspection_endpoint_auth_methods_supported: METHODS,
  revocation_endpoint: `${issuer}/oauth/revoke`,
  revocation_endpoint_auth_methods_supported: METHODS,
  grant_types_supported: ['client_credentials'],
  response_types_supported: [],
  scopes_supported: Object.keys(scopes),
  service_documentation: `${issuer}/docs`,
})
