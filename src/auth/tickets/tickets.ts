import { and, eq, gt, lt, lte, sql } from 'drizzle-orm'

import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import { hashOf } from '../sessions/refresh-tokens.ts'
import type { AuthTables } from '../tables.ts'

const PREFIX = 'qt_'
const SECRET_BYTES = 32
const SHAPE = /^qt_[\w-]{43}$/

export type StoredTicket = AuthTables['tickets']['$inferSelect']
/** What a ticket is good for. One for another purpose is none. */
type TicketPurpose = StoredTicket['purpose']

/**
 * Secrets that are good for one thing, once, for a while: what stands between two steps of something
 * that somebody does. In the database each is a hash.
 */
export interface Tickets {
  /** @returns the secret, which is nowhere kept. */
  issue(
    tx: Writes,
    ticket: {
      purpose: TicketPurpose
      /** Whose it is, where that is known. */
      accountId: string | null
      data?: object
      ttlSeconds: number
    },
  ): Promise<string>
  /** Looks at a ticket and leaves it good; `undefined` where it is none, or not any more. */
  read(purpose: TicketPurpose, secret: string): Promise<StoredTicket | undefined>
  /**
   * Counts an attempt at what a ticket is good for, and leaves it good: for so many attempts, of all
   * that come at once too. `undefined` where it is none, or its attempts are used up.
   */
  attempt(
    tx: Writes,
    purpose: TicketPurpose,
    secret: string,
    attemptsMax: number,
  ): Promise<StoredTicket | undefined>
  /** Takes a ticket: of those who try at once, one gets it. */
  redeem(tx: Writes, purpose: TicketPurpose, secret: string): Promise<StoredTicket | undefined>
  /** Voids an account's tickets of a purpose. */
  revoke(tx: Writes, purpose: TicketPurpose, accountId: string): Promise<void>
  removeExpired(): Promise<void>
}

export function createTickets(deps: {
  database: Database
  tables: AuthTables
  clock: Clock
}): Tickets {
  const { database, clock } = deps
  const { tickets } = deps.tables

  const isGood = (purpose: TicketPurpose, secret: string) =>
    and(
      eq(tickets.hash, hashOf(secret)),
      eq(tickets.purpose, purpose),
      gt(tickets.expiresAt, new Date(clock.now())),
    )

  return {
    async issue(tx, { purpose, accountId, data, ttlSeconds }) {
      const bytes = crypto.getRandomValues(Buffer.alloc(SECRET_BYTES))
      const secret = PREFIX + bytes.toString('base64url')
      await tx.insert(tickets).values({
        hash: hashOf(secret),
        purpose,
        accountId,
        data: data ?? {},
        expiresAt: new Date(clock.now() + ttlSeconds * 1000),
      })
      return secret
    },
    async read(purpose, secret) {
      if (!SHAPE.test(secret)) return undefined
      const [found] = await database.read.select().from(tickets).where(isGood(purpose, secret))
      return found
    },
    async attempt(tx, purpose, secret, attemptsMax) {
      if (!SHAPE.test(secret)) return undefined
      const before = sql`coalesce(${tickets.attempts}, 0)`
      const [tried] = await tx
        .update(tickets)
        .set({ attempts: sql`${before} + 1` })
        .where(and(isGood(purpose, secret), lt(before, attemptsMax)))
        .returning()
      return tried
    },
    async redeem(tx, purpose, secret) {
      if (!SHAPE.test(secret)) return undefined
      const [taken] = await tx.delete(tickets).where(isGood(purpose, secret)).returning()
      return taken
    },
    async revoke(tx, purpose, accountId) {
      await tx
        .delete(tickets)
        .where(and(eq(tickets.purpose, purpose), eq(tickets.accountId, accountId)))
    },
    async removeExpired() {
      await database.write(async (tx) => {
        await tx.delete(tickets).where(lte(tickets.expiresAt, new Date(clock.now())))
      })
    },
  }
}
