import { eq } from 'drizzle-orm'

import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { AuthTables } from '../tables.ts'

/** How exact the last use of a key is. */
const PRECISION_MS = 60_000
/** Keys whose use waits to be written down; more are seen at their next use. */
const WAITING_MAX = 1_000

/** When keys were used last: written down beside the requests, never in their way. */
export interface KeyUses {
  /** A key was used that was used last at `usedAt`, as far as the database knows. */
  note(id: string, usedAt: Date | null): void
  /** Resolves when everything that was noted is written, or given up. */
  settled(): Promise<void>
}

export function createKeyUses(deps: {
  database: Database
  tables: AuthTables
  clock: Clock
  log: Log
}): KeyUses {
  const { database, clock, log } = deps
  const { apiKeys } = deps.tables
  let waiting = new Map<string, Date>()
  let writing: Promise<void> | undefined

  async function write(): Promise<void> {
    // Those who are noted in the same turn go in one write.
    await Promise.resolve()
    while (waiting.size > 0) {
      const uses = waiting
      waiting = new Map()
      try {
        await database.write(async (tx) => {
          // In one order, or two instances would wait for each other.
          for (const [id, usedAt] of [...uses].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
            await tx.update(apiKeys).set({ usedAt }).where(eq(apiKeys.id, id))
          }
        })
      } catch (error) {
        // It is tried again at the next use.
        log.debug({ error }, 'the use of API keys could not be written down')
      }
    }
    writing = undefined
  }

  return {
    note(id, usedAt) {
      const now = clock.now()
      if (usedAt !== null && Math.abs(now - usedAt.getTime()) < PRECISION_MS) return
      if (waiting.size >= WAITING_MAX) return
      waiting.set(id, new Date(now))
      writing ??= write()
    },
    settled: async () => writing,
  }
}
