import type { Role, Scope } from './scopes.ts'

/** Who asks. */
export type Principal =
  | {
      kind: 'account'
      /** Also the key of its rate limit. */
      id: string
      username: string
      role: Role
      sessionId: string
      scopes: ReadonlySet<Scope>
    }
  | { kind: 'anonymous' | 'scraper'; id: string; scopes: ReadonlySet<Scope> }

export type Account = Extract<Principal, { kind: 'account' }>

/**
 * What the gateway needs to know and auth provides: whom a bearer token stands for.
 *
 * @throws {Problem} `invalidToken` or `tokenExpired`.
 */
export type Authenticate = (token: string) => Principal | Promise<Principal>
