import type { LocalCopy, Storage } from '../../platform/storage/storage.ts'
import { Unavailable } from '../../platform/unavailable.ts'
import { quoted } from '../engine/sql-text.ts'
import type { VersionRow } from './datasets.ts'
import { fileKey } from './stored-files.ts'

/** A version of a dataset that queries can read, until it is released. */
export interface Source {
  name: string
  /** What stands for its rows in a FROM. */
  sql: string
  paths: readonly string[]
  release(): void
}

/** Brings the files of versions to the disk of this machine. */
export interface Sources {
  /** @throws {Unavailable} while there is no space for them. */
  open(version: VersionRow, signal?: AbortSignal): Promise<Source>
}

export function createSources({ storage }: { storage: Storage }): Sources {
  return {
    async open({ datasetName: name, files, columns }, signal) {
      const copies: LocalCopy[] = []
      const release = () => copies.splice(0).forEach((copy) => copy.release())
      try {
        for (const id of files) {
          const copy = await storage.localCopy(fileKey(id), signal && { signal })
          if (copy === undefined) throw new Unavailable(`A file of ${name}`, { fault: 'is gone' })
          copies.push(copy)
        }
      } catch (error) {
        release()
        throw error
      }
      const paths = copies.map(({ path }) => path)
      return { name, sql: rowsOf(paths, columns), paths, release }
    },
  }
}

/** Several files may lack columns of each other, and have others wider. */
function rowsOf(paths: readonly string[], columns: VersionRow['columns']): string {
  const list = paths.map(quoted).join(', ')
  if (paths.length === 1) return `read_parquet([${list}])`
  // The order of columns is that of the version, whichever file says so first.
  const names = columns.map(({ name }) => `"${name.replaceAll('"', '""')}"`).join(', ')
  return `(SELECT ${names} FROM read_parquet([${list}], union_by_name = true))`
}
