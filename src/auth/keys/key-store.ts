import { inArray } from 'drizzle-orm'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'

import { SERVER } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import type { AuthTables } from '../tables.ts'
import {
  activeFromMs,
  type KeyLife,
  keyLifeAt,
  PUBLISHED_BEFORE_USE_MS,
  type StoredKey,
} from './key-life.ts'

/** The keys in the database. Of processes that change them at the same moment one does, and the others see it. */
export interface KeyStore {
  /** In no order. */
  all(): Promise<StoredKey[]>
  /** Makes a key when there is none, which signs at once. */
  ensure(): Promise<void>
  /** Makes the next key, which signs once everyone had time to hear of it. @returns the one that waits where there is one. */
  rotate(): Promise<StoredKey>
  /** Removes all keys and makes one, which signs at once: whatever was signed before is void. */
  replaceAll(): Promise<StoredKey>
  /** Makes the next key when it is time, and removes those whose last token has died. */
  maintain(): Promise<void>
}

export function createKeyStore(deps: {
  database: Database
  tables: AuthTables
  audit: Pick<Audit, 'record'>
  clock: Clock
  /** How long a key signs. */
  rotationSeconds: number
}): KeyStore {
  const { database, audit, clock } = deps
  const { signingKeys } = deps.tables

  /** `work` is handed the keys as they are, which nobody else changes until the commit. */
  const change = <T>(work: (tx: Writes, life: KeyLife) => Promise<T>): Promise<T> =>
    database.write(async (tx) => {
      await database.exclude(tx, 'signing keys')
      return work(tx, keyLifeAt(await tx.select().from(signingKeys), clock.now()))
    })

  async function insert(tx: Writes, activeFrom: number): Promise<StoredKey> {
    const pair = await generateKeyPair('ES256', { extractable: true })
    const publicKey = await exportJWK(pair.publicKey)
    const key = {
      id: await calculateJwkThumbprint(publicKey),
      algorithm: 'ES256' as const,
      publicKey,
      privateKey: await exportJWK(pair.privateKey),
      createdAt: new Date(clock.now()),
      activeFrom: new Date(activeFrom),
    }
    await tx.insert(signingKeys).values(key)
    return key
  }
  /** In the place of one that there was: the first of all takes nobody's. */
  async function succeed(tx: Writes, activeFrom: number, isCompromised: boolean) {
    const key = await insert(tx, activeFrom)
    const details = { key_id: key.id, is_compromised: isCompromised }
    await audit.record(tx, SERVER, 'auth.keys_rotated', details)
    return key
  }
  const insertNext = (tx: Writes) => succeed(tx, clock.now() + PUBLISHED_BEFORE_USE_MS, false)

  return {
    all: () => database.read.select().from(signingKeys),
    async ensure() {
      await change(async (tx, { newest }) => {
        if (newest === undefined) await insert(tx, clock.now())
      })
    },
    rotate: () =>
      change(async (tx, { newest }) => {
        if (newest === undefined) return insert(tx, clock.now())
        return activeFromMs(newest) > clock.now() ? newest : insertNext(tx)
      }),
    replaceAll: () =>
      change(async (tx) => {
        await tx.delete(signingKeys)
        return succeed(tx, clock.now(), true)
      }),
    async maintain() {
      await change(async (tx, { dead, newest }) => {
        const ids = dead.map(({ id }) => id)
        if (ids.length > 0) await tx.delete(signingKeys).where(inArray(signingKeys.id, ids))
        if (newest === undefined) return
        const retiresAt = activeFromMs(newest) + deps.rotationSeconds * 1000
        if (clock.now() >= retiresAt - PUBLISHED_BEFORE_USE_MS) await insertNext(tx)
      })
    },
  }
}
