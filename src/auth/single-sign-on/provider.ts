import type { Role } from '../../gateway/scopes.ts'
import type { ProviderSettings } from './provider-settings.ts'

/**
 * What ties the two halves of a sign-on together. The browser alone holds what it follows from, so
 * that an answer means nothing in any other browser (RFC 9700 §2.1, §4.7).
 */
export interface Handshake {
  /** Comes back in the answer. */
  state: string
  /** Comes back in the signed identity. */
  nonce: string
  /** Proves to the provider that who brings the code is who began (RFC 7636). */
  verifier: string
}

/** Somebody, as a provider tells of them. */
export interface Person {
  /** What the provider will always call them; all else may change, or pass to somebody else. */
  subject: string
  email: { address: string; isVerified: boolean } | undefined
  /** What they would like to be called. */
  username: string | undefined
  /** By their groups. None where roles are given here alone. */
  role: Role | undefined
  /** Whether an account is made for them if they have none. */
  mayJoin: boolean
}

/** A server elsewhere that says who somebody is. */
export interface Provider {
  readonly id: string
  readonly title: string
  /**
   * Where a browser goes to say who it is.
   *
   * @throws {Unavailable} when the provider does not answer.
   * @throws {Problem} 502 when it answers what can't be believed.
   */
  authorizationUrl(handshake: Handshake): Promise<URL>
  /**
   * Who came back.
   *
   * @param answer the query that the provider sent the browser back with.
   * @throws {Unavailable} when the provider does not answer.
   * @throws {Problem} 502 when what it answers can't be believed; 403 when it refuses; 400 when the
   * code is not good any more.
   */
  person(answer: URLSearchParams, handshake: Handshake, signal: AbortSignal): Promise<Person>
}

/** What each kind of provider is made of. */
export interface ProviderDeps<Settings extends ProviderSettings> {
  settings: Settings
  /** Where the provider sends browsers back to. It is registered there. */
  redirectUri: string
  /** Longest time for one answer of the provider. */
  timeoutMs: number
}
