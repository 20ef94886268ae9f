import type { Clock } from '../../platform/clock.ts'
import { createGithubProvider } from './github-provider.ts'
import { createOpenIdProvider } from './openid-provider.ts'
import type { ProviderSettings } from './provider-settings.ts'
import type { Provider } from './provider.ts'

/** The providers that the operator trusts, by their id, in the order of the setting. */
export type Providers = ReadonlyMap<string, Provider>

export function createProviders(deps: {
  settings: readonly ProviderSettings[]
  publicUrl: string
  timeoutMs: number
  clock: Clock
}): Providers {
  const { publicUrl, timeoutMs, clock } = deps
  return new Map(
    deps.settings.map((settings) => {
      // Each has its own, so that one can't bring the answer of another (RFC 9700 §4.4.2).
      const redirectUri = `${publicUrl}/api/v1/auth/sso/${settings.id}/callback`
      const common = { redirectUri, timeoutMs }
      const provider =
        settings.kind === 'github'
          ? createGithubProvider({ ...common, settings })
          : createOpenIdProvider({ ...common, settings, clock })
      return [settings.id, provider]
    }),
  )
}
