import { eq } from 'drizzle-orm'

import { stranger } from '../../gateway/principal.ts'
import type { Scope } from '../../gateway/scopes.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { Audit } from '../audit/audit.ts'
import { createWriteCap } from '../audit/write-cap.ts'
import type { AuthTables } from '../tables.ts'
import { type ApiKeys, type FoundApiKey, isOver, scopesOf } from './api-keys.ts'
import type { KeyUses } from './key-uses.ts'

/** A service account that proved itself by one of its keys. */
export interface Client {
  key: FoundApiKey['key']
  serviceAccount: NonNullable<FoundApiKey['serviceAccount']>
  /** What the key may be used for now. */
  scopes: ReadonlySet<Scope>
}

/** OAuth's clients: service accounts, each with its id and any of its keys as the secret. */
export interface Clients {
  /** `undefined` where it is none, in a time that does not tell whether there is one of that id. */
  authenticate(id: string, secret: string, address: string): Promise<Client | undefined>
}

export function createClients(deps: {
  database: Database
  tables: AuthTables
  apiKeys: ApiKeys
  uses: KeyUses
  audit: Audit
  clock: Clock
  log: Log
}): Clients {
  const { database, apiKeys, uses, audit, clock } = deps
  const { serviceAccounts } = deps.tables
  const mayRecord = createWriteCap(deps)

  /** Whether or not there is such an account, the work is the same. */
  async function recordRefusal(id: string, address: string): Promise<void> {
    const [known] = await database.read
      .select({ id: serviceAccounts.id })
      .from(serviceAccounts)
      .where(eq(serviceAccounts.id, id))
    if (!mayRecord(address, known !== undefined)) return
    const details = { service_account_id: known?.id ?? null }
    await database.write((tx) =>
      audit.record(tx, stranger(address), 'auth.client_refused', details),
    )
  }

  return {
    async authenticate(id, secret, address) {
      // By its digest, so that the time tells nothing of a secret; the id is none.
      const found = await apiKeys.find(secret)
      const serviceAccount = found?.serviceAccount ?? null
      const isIts = serviceAccount?.id === id
      if (found === undefined || serviceAccount === null || !isIts || isOver(found, clock.now())) {
        await recordRefusal(id, address)
        return undefined
      }
      uses.note(found.key.id, found.key.usedAt)
      return { key: found.key, serviceAccount, scopes: scopesOf(found) }
    },
  }
}
