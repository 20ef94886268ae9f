import type { Log } from '../../platform/log.ts'
import type { Storage } from '../../platform/storage/storage.ts'
import type { ServedModel } from '../serving/served-model.ts'
import type { Loader } from './loader.ts'
import type { VersionRow } from './models.ts'

/** A version in memory, with the copy of its file on this machine. */
interface HeldVersion {
  row: VersionRow
  served: ServedModel
  /** Takes it out of the threads, and lets the copy of its file go. */
  unload: () => Promise<void>
}

/** The versions that this process has in memory, each once. */
export interface HeldVersions {
  /** Loads it, unless it is there. @throws {Error} with why it does not load. */
  hold(row: VersionRow): Promise<ServedModel>
  get(id: string): ServedModel | undefined
  /** Those of a model. */
  of(name: string): ServedModel[]
  /** Gives its memory back once nobody uses it any more. */
  letGo(served: ServedModel): void
}

export function createHeldVersions(deps: {
  storage: Storage
  loader: Loader
  log: Log
}): HeldVersions {
  const { storage, loader, log } = deps
  const held = new Map<string, HeldVersion>()

  async function unloadIdle({ served, unload }: HeldVersion): Promise<void> {
    // Whoever was handed it a moment ago has borrowed it by then.
    await new Promise((resolve) => setImmediate(resolve))
    await served.idle()
    await unload().catch((error: unknown) => log.warn({ error }, 'a model did not unload'))
  }

  return {
    async hold(row) {
      const already = held.get(row.id)
      if (already !== undefined) return already.served
      const copy = await storage.localCopy(fileKey(row))
      if (copy === undefined) throw new Error('its file is not in the storage')
      try {
        const { served, unload } = await loader.load({ ...row, path: copy.path })
        held.set(row.id, { row, served, unload: () => unload().finally(() => copy.release()) })
        return served
      } catch (error) {
        copy.release()
        throw error
      }
    },
    get: (id) => held.get(id)?.served,
    of: (name) =>
      [...held.values()].filter(({ row }) => row.modelName === name).map(({ served }) => served),
    letGo({ id }) {
      const found = held.get(id)
      held.delete(id)
      if (found !== undefined) void unloadIdle(found)
    },
  }
}

export const fileKey = ({ id, manifest }: Pick<VersionRow, 'id' | 'manifest'>) =>
  `models/${id}/${manifest.file}`
