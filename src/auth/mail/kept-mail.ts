import { createCipheriv, createDecipheriv } from 'node:crypto'

import { and, asc, count, desc, eq, gt, inArray, lt, lte } from 'drizzle-orm'

import type { Actor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Mail } from '../../platform/mail/mail.ts'
import type { Audit } from '../audit/audit.ts'
import type { Secrets } from '../keys/secrets.ts'
import type { AuthTables } from '../tables.ts'

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

type StoredMail = AuthTables['keptMail']['$inferSelect']
export type KeptMessage = Omit<StoredMail, 'sealedText'>

/**
 * Mail where no server takes it: messages are kept, encrypted, until they are of no use, for an
 * administrator to read and pass on.
 */
export interface KeptMail extends Mail {
  /** The newest first. */
  list(page: { before?: string | undefined; limit: number }): Promise<KeptMessage[]>
  /** The audit tells that it was shown. */
  show(id: string, actor: Actor): Promise<(KeptMessage & { text: string }) | undefined>
  removeExpired(): Promise<void>
}

export function createKeptMail(deps: {
  database: Database
  tables: AuthTables
  secrets: Secrets
  audit: Audit
  clock: Clock
  /** The oldest makes room. */
  messagesMax: number
}): KeptMail {
  const { database, secrets, audit, clock, messagesMax } = deps
  const { keptMail } = deps.tables
  const shown = {
    id: keptMail.id,
    accountId: keptMail.accountId,
    address: keptMail.address,
    subject: keptMail.subject,
    createdAt: keptMail.createdAt,
    expiresAt: keptMail.expiresAt,
  }
  const isOfUse = () => gt(keptMail.expiresAt, new Date(clock.now()))

  async function seal(id: string, text: string): Promise<string> {
    const nonce = crypto.getRandomValues(Buffer.alloc(NONCE_BYTES))
    const cipher = createCipheriv(CIPHER, await secrets.keyFor('mail'), nonce)
    cipher.setAAD(Buffer.from(id))
    const sealed = [cipher.update(text, 'utf8'), cipher.final()]
    return Buffer.concat([nonce, ...sealed, cipher.getAuthTag()]).toString('base64url')
  }

  async function unseal(id: string, sealed: string): Promise<string> {
    const bytes = Buffer.from(sealed, 'base64url')
    const key = await secrets.keyFor('mail')
    const cipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES))
    cipher.setAAD(Buffer.from(id))
    cipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    const text = cipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES))
    return Buffer.concat([text, cipher.final()]).toString('utf8')
  }

  return {
    async send({ id, to, subject, text, expiresAt }) {
      const kept = {
        accountId: to.id,
        address: to.address,
        subject,
        sealedText: await seal(id, text),
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
    async show(id, actor) {
      const [found] = await database.read
        .select()
        .from(keptMail)
        .where(and(eq(keptMail.id, id), isOfUse()))
      if (found === undefined) return undefined
      const details = { user_id: found.accountId, mail_id: id }
      await database.write((tx) => audit.record(tx, actor, 'auth.mail_shown', details))
      const { sealedText, ...message } = found
      return { ...message, text: await unseal(id, sealedText) }
    },
    async removeExpired() {
      await database.write(async (tx) => {
        await tx.delete(keptMail).where(lte(keptMail.expiresAt, new Date(clock.now())))
      })
    },
  }
}
