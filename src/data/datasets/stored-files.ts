import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Storage } from '../../platform/storage/storage.ts'
import { type ResultFormat, resultFormatNames } from '../results/formats.ts'
import type { Datasets, Forgotten } from './datasets.ts'
import { HANDED_UPLOADS } from './handed-uploads.ts'

const FILES = 'datasets/'
const EXPORTS = 'dataset-exports/'
/** A file is stored before the database knows of it. */
const STRAY_AFTER_MS = 86_400_000

export const fileKey = (id: string) => `${FILES}${id}.parquet`
export const exportKey = (versionId: string, format: ResultFormat) =>
  `${EXPORTS}${versionId}.${format}`

/** The space that datasets take in storage. */
export interface StoredFiles {
  /** Frees it. What can't be removed now is removed as a stray later. */
  dispose(forgotten: Forgotten): Promise<void>
  /** Removes what no version has: of uploads that a crash broke off, and exports that nobody asked for lately. */
  removeStrays(): Promise<void>
}

export function createStoredFiles(deps: {
  datasets: Datasets
  storage: Storage
  clock: Clock
  log: Log
  /** For which an export is kept. */
  exportTtlMs: number
}): StoredFiles {
  const { datasets, storage, clock, log, exportTtlMs } = deps

  async function removeOlder(prefix: string, ageMs: number, isWanted: IsWanted): Promise<void> {
    const oldest = clock.now() - ageMs
    let cursor: string | undefined
    do {
      const page = await storage.list({ prefix, ...(cursor === undefined ? {} : { cursor }) })
      const old = page.files
        .filter(({ modifiedAt }) => modifiedAt.getTime() < oldest)
        .map(({ key }) => ({ key, id: key.slice(prefix.length).split('.')[0]! }))
      const wanted = await isWanted(old.map(({ id }) => id))
      for (const { key, id } of old) if (!wanted.has(id)) await storage.delete(key)
      cursor = page.cursor
    } while (cursor !== undefined)
  }

  return {
    async dispose({ files, versions }) {
      const exports = versions.flatMap((id) =>
        resultFormatNames.map((format) => exportKey(id, format)),
      )
      try {
        for (const key of [...files.map(fileKey), ...exports]) await storage.delete(key)
      } catch (error) {
        log.warn({ error }, 'files of a dataset could not be removed now')
      }
    },
    async removeStrays() {
      await removeOlder(FILES, STRAY_AFTER_MS, (ids) => datasets.idsAmong(ids))
      await removeOlder(EXPORTS, exportTtlMs, async () => new Set())
      await removeOlder(HANDED_UPLOADS, STRAY_AFTER_MS, async () => new Set())
    },
  }
}

type IsWanted = (ids: string[]) => Promise<ReadonlySet<string>>
