import { createCipheriv, createDecipheriv } from 'node:crypto'

import type { Secrets } from './secrets.ts'

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Text that the server must read again, and nobody else who sees the database. */
export interface Seal {
  /** @param owner whose it is: for another it can't be opened. */
  close(text: string, owner: string): Promise<string>
  /** @throws {Error} where it was changed, or is somebody else's. */
  open(sealed: string, owner: string): Promise<string>
}

/**
 * By AES-256-GCM (NIST SP 800-38D) with a random nonce, which is safe for 2³² texts of one purpose.
 * Who has the whole database has the key too; who has a table, a query or a row has not.
 */
export function createSeal(secrets: Secrets, purpose: string): Seal {
  return {
    async close(text, owner) {
      const nonce = crypto.getRandomValues(Buffer.alloc(NONCE_BYTES))
      const cipher = createCipheriv(CIPHER, await secrets.keyFor(purpose), nonce)
      cipher.setAAD(Buffer.from(owner))
      const encrypted = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), encrypted]).toString('base64url')
    },
    async open(sealed, owner) {
      const bytes = Buffer.from(sealed, 'base64url')
      const nonce = bytes.subarray(0, NONCE_BYTES)
      const key = await secrets.keyFor(purpose)
      // Without its length a tag of a few bytes would do, which can be guessed.
      const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
      decipher.setAAD(Buffer.from(owner))
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
      const encrypted = bytes.subarray(NONCE_BYTES + TAG_BYTES)
      return decipher.update(encrypted, undefined, 'utf8') + decipher.final('utf8')
    },
  }
}
