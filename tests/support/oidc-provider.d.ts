/** The package has no types; this is what the tests use of it. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  interface Account {
    accountId: string
    claims(): Record<string, unknown>
  }
  interface ClientMetadata {
    client_id: string
    client_secret?: string
    redirect_uris: string[]
    response_types?: string[]
    grant_types?: string[]
    token_endpoint_auth_method?: string
    id_token_signed_response_alg?: string
  }
  interface Configuration {
    clients: ClientMetadata[]
    claims: Record<string, string[]>
    findAccount(context: unknown, id: string): Account | undefined
    pkce: { required(): boolean }
    cookies: { keys: string[] }
    ttl: Record<string, number>
  }
  export class Provider {
    constructor(issuer: string, configuration: Configuration)
    callback(): (request: IncomingMessage, response: ServerResponse) => void
  }
}
