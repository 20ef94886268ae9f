import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  ClientSecretPost,
  Configuration,
  customFetch,
} from 'openid-client'
import { z } from 'zod'

import { urlOf } from './openid-provider.ts'
import { outwardFetch } from './outward-fetch.ts'
import { isAddress, isListed } from './person.ts'
import { providerFault } from './provider-faults.ts'
import type { GithubSettings } from './provider-settings.ts'
import type { Provider, ProviderDeps } from './provider.ts'

const API_VERSION = '2022-11-28'

const user = z.object({ id: z.int().positive(), login: z.string() })
const emails = z.array(z.object({ email: z.string(), primary: z.boolean(), verified: z.boolean() }))

/**
 * GitHub signs nothing: it is OAuth, and who somebody is must be asked for with the token.
 *
 * @see https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
 */
export function createGithubProvider(deps: ProviderDeps<GithubSettings>): Provider {
  const { settings, redirectUri, timeoutMs } = deps
  const { url, apiUrl } = settings

  function configuration(signal?: AbortSignal): Configuration {
    const server = {
      issuer: `${url}/login/oauth`,
      authorization_endpoint: `${url}/login/oauth/authorize`,
      token_endpoint: `${url}/login/oauth/access_token`,
    }
    const auth = ClientSecretPost(settings.clientSecret)
    const config = new Configuration(server, settings.clientId, undefined, auth)
    if (url.startsWith('http:')) allowInsecureRequests(config)
    config[customFetch] = (address, init) =>
      outwardFetch(address, init, { name: settings.title, timeoutMs, signal })
    return config
  }

  async function ask<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    token: string,
    signal: AbortSignal,
  ): Promise<z.output<Schema>> {
    const headers = {
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${token}`,
      'user-agent': 'quintet',
      'x-github-api-version': API_VERSION,
    }
    const by = { name: settings.title, timeoutMs, signal }
    const response = await outwardFetch(`${apiUrl}${path}`, { headers }, by)
    if (response.status !== 200) throw new Error(`${path} answers ${response.status}`)
    const parsed = schema.safeParse(await response.json().catch(() => undefined))
    if (!parsed.success) throw new Error(`${path} answers in another form`)
    return parsed.data
  }

  return {
    id: settings.id,
    title: settings.title,
    async authorizationUrl({ state, verifier }) {
      return buildAuthorizationUrl(configuration(), {
        redirect_uri: redirectUri,
        scope: settings.scopes,
        state,
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      })
    },
    async person(answer, { state, verifier }, signal) {
      try {
        const { access_token: token } = await authorizationCodeGrant(
          configuration(signal),
          urlOf(redirectUri, answer),
          { expectedState: state, pkceCodeVerifier: verifier },
        )
        const [{ id, login }, addresses] = await Promise.all([
          ask('/user', user, token, signal),
          ask('/user/emails?per_page=100', emails, token, signal),
        ])
        const primary = addresses.find((each) => each.primary && isAddress(each.email))
        return {
          // A login can be given up, and taken by somebody else.
          subject: String(id),
          email: primary && { address: primary.email, isVerified: primary.verified },
          username: login,
          role: undefined,
          mayJoin: isListed(primary?.email, settings),
        }
      } catch (error) {
        throw providerFault(error)
      }
    },
  }
}
