import { eq } from 'drizzle-orm'

import type { Clock } from '../../platform/clock.ts'
import type { Database, Reads, Writes } from '../../platform/database/database.ts'
import type { Storage } from '../../platform/storage/storage.ts'
import { inferenceTables } from '../tables.ts'
import { fileKey } from './held-versions.ts'
import type { ModelEntry } from './model-folder.ts'
import type { Models } from './models.ts'

/** Models that lie in a folder become models like all others, once: who removes one has removed it. */
export interface Adoption {
  /** Those that are not adopted yet. */
  candidates(entries: readonly ModelEntry[]): Promise<ModelEntry[]>
  /** A folder's number is kept where it is free; what was changed in place becomes the next version. */
  adopt(entry: ModelEntry, ownerId: string | null): Promise<void>
}

const WHOLE = /^[1-9]\d{0,8}$/

export function createAdoption(deps: {
  database: Database
  storage: Storage
  models: Models
  clock: Clock
}): Adoption {
  const { database, storage, models, clock } = deps
  const { adoptedModels } = inferenceTables(database.kit)

  const isAdopted = async (reads: Reads, digest: string) =>
    (await reads.select().from(adoptedModels).where(eq(adoptedModels.digest, digest))).length > 0

  /** Another instance may have done the same since this one looked, and somebody removed it since. */
  async function claim(tx: Writes, entry: ModelEntry): Promise<boolean> {
    const digest = digestOf(entry)
    if (await isAdopted(tx, digest)) return false
    const adoptedAt = new Date(clock.now())
    const modelName = entry.manifest.name
    await tx.insert(adoptedModels).values({ digest, modelName, adoptedAt })
    return true
  }

  return {
    async candidates(entries) {
      const adopted = await Promise.all(
        entries.map((entry) => isAdopted(database.read, digestOf(entry))),
      )
      return entries.filter((_, index) => !adopted[index])
    },
    async adopt(entry, ownerId) {
      const { manifest, path } = entry
      const id = Bun.randomUUIDv7()
      const { name } = manifest
      const key = fileKey({ id, manifest })
      // Nobody uploads it, so no limit of uploads is meant.
      const content = await Bun.file(path).bytes()
      const { bytes } = await storage.put(key, content, { bytesMax: content.byteLength })
      const number = WHOLE.test(manifest.version) ? Number(manifest.version) : undefined
      const added = { id, name, manifest, digest: entry.digest, bytes, examples: 0, number }
      const isNew = await models.adoptVersion(added, { ownerId, team: 'read' }, (tx) =>
        claim(tx, entry),
      )
      if (!isNew) await storage.delete(key)
    },
  }
}

/** Of all that a folder says. */
const digestOf = ({ manifest, digest }: ModelEntry) =>
  new Bun.CryptoHasher('sha256')
    .update(`${JSON.stringify(manifest)}\n${digest}`)
    .digest('base64url')
