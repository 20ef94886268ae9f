import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  ClientSecretBasic,
  ClientSecretPost,
  Configuration,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  type ExportedJWKSCache,
  fetchUserInfo,
  getJwksCache,
  None,
  type ServerMetadata,
  setJwksCache,
} from 'openid-client'

import type { Clock } from '../../platform/clock.ts'
import { outwardFetch } from './outward-fetch.ts'
import { personOf } from './person.ts'
import { providerFault } from './provider-faults.ts'
import type { OpenIdSettings } from './provider-settings.ts'
import type { Provider, ProviderDeps } from './provider.ts'

/** How long a provider is taken to be where it was. */
const METADATA_TTL_MS = 3_600_000
/** The library has no deadline of its own to say: `outwardFetch` has one. */
const NO_TIMEOUT_SECONDS = 600

/**
 * Any OpenID provider, by its issuer: what else is to be known it says itself, when it is first asked
 * for, so that one that is away does not keep the server from starting.
 *
 * @see OpenID Connect Core 1.0, Discovery 1.0; RFC 9700
 */
export function createOpenIdProvider(
  deps: ProviderDeps<OpenIdSettings> & { clock: Clock },
): Provider {
  const { settings, redirectUri, timeoutMs, clock } = deps
  const issuer = new URL(settings.issuer)
  let metadata: { at: number; found: Promise<ServerMetadata> } | undefined
  let keys: ExportedJWKSCache | undefined

  /** Signatures are checked though TLS would do (Core §3.1.3.7 no. 6): there may be a proxy on the way. */
  const strictly = [
    enableNonRepudiationChecks,
    ...(issuer.protocol === 'http:' ? [allowInsecureRequests] : []),
  ]
  const fetchBy = (signal?: AbortSignal) => (url: string, init: object) =>
    outwardFetch(url, init, { name: settings.title, timeoutMs, signal })

  async function discover(): Promise<ServerMetadata> {
    const found = await discovery(issuer, settings.clientId, undefined, undefined, {
      execute: strictly,
      timeout: NO_TIMEOUT_SECONDS,
      [customFetch]: fetchBy(),
    })
    return found.serverMetadata()
  }

  /** Who asks while it is being asked for waits for the same answer. A failure is not remembered. */
  function knownMetadata(): Promise<ServerMetadata> {
    const now = clock.now()
    if (metadata !== undefined && now - metadata.at < METADATA_TTL_MS) return metadata.found
    const entry = { at: now, found: discover() }
    metadata = entry
    entry.found.catch(() => {
      if (metadata === entry) metadata = undefined
    })
    return entry.found
  }

  /** The client's half of one conversation. */
  async function configuration(signal?: AbortSignal): Promise<Configuration> {
    const server = await knownMetadata()
    const auth = authenticationBy(settings.clientSecret, server)
    const config = new Configuration(server, settings.clientId, undefined, auth)
    for (const enable of strictly) enable(config)
    if (keys !== undefined) setJwksCache(config, keys)
    config.timeout = NO_TIMEOUT_SECONDS
    config[customFetch] = fetchBy(signal)
    return config
  }

  return {
    id: settings.id,
    title: settings.title,
    async authorizationUrl({ state, nonce, verifier }) {
      try {
        return buildAuthorizationUrl(await configuration(), {
          redirect_uri: redirectUri,
          scope: settings.scopes,
          state,
          nonce,
          code_challenge: await calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
        })
      } catch (error) {
        throw providerFault(error)
      }
    },
    async person(answer, { state, nonce, verifier }, signal) {
      try {
        const config = await configuration(signal)
        const tokens = await authorizationCodeGrant(config, urlOf(redirectUri, answer), {
          expectedState: state,
          expectedNonce: nonce,
          pkceCodeVerifier: verifier,
          idTokenExpected: true,
        })
        keys = getJwksCache(config)
        const claims = tokens.claims()!
        const isAsked = config.serverMetadata().userinfo_endpoint !== undefined
        const more = isAsked ? await fetchUserInfo(config, tokens.access_token, claims.sub) : {}
        return personOf(claims, more, settings)
      } catch (error) {
        throw providerFault(error)
      }
    },
  }
}

/** Basic is what a provider takes that does not say (Discovery §3). */
function authenticationBy(secret: string | undefined, server: ServerMetadata) {
  if (secret === undefined) return None()
  const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
  return methods.includes('client_secret_basic')
    ? ClientSecretBasic(secret)
    : ClientSecretPost(secret)
}

/** Made of our own address, so that nobody else's can come in by a header. */
export function urlOf(redirectUri: string, answer: URLSearchParams): URL {
  const url = new URL(redirectUri)
  url.search = answer.toString()
  return url
}
