import { desc } from 'drizzle-orm'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'

import type { Clock } from '../platform/clock.ts'
import type { Database } from '../platform/database/database.ts'
import type { AuthTables } from './tables.ts'

/** An unknown key may be one that another process made; a flood of made-up ones must not be a flood of reads. */
const REREAD_INTERVAL_MS = 1000

interface SigningKey {
  id: string
  key: CryptoKey
}

/** The ES256 keys that tokens are signed with; they live in the database. */
export interface Keys {
  /** The newest key, made when there is none. */
  signing(): Promise<SigningKey>
  /** By the `kid` of a token's header; `undefined` when there is no such key. */
  verifying(id: string): Promise<CryptoKey | undefined>
  /** RFC 7517, public parts only. */
  publicSet(): Promise<{ keys: JWK[] }>
}

export function createKeys(deps: { database: Database; tables: AuthTables; clock: Clock }): Keys {
  const { database, clock } = deps
  const { signingKeys } = deps.tables
  const verifying = new Map<string, CryptoKey>()
  let readAt = -Infinity
  let reading: Promise<void> | undefined
  let signing: Promise<SigningKey> | undefined

  const stored = () => database.read.select().from(signingKeys).orderBy(desc(signingKeys.createdAt))

  async function loadSigning(): Promise<SigningKey> {
    const [row] = await stored()
    const { id, privateKey } = row ?? (await create())
    return { id, key: await importKey(privateKey) }
  }

  async function create(): Promise<typeof signingKeys.$inferSelect> {
    const pair = await generateKeyPair('ES256', { extractable: true })
    const publicKey = await exportJWK(pair.publicKey)
    const key = {
      id: await calculateJwkThumbprint(publicKey),
      algorithm: 'ES256' as const,
      publicKey,
      privateKey: await exportJWK(pair.privateKey),
      createdAt: new Date(clock.now()),
    }
    await database.write(async (tx) => {
      await tx.insert(signingKeys).values(key)
    })
    return key
  }

  async function readVerifying(): Promise<void> {
    readAt = clock.now()
    try {
      for (const row of await stored()) verifying.set(row.id, await importKey(row.publicKey))
    } catch (error) {
      readAt = -Infinity
      throw error
    }
  }

  const newest = () =>
    (signing ??= loadSigning().catch((error: unknown) => {
      // The next one who asks tries again.
      signing = undefined
      throw error
    }))

  return {
    signing: newest,
    async verifying(id) {
      if (!verifying.has(id)) {
        if (clock.now() - readAt >= REREAD_INTERVAL_MS) reading = readVerifying()
        // Whoever asks meanwhile waits for the same answer.
        await reading
      }
      return verifying.get(id)
    },
    async publicSet() {
      await newest()
      const keys = (await stored()).map(({ id, algorithm, publicKey }) => ({
        ...publicKey,
        kid: id,
        alg: algorithm,
        use: 'sig',
      }))
      return { keys }
    },
  }
}

/** Imported once: importing it at each use costs more than the signature. */
async function importKey(jwk: JWK): Promise<CryptoKey> {
  return (await importJWK(jwk, 'ES256')) as CryptoKey
}
