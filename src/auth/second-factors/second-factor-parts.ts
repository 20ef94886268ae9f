import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { WaysToLogIn } from '../accounts/ways-to-log-in.ts'
import type { Audit } from '../audit/audit.ts'
import { createSeal } from '../keys/seal.ts'
import type { Secrets } from '../keys/secrets.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Throttle } from '../sessions/throttle.ts'
import type { AuthTables } from '../tables.ts'
import type { Tickets } from '../tickets/tickets.ts'
import { createPasskeyCeremonies } from './passkey-ceremonies.ts'
import { createPasskeyLogins } from './passkey-logins.ts'
import { createPasskeyRegistrations } from './passkey-registrations.ts'
import { createPasskeys } from './passkeys.ts'
import { createRecoveryCodes } from './recovery-codes.ts'
import { createSecondFactorLogins } from './second-factor-logins.ts'
import { createSecondFactorTickets } from './second-factor-tickets.ts'
import { createSecondFactors } from './second-factors.ts'
import { createTotp } from './totp.ts'

/** What people show beside their password, or in its place, built of what it shares. */
export function createSecondFactorParts(deps: {
  database: Database
  tables: AuthTables
  sessions: Sessions
  tickets: Tickets
  secrets: Secrets
  waysToLogIn: WaysToLogIn
  throttle: Throttle
  audit: Audit
  clock: Clock
  log: Log
  /** To whose host passkeys are bound. */
  publicUrl: string
  /** Called after a commit that changed what an account may do. */
  forget: (accountId: string) => void
}) {
  const totp = createTotp({ ...deps, seal: createSeal(deps.secrets, 'totp') })
  const recoveryCodes = createRecoveryCodes(deps.tables)
  const passkeys = createPasskeys(deps)
  const ceremonies = createPasskeyCeremonies({ ...deps, passkeys })
  const parts = { ...deps, totp, recoveryCodes, passkeys, ceremonies }
  const secondFactors = createSecondFactors(parts)
  const secondFactorTickets = createSecondFactorTickets(deps)
  return {
    ceremonies,
    secondFactors,
    secondFactorTickets,
    secondFactorLogins: createSecondFactorLogins({ ...parts, secondFactors, secondFactorTickets }),
    passkeyRegistrations: createPasskeyRegistrations({ ceremonies, secondFactors }),
    passkeyLogins: createPasskeyLogins(parts),
  }
}
