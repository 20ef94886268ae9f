import { join } from 'node:path'

import type { Access, TeamAccess } from '../../gateway/access.ts'
import type { Actor, Identity } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import { problems } from '../../gateway/problems.ts'
import type { Storage } from '../../platform/storage/storage.ts'
import type { Converted, ConvertOrder } from '../conversion/conversion.ts'
import { uniteSchemas } from '../conversion/schemas.ts'
import type { CsvDialect, UploadFormat } from '../conversion/upload-format.ts'
import type { Engine } from '../engine/engine.ts'
import { WorkFailed } from '../engine/query-process.ts'
import { Refused } from '../engine/refused.ts'
import { dataProblems } from '../problems.ts'
import { cleaned, problemOf } from '../queries/failures.ts'
import type { Column } from './column.ts'
import { DATASET, type DatasetRecord, type Datasets, type VersionRow } from './datasets.ts'
import type { ReceivedUpload } from './received-upload.ts'
import { formatOf } from './recognised-format.ts'
import { fileKey, type StoredFiles } from './stored-files.ts'

/** What an upload does to what is there: nothing is, it goes behind its rows, or takes their place. */
export const uploadModes = ['create', 'append', 'replace'] as const
type UploadMode = (typeof uploadModes)[number]

/** What the sender says beside the file. */
interface UploadOptions {
  name: string
  mode: UploadMode
  team: TeamAccess
  format: UploadFormat | undefined
  rejectedMax: number
  csv: CsvDialect
  types: Record<string, string>
}

interface Uploader {
  identity: Identity
  actor: Actor
}

/** Takes datasets in. */
export interface Uploads {
  /**
   * Whether somebody may do so with that name.
   *
   * @returns what is there.
   * @throws {Problem} 403 theirs to read alone, 409 there already.
   */
  requireRight(
    asked: Pick<UploadOptions, 'name' | 'mode'>,
    by: Identity,
  ): Promise<DatasetRecord | undefined>
  /**
   * Makes Parquet of an upload, stores it and gives it a number.
   *
   * @throws {Problem} 403, 409, 413, 422 with the reason, 503, 504.
   */
  add(
    upload: ReceivedUpload,
    options: UploadOptions,
    by: Uploader,
    signal: AbortSignal,
  ): Promise<VersionRow>
}

/** More of them are counted, and not told one by one. */
const REJECTED_TOLD_MAX = 100

export function createUploads(deps: {
  access: Access
  datasets: Datasets
  stored: StoredFiles
  storage: Storage
  engine: Engine
  limits: { parquetBytesMax: number; expandedBytesMax: number; timeoutMs: number }
}): Uploads {
  const { access, datasets, stored, storage, engine, limits } = deps

  const requireRight: Uploads['requireRight'] = async ({ name, mode }, by) => {
    const found = await datasets.find(name)
    if (found === undefined) return undefined
    const resource = { kind: DATASET, id: name }
    const mayRead = await access.mayAccess(by, 'read', resource)
    if (mode === 'create' || !mayRead) {
      throw dataProblems.nameTaken({ detail: `The name ${name} is taken.` })
    }
    if (await access.mayAccess(by, 'write', resource)) return found
    throw problems.forbidden({ detail: `Only who may write ${name} adds rows to it.` })
  }

  /** Into storage, by an id of its own. */
  async function convert(
    upload: ReceivedUpload,
    { format: said, rejectedMax, csv, types }: UploadOptions,
    known: readonly Column[],
    signal: AbortSignal,
  ): Promise<{ id: string; converted: Converted }> {
    const id = Bun.randomUUIDv7()
    const { format, compression } = await formatOf(upload, said)
    const order = (directory: string): ConvertOrder => ({
      source: upload.path,
      format,
      compression,
      path: join(directory, 'rows.parquet'),
      rejectedMax,
      csv,
      // What is text in the upload is read as what the column is.
      types: { ...Object.fromEntries(known.map(({ name, type }) => [name, type])), ...types },
      bytesMax: limits.parquetBytesMax,
      expandedBytesMax: limits.expandedBytesMax,
    })
    return engine.run('convert', [upload.path], order, {
      timeoutMs: limits.timeoutMs,
      signal,
      async take(converted, directory) {
        const file = Bun.file(join(directory, 'rows.parquet'))
        await storage.put(fileKey(id), file.stream(), { bytesMax: converted.bytes, signal })
        return { id, converted }
      },
    })
  }

  async function add(
    upload: ReceivedUpload,
    options: UploadOptions,
    { identity, actor }: Uploader,
    signal: AbortSignal,
  ): Promise<VersionRow> {
    const { name, mode, team } = options
    const there = await requireRight({ name, mode }, identity)
    const base = mode === 'append' ? there?.newest : undefined
    const { id, converted } = await convert(upload, options, base?.columns ?? [], signal).catch(
      refuseUpload,
    )
    const { rows, bytes, rejected, rejectedRows } = converted
    const columns = converted.columns.map((column) => ({ name: column.name, type: column.type }))
    try {
      const { version, forgotten } = await datasets.addVersion(
        name,
        {
          id: Bun.randomUUIDv7(),
          origin: base === undefined ? 'upload' : 'append',
          columns: base === undefined ? columns : uniteSchemas(base.columns, columns),
          rows: rows + (base?.rows ?? 0),
          bytes: bytes + (base?.bytes ?? 0),
          rejectedRows,
          rejected: rejected.slice(0, REJECTED_TOLD_MAX),
          added: [{ id, bytes }],
          kept: base?.files ?? [],
        },
        { ownerId: identity.id, team, basis: there?.newest.version, actor },
      )
      await stored.dispose(forgotten)
      return version
    } catch (error) {
      // After any other failure nobody knows whether the version is there: a stray is harmless, its lack is not.
      const isRefused = error instanceof Problem || error instanceof Refused
      if (isRefused) await storage.delete(fileKey(id))
      throw error instanceof Refused ? refusedUpload(error) : error
    }
  }

  return {
    requireRight,
    async add(upload, ...rest) {
      try {
        return await add(upload, ...rest)
      } finally {
        await Bun.file(upload.path).delete()
      }
    },
  }
}

function refuseUpload(error: unknown): never {
  const isRefused = error instanceof WorkFailed && error.failure === 'refused'
  throw isRefused ? refusedUpload(error) : problemOf(error)
}

const refusedUpload = (cause: Error) =>
  dataProblems.refusedUpload({ detail: cleaned(cause.message), cause })
