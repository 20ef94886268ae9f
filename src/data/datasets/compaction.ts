import type { Clock } from '../../platform/clock.ts'
import type { Storage } from '../../platform/storage/storage.ts'
import type { Queries } from '../queries/queries.ts'
import type { Datasets, VersionRow } from './datasets.ts'
import type { Sources } from './sources.ts'
import { fileKey, type StoredFiles } from './stored-files.ts'

/** So many files, or so long after the first of them, a version is closed. */
const OPEN_FILES_MAX = 32
const OPEN_MS = 3_600_000

/** Makes one file of what events have added to a version, and closes it. */
export interface Compaction {
  run(): Promise<void>
}

export function createCompaction(deps: {
  datasets: Datasets
  stored: StoredFiles
  sources: Sources
  queries: Queries
  storage: Storage
  clock: Clock
  limits: { bytesMax: number; timeoutMs: number }
}): Compaction {
  const { datasets, stored, sources, queries, storage, clock, limits } = deps

  const isRipe = ({ openFiles, createdAt }: VersionRow) =>
    openFiles! >= OPEN_FILES_MAX || clock.now() - createdAt.getTime() >= OPEN_MS

  async function compact(version: VersionRow): Promise<void> {
    const files = version.files.slice(-version.openFiles!)
    const id = Bun.randomUUIDv7()
    const source = await sources.open({ ...version, files })
    try {
      const query = { sql: `SELECT * FROM ${source.sql}`, sources: [source] }
      const bytes = await queries.run(
        { ...query, format: 'parquet' },
        limits,
        async (result, path) => {
          const content = { path, isUnique: true }
          await storage.put(fileKey(id), content, { bytesMax: result.bytes })
          return result.bytes
        },
      )
      const forgotten = await datasets.close(version, [{ id, bytes }])
      // Meanwhile more has joined it: the next time comes.
      if (forgotten === undefined) await storage.delete(fileKey(id))
      else await stored.dispose(forgotten)
    } finally {
      source.release()
    }
  }

  return {
    async run() {
      for (const version of (await datasets.open()).filter(isRipe)) await compact(version)
    },
  }
}
