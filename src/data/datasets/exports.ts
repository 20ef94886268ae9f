import type { OpenFile, Storage } from '../../platform/storage/storage.ts'
import type { Queries } from '../queries/queries.ts'
import type { ResultFormat } from '../results/formats.ts'
import type { VersionRow } from './datasets.ts'
import type { Sources } from './sources.ts'
import { exportKey, fileKey } from './stored-files.ts'

/** Versions of datasets as files, each made once: parts of one are asked for again and again. */
export interface Exports {
  /** @returns the key of the file in storage. @throws {Problem} */
  keyOf(version: VersionRow, format: ResultFormat, signal: AbortSignal): Promise<string>
  /** To be streamed to its end, or closed. @throws {Problem} */
  open(version: VersionRow, format: ResultFormat, signal: AbortSignal): Promise<OpenFile>
}

export function createExports(deps: {
  queries: Queries
  sources: Sources
  storage: Storage
  limits: { bytesMax: number; timeoutMs: number }
}): Exports {
  const { queries, sources, storage, limits } = deps
  /** Those that are being made, by key: who asks meanwhile waits for the same one. */
  const making = new Map<string, Promise<void>>()

  async function make(version: VersionRow, format: ResultFormat, key: string): Promise<void> {
    const source = await sources.open(version)
    try {
      const query = { sql: `SELECT * FROM ${source.sql}`, sources: [source], format }
      await queries.run(query, limits, async ({ bytes }, path) => {
        await storage.put(key, { path, isUnique: true }, { bytesMax: bytes })
      })
    } finally {
      source.release()
    }
  }

  /** What is made is for whoever asks next, too: that one caller gives up does not end it. */
  async function made(version: VersionRow, format: ResultFormat, key: string): Promise<void> {
    let work = making.get(key)
    if (work === undefined) {
      work = make(version, format, key).finally(() => making.delete(key))
      making.set(key, work)
    }
    await work
  }

  const keyOf: Exports['keyOf'] = async (version, format, signal) => {
    const [first] = version.files
    // It is that file already.
    if (format === 'parquet' && version.files.length === 1) return fileKey(first!)
    const key = exportKey(version.id, format)
    if ((await storage.stat(key, { signal })) === undefined) await made(version, format, key)
    return key
  }

  return {
    keyOf,
    async open(version, format, signal) {
      const key = await keyOf(version, format, signal)
      const opened = await storage.open(key, { signal })
      if (opened === undefined) throw new Error(`${key} went as soon as it was there`)
      return opened
    },
  }
}
