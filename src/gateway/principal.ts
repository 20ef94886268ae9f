import type { Role, Scope } from './scopes.ts'

/** A person's account. */
export interface Account {
  kind: 'account'
  /** Also the key of its rate limit. */
  id: string
  username: string
  role: Role
  /** Of who has logged in; none where an API key stands for the account. */
  sessionId: string | undefined
  scopes: ReadonlySet<Scope>
}

/** A program's account, which outlives the people who set it up. */
interface ServiceAccount {
  kind: 'service-account'
  id: string
  name: string
  scopes: ReadonlySet<Scope>
}

/** Whoever proves who they are. */
export type Identity = Account | ServiceAccount

/** Who asks. */
export type Principal =
  | Identity
  | { kind: 'anonymous' | 'scraper'; id: string; scopes: ReadonlySet<Scope> }

export const isIdentity = (principal: Principal): principal is Identity =>
  principal.kind === 'account' || principal.kind === 'service-account'

/**
 * Who somebody is now, for work that they have left behind; `undefined` where they are gone or shut out.
 */
export type FindIdentity = (id: string) => Promise<Identity | undefined>

/** Whether it is a person who has logged in: a key of theirs may do less, and says nothing of their role. */
export const isInPerson = (principal: Principal): principal is Account & { sessionId: string } =>
  principal.kind === 'account' && principal.sessionId !== undefined

/** Who does something, and from where, as far as is known. */
export interface Actor {
  /** `server` is the server itself, or who has its machine; `anonymous` has not proved who they are. */
  kind: 'user' | 'service_account' | 'server' | 'anonymous'
  /** Of the first two. */
  id: string | null
  name: string | null
  address: string | null
}

export const SERVER: Actor = { kind: 'server', id: null, name: null, address: null }

export function actorAs(identity: Identity, address: string | null): Actor {
  if (identity.kind === 'account') return userActor(identity, address)
  return { kind: 'service_account', id: identity.id, name: identity.name, address }
}

export const userActor = (
  { id, username }: { id: string; username: string },
  address: string | null,
): Actor => ({ kind: 'user', id, name: username, address })

/** Whoever is there. */
export const stranger = (address: string): Actor => ({
  kind: 'anonymous',
  id: null,
  name: null,
  address,
})

/**
 * What the gateway tells and auth writes down: somebody who is known was refused, since they may not do
 * what they asked for. `path` is the endpoint's, with the names of its parameters.
 */
export type TellRefused = (
  principal: Identity,
  endpoint: { method: string; path: string },
  refusal: { why: string | null; address: string },
) => void

/**
 * What the gateway needs to know and auth provides: whom a bearer token, or a cookie, stands for.
 *
 * @throws {Problem} `invalidToken` or `tokenExpired`.
 */
export type Authenticate = (token: string) => Identity | Promise<Identity>
