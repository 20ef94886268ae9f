import type { Actor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Storage } from '../../platform/storage/storage.ts'
import { fileKey } from './held-versions.ts'
import type { LiveModels } from './live-models.ts'
import type { Models, VersionRow } from './models.ts'

/** Removes models and versions, with the space that they take. */
export interface Removals {
  /** @throws {Problem} 409 while it is loaded. */
  remove(name: string, actor: Actor): Promise<void>
  /** @returns whether there was one. @throws {Problem} 409 while traffic leads to it. */
  removeVersion(of: { name: string; version: string }, actor: Actor): Promise<boolean>
  /** Removes files that no version has: of uploads that a crash broke off, and of removals. */
  removeStrays(): Promise<void>
}

const PREFIX = 'models/'
/** As versions are written: `01` and `1e0` name none. */
const WHOLE = /^[1-9]\d*$/
/** An upload stores its file before the database knows of it. */
const STRAY_AFTER_MS = 86_400_000

export function createRemovals(deps: {
  models: Models
  live: LiveModels
  storage: Storage
  clock: Clock
}): Removals {
  const { models, live, storage, clock } = deps

  async function dispose(name: string, versions: readonly VersionRow[]): Promise<void> {
    await live.sync(name)
    for (const version of versions) await storage.delete(fileKey(version))
  }

  return {
    async remove(name, actor) {
      await dispose(name, await models.remove(name, actor))
    },
    async removeVersion({ name, version }, actor) {
      if (!WHOLE.test(version)) return false
      const removed = await models.removeVersion(name, Number(version), actor)
      if (removed === undefined) return false
      await dispose(name, [removed])
      return true
    },
    async removeStrays() {
      const oldest = clock.now() - STRAY_AFTER_MS
      let cursor: string | undefined
      do {
        const page = await storage.list({
          prefix: PREFIX,
          ...(cursor === undefined ? {} : { cursor }),
        })
        const old = page.files.filter(({ modifiedAt }) => modifiedAt.getTime() < oldest)
        const known = await models.idsAmong(old.map(({ key }) => idOf(key)))
        for (const { key } of old) if (!known.has(idOf(key))) await storage.delete(key)
        cursor = page.cursor
      } while (cursor !== undefined)
    },
  }
}

/** `models/<id>/<file>` */
const idOf = (key: string) => key.split('/')[1] ?? ''
