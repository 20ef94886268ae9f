import type { Access, TeamAccess } from '../../gateway/access.ts'
import type { Actor, Identity } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import { problems } from '../../gateway/problems.ts'
import type { Storage } from '../../platform/storage/storage.ts'
import type { RejectedRow } from '../conversion/rejected-row.ts'
import { uniteSchemas } from '../conversion/schemas.ts'
import { dataProblems } from '../problems.ts'
import type { Column } from './column.ts'
import { DATASET, type DatasetRecord, type Datasets, type VersionRow } from './datasets.ts'
import type { Origin } from './origin.ts'
import { fileKey, type StoredFiles } from './stored-files.ts'

/** What rows do to what is there: nothing is, they go behind its rows, or take their place. */
export const additionModes = ['create', 'append', 'replace'] as const
export type AdditionMode = (typeof additionModes)[number]

/** Rows as Parquet, in a file of this machine. */
interface Rows {
  path: string
  columns: readonly Column[]
  rows: number
  bytes: number
  /** How many were left out, and the first of them. */
  rejectedRows?: number
  rejected?: RejectedRow[]
}

interface Addition {
  /** Of the version, where it is to be found again by it. */
  id?: string
  name: string
  mode: AdditionMode
  origin: Origin
  /** Whether more may join the version, and it joins one that is open. */
  isOpen?: boolean
  /** For the team, of a dataset that is new. */
  team?: TeamAccess
}

export interface Adder {
  identity: Identity
  actor: Actor
}

/** Makes rows a version of a dataset. */
export interface Additions {
  /**
   * Whether somebody may do so with that name.
   *
   * @returns what is there.
   * @throws {Problem} 403 theirs to read alone, 409 there already.
   */
  requireRight(
    asked: Pick<Addition, 'name' | 'mode'>,
    by: Identity,
  ): Promise<DatasetRecord | undefined>
  /**
   * Stores them, and gives them a number.
   *
   * @param basis what was there when it was looked at.
   * @throws {Problem} 409 where that has changed, 413 beyond the quota.
   * @throws {Refused} for rows that don't go with those that they are put behind.
   */
  add(
    addition: Addition,
    rows: Rows,
    by: Adder & { basis: DatasetRecord | undefined },
    signal: AbortSignal | undefined,
  ): Promise<VersionRow>
}

/** More of them are counted, and not told one by one. */
const REJECTED_TOLD_MAX = 100

export function createAdditions(deps: {
  access: Access
  datasets: Datasets
  stored: StoredFiles
  storage: Storage
}): Additions {
  const { access, datasets, stored, storage } = deps

  return {
    async requireRight({ name, mode }, by) {
      const found = await datasets.find(name)
      if (found === undefined) return undefined
      const resource = { kind: DATASET, id: name }
      const mayRead = await access.mayAccess(by, 'read', resource)
      if (mode === 'create' || !mayRead) {
        throw dataProblems.nameTaken({ detail: `The name ${name} is taken.` })
      }
      if (await access.mayAccess(by, 'write', resource)) return found
      throw problems.forbidden({ detail: `Only who may write ${name} adds rows to it.` })
    },

    async add(addition, added, by, signal) {
      const {
        id = Bun.randomUUIDv7(),
        name,
        mode,
        origin,
        team = 'none',
        isOpen = false,
      } = addition
      const before = mode === 'append' ? by.basis?.newest : undefined
      const { path, columns, rows, bytes, rejected = [], rejectedRows = 0 } = added
      const united = before === undefined ? [...columns] : uniteSchemas(before.columns, columns)
      const file = Bun.randomUUIDv7()
      await storage.put(
        fileKey(file),
        { path },
        {
          bytesMax: bytes,
          ...(signal === undefined ? {} : { signal }),
        },
      )
      try {
        const { version, forgotten } = await datasets.addVersion(
          name,
          {
            id,
            origin,
            columns: united,
            rows: rows + (before?.rows ?? 0),
            bytes: bytes + (before?.bytes ?? 0),
            openFiles: isOpen ? 1 : null,
            rejectedRows,
            rejected: rejected.slice(0, REJECTED_TOLD_MAX),
            added: [{ id: file, bytes }],
            kept: before?.files ?? [],
          },
          { ownerId: by.identity.id, team, basis: by.basis?.newest.id, actor: by.actor },
        )
        await stored.dispose(forgotten)
        return version
      } catch (error) {
        // After any other failure nobody knows whether the version is there: a stray is harmless, its lack is not.
        if (error instanceof Problem) await storage.delete(fileKey(file))
        throw error
      }
    },
  }
}
