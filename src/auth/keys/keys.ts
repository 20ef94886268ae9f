import { importJWK, type JWK } from 'jose'

import type { Clock } from '../../platform/clock.ts'
import { keyLifeAt, type StoredKey } from './key-life.ts'
import type { KeyStore } from './key-store.ts'

/** How long a key that another process removed is still used here. */
const REREAD_INTERVAL_MS = 1000

interface SigningKey {
  id: string
  key: CryptoKey
}

/**
 * The ES256 keys that tokens are signed with, as the database has them: what is remembered of it is
 * a second old at most.
 */
export interface Keys {
  /** The one that signs now, made when there is none. */
  signing(): Promise<SigningKey>
  /** By the `kid` of a token's header; `undefined` when no good token can be signed by such a key. */
  verifying(id: string): Promise<CryptoKey | undefined>
  /** RFC 7517, public parts only: keys that were used, that is used, and that will be. */
  publicSet(): Promise<{ keys: JWK[] }>
}

interface Remembered {
  rows: StoredKey[]
  /** By `kid`; imported once, since importing costs more than the signature. */
  publicKeys: Map<string, CryptoKey>
  readAtMs: number
}

export function createKeys(deps: { store: KeyStore; clock: Clock }): Keys {
  const { store, clock } = deps
  let remembered: Remembered = { rows: [], publicKeys: new Map(), readAtMs: -Infinity }
  let reading: Promise<Remembered> | undefined
  let signer: SigningKey | undefined
  let missedAtMs = -Infinity

  // Either way: a clock that was set back would have the keys remembered until it has caught up.
  const isLongAgo = (timeMs: number) => Math.abs(clock.now() - timeMs) >= REREAD_INTERVAL_MS

  async function load(): Promise<Remembered> {
    const readAtMs = clock.now()
    const rows = await store.all()
    const known = remembered.publicKeys
    const publicKeys = new Map<string, CryptoKey>()
    for (const { id, publicKey } of rows) {
      publicKeys.set(id, known.get(id) ?? (await importKey(publicKey)))
    }
    return (remembered = { rows, publicKeys, readAtMs })
  }
  /** Who asks meanwhile waits for the same answer. */
  const read = () =>
    (reading ??= load().finally(() => {
      reading = undefined
    }))
  const current = async () => (isLongAgo(remembered.readAtMs) ? read() : remembered)

  /** It may be one that another process has just made; a flood of made-up ones must not be a flood of reads. */
  async function lookAgain(seen: Remembered, isFresh: boolean): Promise<Remembered> {
    if (!isLongAgo(missedAtMs)) return reading ?? seen
    missedAtMs = clock.now()
    if (isFresh) return seen
    try {
      return await read()
    } catch (error) {
      missedAtMs = -Infinity
      throw error
    }
  }

  async function lifeNow() {
    let { rows } = await current()
    while (rows.length === 0) {
      await store.ensure()
      rows = (await read()).rows
    }
    return keyLifeAt(rows, clock.now())
  }

  return {
    async signing() {
      const { id, privateKey } = (await lifeNow()).signing!
      if (signer?.id !== id) signer = { id, key: await importKey(privateKey) }
      return signer
    },
    async verifying(id) {
      const before = remembered
      let seen = await current()
      if (!seen.publicKeys.has(id)) seen = await lookAgain(seen, seen !== before)
      const isAccepted = keyLifeAt(seen.rows, clock.now()).accepted.some((key) => key.id === id)
      return isAccepted ? seen.publicKeys.get(id) : undefined
    },
    async publicSet() {
      const keys = (await lifeNow()).accepted.map(({ id, algorithm, publicKey }) => ({
        ...publicKey,
        kid: id,
        alg: algorithm,
        use: 'sig',
      }))
      return { keys }
    },
  }
}

async function importKey(jwk: JWK): Promise<CryptoKey> {
  return (await importJWK(jwk, 'ES256')) as CryptoKey
}
