import { eq } from 'drizzle-orm'

import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import { foldName } from '../accounts/names.ts'
import type { AuthTables } from '../tables.ts'

const WINDOW_MS = 3_600_000

/**
 * How many letters of a kind an account, and an address whatever the account, gets in an hour, so that
 * nobody floods a mailbox in our name. Each kind has its own: who uses up one for somebody else takes no other from them. And of links
 * to reset a password, those that came are good for the rest of the hour.
 */
export interface MailQuota {
  /** Within a write. @returns whether one more may go. */
  take(tx: Writes, letter: string, to: { id: string; address: string | null }): Promise<boolean>
}

export function createMailQuota(deps: {
  database: Database
  tables: AuthTables
  clock: Clock
  lettersMax: number
}): MailQuota {
  const { database, clock, lettersMax } = deps
  const { throttles } = deps.tables

  async function takeOf(tx: Writes, key: string): Promise<boolean> {
    const now = clock.now()
    const fresh = { count: 0, expiresAt: new Date(now + WINDOW_MS) }
    await tx
      .insert(throttles)
      .values({ key, ...fresh, isTold: false })
      .onConflictDoNothing()
    const [row] = await database.lock(tx.select().from(throttles).where(eq(throttles.key, key)))
    const current = row!.expiresAt.getTime() <= now ? fresh : row!
    if (current.count >= lettersMax) return false
    const { count, expiresAt } = current
    await tx
      .update(throttles)
      .set({ count: count + 1, expiresAt })
      .where(eq(throttles.key, key))
    return true
  }

  return {
    async take(tx, letter, { id, address }) {
      if (!(await takeOf(tx, `mail ${letter} ${id}`))) return false
      if (address === null) return true
      // By its digest: an address may be long, and is nobody's business here.
      const digest = new Bun.CryptoHasher('sha256').update(foldName(address)).digest('base64url')
      return takeOf(tx, `mail ${letter} ${digest}`)
    },
  }
}
