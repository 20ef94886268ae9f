import { and, count, eq } from 'drizzle-orm'

import type { Reads, Writes } from '../../platform/database/database.ts'
import { hashOf } from '../sessions/refresh-tokens.ts'
import type { AuthTables } from '../tables.ts'

const CODES = 10
/** Crockford's base32: none of its letters looks like another character of it. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const GROUPS = 5
const GROUP_CHARACTERS = 5

/**
 * Codes for who has lost the other second factor, each good once. With 125 random bits they are kept as a
 * plain digest (ASVS 6.5.2 asks for 112) and can't be guessed, so that wrong ones never make others wait.
 */
export interface RecoveryCodes {
  /** Makes new ones in place of those that are left. @returns them, which are nowhere kept. */
  replace(tx: Writes, accountId: string): Promise<string[]>
  /** Takes a code: of those who try at once, one gets it. @returns whether it was one. */
  use(tx: Writes, accountId: string, code: string): Promise<boolean>
  /** How many are left. */
  left(reads: Reads, accountId: string): Promise<number>
  remove(tx: Writes, accountId: string): Promise<void>
}

export function createRecoveryCodes({ recoveryCodes }: AuthTables): RecoveryCodes {
  const remove = async (tx: Writes, accountId: string) => {
    await tx.delete(recoveryCodes).where(eq(recoveryCodes.accountId, accountId))
  }
  return {
    remove,
    async replace(tx, accountId) {
      await remove(tx, accountId)
      const codes = Array.from({ length: CODES }, newCode)
      await tx
        .insert(recoveryCodes)
        .values(codes.map((code) => ({ accountId, hash: hashOf(readCode(code)) })))
      return codes
    },
    async use(tx, accountId, code) {
      const hash = hashOf(readCode(code))
      const taken = await tx
        .delete(recoveryCodes)
        .where(and(eq(recoveryCodes.hash, hash), eq(recoveryCodes.accountId, accountId)))
        .returning({ hash: recoveryCodes.hash })
      return taken.length > 0
    },
    async left(reads, accountId) {
      const [row] = await reads
        .select({ left: count() })
        .from(recoveryCodes)
        .where(eq(recoveryCodes.accountId, accountId))
      return row?.left ?? 0
    },
  }
}

function newCode(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(GROUPS * GROUP_CHARACTERS))
  const characters = Array.from(bytes, (byte) => ALPHABET[byte % ALPHABET.length]).join('')
  return characters.match(new RegExp(`.{${GROUP_CHARACTERS}}`, 'g'))!.join('-')
}

/** A code as it was meant, whatever it was typed like. */
const readCode = (typed: string) =>
  typed.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1')
