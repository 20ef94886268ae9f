import { and, eq, isNotNull } from 'drizzle-orm'

import type { Clock } from '../../platform/clock.ts'
import type { Database, Reads, Writes } from '../../platform/database/database.ts'
import type { Seal } from '../keys/seal.ts'
import type { AuthTables } from '../tables.ts'
import { newTotpSecret, totpStepOf } from './totp-codes.ts'

/** How long a secret waits for its first code. */
export const TOTP_SETUP_SECONDS = 600
/** Wrong codes in a row after which each costs time. */
const FREE_FAILURES = 5
const FIRST_WAIT_MS = 30_000
const WAIT_MS_MAX = 3_600_000
const NO_STEP = -1

type StoredTotp = AuthTables['totp']['$inferSelect']

/**
 * The codes of authenticator apps (RFC 6238), each good once. Everything here is done within a write
 * that has locked the account.
 */
export interface Totp {
  isEnabled(reads: Reads, accountId: string): Promise<boolean>
  /** Makes a secret that counts once it is confirmed; one that was not is replaced. @returns it, in base32. */
  begin(tx: Writes, accountId: string): Promise<string>
  /** Enables it by the first code. `undefined` where none has begun, or too long ago. */
  confirm(tx: Writes, accountId: string, code: string): Promise<boolean | undefined>
  /**
   * How long no code is looked at, after many wrong ones: six digits can be guessed by who may try often
   * enough. It doubles up to an hour and ends with the next right code.
   */
  waitMs(tx: Writes, accountId: string): Promise<number>
  /** Takes a code, unless it or a later one was taken. @returns whether it was right. */
  use(tx: Writes, accountId: string, code: string): Promise<boolean>
  /** @returns whether it was enabled. */
  remove(tx: Writes, accountId: string): Promise<boolean>
}

export function createTotp(deps: {
  database: Database
  tables: AuthTables
  seal: Seal
  clock: Clock
}): Totp {
  const { database, seal, clock } = deps
  const { totp } = deps.tables

  const isEnabled = (accountId: string) =>
    and(eq(totp.accountId, accountId), isNotNull(totp.confirmedAt))

  async function lock(tx: Writes, accountId: string): Promise<StoredTotp | undefined> {
    const found = tx.select().from(totp).where(eq(totp.accountId, accountId))
    const [stored] = await database.lock(found)
    return stored
  }

  /** RFC 6238, section 5.2: a code that was taken is not taken again; nor is one from before it. */
  async function nextStep(stored: StoredTotp, code: string): Promise<number | undefined> {
    const secret = await seal.open(stored.secret, stored.accountId)
    const step = totpStepOf(secret, code, clock.now())
    return step !== undefined && step > stored.lastStep ? step : undefined
  }

  return {
    async isEnabled(reads, accountId) {
      const rows = await reads.select({ id: totp.accountId }).from(totp).where(isEnabled(accountId))
      return rows.length > 0
    },
    async begin(tx, accountId) {
      const secret = newTotpSecret()
      await tx.delete(totp).where(eq(totp.accountId, accountId))
      await tx.insert(totp).values({
        accountId,
        secret: await seal.close(secret, accountId),
        createdAt: new Date(clock.now()),
        lastStep: NO_STEP,
        failures: 0,
      })
      return secret
    },
    async confirm(tx, accountId, code) {
      const stored = await lock(tx, accountId)
      const now = clock.now()
      if (stored === undefined || stored.confirmedAt !== null) return undefined
      if (now - stored.createdAt.getTime() >= TOTP_SETUP_SECONDS * 1000) return undefined
      const lastStep = await nextStep(stored, code)
      if (lastStep === undefined) return false
      const confirmedAt = new Date(now)
      await tx.update(totp).set({ confirmedAt, lastStep }).where(eq(totp.accountId, accountId))
      return true
    },
    async waitMs(tx, accountId) {
      const stored = await lock(tx, accountId)
      return Math.max(0, (stored?.waitUntil?.getTime() ?? 0) - clock.now())
    },
    async use(tx, accountId, code) {
      const stored = await lock(tx, accountId)
      if (stored === undefined || stored.confirmedAt === null) return false
      const step = await nextStep(stored, code)
      const failures = stored.failures + 1
      await tx
        .update(totp)
        .set(
          step === undefined
            ? { failures, waitUntil: waitUntil(failures, clock.now()) }
            : { failures: 0, waitUntil: null, lastStep: step },
        )
        .where(eq(totp.accountId, accountId))
      return step !== undefined
    },
    async remove(tx, accountId) {
      const [removed] = await tx.delete(totp).where(eq(totp.accountId, accountId)).returning()
      return removed !== undefined && removed.confirmedAt !== null
    },
  }
}

function waitUntil(failures: number, now: number): Date | null {
  if (failures < FREE_FAILURES) return null
  const wait = Math.min(FIRST_WAIT_MS * 2 ** (failures - FREE_FAILURES), WAIT_MS_MAX)
  return new Date(now + wait)
}
