import { and, asc, count, desc, eq, gt, inArray, lt, lte } from 'drizzle-orm'

import type { Actor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Mail } from '../../platform/mail/mail.ts'
import type { Allow } from '../accounts/outranking.ts'
import type { Audit } from '../audit/audit.ts'
import type { Seal } from '../keys/seal.ts'
import type { AuthTables } from '../tables.ts'

type StoredMail = AuthTables['keptMail']['$inferSelect']
export type KeptMessage = Omit<StoredMail, 'sealedText'>

/**
 * Mail where no server takes it: messages are kept, encrypted, until they are of no use, for an
 * administrator to read and pass on.
 */
export interface KeptMail extends Mail {
  /** The newest first. */
  list(page: { before?: string | undefined; limit: number }): Promise<KeptMessage[]>
  /**
   * The audit tells that it was shown.
   *
   * @param allow called with the account that its link lets in, before.
   */
  show(
    id: string,
    actor: Actor,
    allow?: Allow,
  ): Promise<(KeptMessage & { text: string }) | undefined>
  removeExpired(): Promise<void>
}

export function createKeptMail(deps: {
  database: Database
  tables: AuthTables
  seal: Seal
  audit: Audit
  clock: Clock
  /** The oldest makes room. */
  messagesMax: number
}): KeptMail {
  const { database, seal, audit, clock, messagesMax } = deps
  const { accounts, keptMail } = deps.tables
  const shown = {
    id: keptMail.id,
    accountId: keptMail.accountId,
    address: keptMail.address,
    subject: keptMail.subject,
    createdAt: keptMail.createdAt,
    expiresAt: keptMail.expiresAt,
  }
  const isOfUse = () => gt(keptMail.expiresAt, new Date(clock.now()))

  return {
    async send({ id, to, subject, text, expiresAt }) {
      const kept = {
        accountId: to.id,
        address: to.address,
        subject,
        sealedText: await seal.close(text, id),
        createdAt: new Date(clock.now()),
        expiresAt,
      }
      await database.write(async (tx) => {
        await database.exclude(tx, 'kept mail')
        // A job that is done again, since its process died, brings the same message.
        await tx.delete(keptMail).where(eq(keptMail.id, id))
        await tx.insert(keptMail).values({ id, ...kept })
        const [row] = await tx.select({ n: count() }).from(keptMail)
        const surplus = row!.n - messagesMax
        if (surplus <= 0) return
        const oldest = tx
          .select({ id: keptMail.id })
          .from(keptMail)
          .orderBy(asc(keptMail.createdAt), asc(keptMail.id))
          .limit(surplus)
        await tx.delete(keptMail).where(inArray(keptMail.id, oldest))
      })
    },
    async list({ before, limit }) {
      return database.read
        .select(shown)
        .from(keptMail)
        .where(and(isOfUse(), before === undefined ? undefined : lt(keptMail.id, before)))
        .orderBy(desc(keptMail.id))
        .limit(limit)
    },
    async show(id, actor, allow) {
      const [found] = await database.read
        .select()
        .from(keptMail)
        .where(and(eq(keptMail.id, id), isOfUse()))
      if (found === undefined) return undefined
      const [account] = await database.read
        .select({ id: accounts.id, role: accounts.role })
        .from(accounts)
        .where(eq(accounts.id, found.accountId))
      // The links of an account that is gone let nobody in.
      if (account !== undefined) allow?.(account)
      const details = { user_id: found.accountId, mail_id: id }
      await database.write((tx) => audit.record(tx, actor, 'auth.mail_shown', details))
      const { sealedText, ...message } = found
      return { ...message, text: await seal.open(sealedText, id) }
    },
    async removeExpired() {
      await database.write(async (tx) => {
        await tx.delete(keptMail).where(lte(keptMail.expiresAt, new Date(clock.now())))
      })
    },
  }
}
