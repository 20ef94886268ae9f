import type { Clock } from '../../platform/clock.ts'
import type { Config } from '../../platform/config.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { PersonRights } from '../accounts/person-rights.ts'
import type { Audit } from '../audit/audit.ts'
import type { Grants } from '../grants/grants.ts'
import type { Keys } from '../keys/keys.ts'
import type { Tokens } from '../sessions/tokens.ts'
import type { AuthTables } from '../tables.ts'
import { createApiKeyTokens } from './api-key-tokens.ts'
import { createApiKeys } from './api-keys.ts'
import { createClientTokens } from './client-tokens.ts'
import { createClients } from './clients.ts'
import { createKeyUses } from './key-uses.ts'
import { createServiceAccounts } from './service-accounts.ts'

/** What programs prove themselves with, built of what they share. */
export function createMachineParts(deps: {
  config: Config
  database: Database
  tables: AuthTables
  tokens: Tokens
  keys: Keys
  rights: PersonRights
  grants: Grants
  audit: Audit
  clock: Clock
  log: Log
  /** Called after a commit that changed what somebody may do. */
  forget: (identityId: string) => void
}) {
  const { config, clock } = deps
  const uses = createKeyUses(deps)
  const apiKeys = createApiKeys({ ...deps, perOwnerMax: config.API_KEYS_PER_OWNER_MAX })
  return {
    apiKeys,
    keyUses: uses,
    readApiKey: createApiKeyTokens({ apiKeys, uses, clock }),
    clientTokens: createClientTokens({ ...deps, ttlSeconds: config.CLIENT_TOKEN_TTL_SECONDS }),
    clients: createClients({ ...deps, apiKeys, uses }),
    serviceAccounts: createServiceAccounts(deps),
  }
}
