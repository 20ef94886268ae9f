import type { Clock } from '../../platform/clock.ts'
import type { Config } from '../../platform/config.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { Administrators } from '../accounts/administrators.ts'
import type { WaysToLogIn } from '../accounts/ways-to-log-in.ts'
import type { Audit } from '../audit/audit.ts'
import type { MailedTickets } from '../mail/mailed-tickets.ts'
import type { SecondFactors } from '../second-factors/second-factors.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { AuthTables } from '../tables.ts'
import type { Tickets } from '../tickets/tickets.ts'
import { createArrivals } from './arrivals.ts'
import { createBrowserSecret } from './browser-secret.ts'
import { createIdentities } from './identities.ts'
import { createIdentityRows } from './identity-rows.ts'
import type { ProviderSettings } from './provider-settings.ts'
import { createProviders } from './providers.ts'
import { createSignOns } from './sign-ons.ts'

/** What lets people in who prove themselves elsewhere, built of what it shares. */
export function createSingleSignOnParts(deps: {
  config: Config
  /** Those that people may sign on with. */
  settings: readonly ProviderSettings[]
  database: Database
  tables: AuthTables
  tickets: Tickets
  sessions: Sessions
  administrators: Administrators
  waysToLogIn: WaysToLogIn
  secondFactors: SecondFactors
  mailedTickets: MailedTickets
  audit: Audit
  clock: Clock
  log: Log
  /** Called after a commit that changed what an account may do. */
  forget: (accountId: string) => void
}) {
  const { config, settings, clock } = deps
  const publicUrl = config.PUBLIC_URL
  const timeoutMs = config.SSO_TIMEOUT_MS
  const providers = createProviders({ settings, publicUrl, timeoutMs, clock })
  const identityRows = createIdentityRows(deps)
  const identities = createIdentities({ ...deps, identityRows })
  const arrivals = createArrivals({ ...deps, identityRows })
  return {
    providers,
    identities,
    signOns: createSignOns({ ...deps, providers, arrivals, identities }),
    browserSecret: createBrowserSecret(publicUrl),
  }
}
