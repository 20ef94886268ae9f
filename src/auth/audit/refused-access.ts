import { LRUCache } from 'lru-cache'

import { actorAs, type TellRefused } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { Audit } from './audit.ts'

/** Of one principal at one endpoint, so many milliseconds apart. */
const INTERVAL_MS = 60_000
const REMEMBERED_MAX = 10_000
/** Entries that wait to be written; of more nothing is told. */
const WAITING_MAX = 100

/** Who tried what they may not: in the audit, beside the requests and never in their way. */
export interface RefusedAccess {
  tell: TellRefused
  /** Resolves when everything that was told is written, or given up. */
  settled(): Promise<void>
}

export function createRefusedAccess(deps: {
  database: Database
  audit: Audit
  clock: Clock
  log: Log
}): RefusedAccess {
  const { database, audit, clock, log } = deps
  const toldAt = new LRUCache<string, number>({ max: REMEMBERED_MAX })
  const writing = new Set<Promise<void>>()

  return {
    tell(principal, { method, path }, { why, address }) {
      const key = `${principal.id} ${method} ${path}`
      const now = clock.now()
      const isTold = Math.abs(now - (toldAt.get(key) ?? -Infinity)) < INTERVAL_MS
      if (isTold || writing.size >= WAITING_MAX) return
      toldAt.set(key, now)
      const actor = actorAs(principal, address)
      const written = database
        .write((tx) => audit.record(tx, actor, 'auth.access_refused', { method, path, why }))
        .catch((error: unknown) => log.warn({ error }, 'a refusal could not be put in the audit'))
        .finally(() => writing.delete(written))
      writing.add(written)
    },
    settled: async () => void (await Promise.all(writing)),
  }
}
