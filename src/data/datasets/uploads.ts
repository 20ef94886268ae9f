import { join } from 'node:path'

import type { TeamAccess } from '../../gateway/access.ts'
import type { ConvertOrder } from '../conversion/conversion.ts'
import type { CsvDialect, UploadFormat } from '../conversion/upload-format.ts'
import type { Engine } from '../engine/engine.ts'
import { WorkFailed } from '../engine/query-process.ts'
import { Refused } from '../engine/refused.ts'
import { dataProblems } from '../problems.ts'
import { cleaned, problemOf } from '../queries/failures.ts'
import type { Adder, AdditionMode, Additions } from './additions.ts'
import type { Column } from './column.ts'
import type { VersionRow } from './datasets.ts'
import type { ReceivedUpload } from './received-upload.ts'
import { formatOf } from './recognised-format.ts'

/** What the sender says beside the file. */
interface UploadOptions {
  name: string
  mode: AdditionMode
  team: TeamAccess
  format: UploadFormat | undefined
  rejectedMax: number
  csv: CsvDialect
  types: Record<string, string>
}

/** Takes datasets in. */
export interface Uploads {
  /**
   * Makes Parquet of an upload, stores it and gives it a number.
   *
   * @throws {Problem} 403, 409, 413, 422 with the reason, 503, 504.
   */
  add(
    upload: ReceivedUpload,
    options: UploadOptions,
    by: Adder,
    signal: AbortSignal,
  ): Promise<VersionRow>
}

export function createUploads(deps: {
  additions: Additions
  engine: Engine
  limits: { parquetBytesMax: number; expandedBytesMax: number; timeoutMs: number }
}): Uploads {
  const { additions, engine, limits } = deps

  async function orderOf(
    upload: ReceivedUpload,
    { format: said, rejectedMax, csv, types }: UploadOptions,
    known: readonly Column[],
  ): Promise<(directory: string) => ConvertOrder> {
    const { format, compression } = await formatOf(upload, said)
    return (directory) => ({
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
  }

  async function add(
    upload: ReceivedUpload,
    options: UploadOptions,
    by: Adder,
    signal: AbortSignal,
  ): Promise<VersionRow> {
    const { name, mode, team } = options
    const basis = await additions.requireRight({ name, mode }, by.identity)
    const base = mode === 'append' ? basis?.newest : undefined
    const addition = {
      name,
      mode,
      team,
      origin: base === undefined ? ('upload' as const) : ('append' as const),
    }
    const order = await orderOf(upload, options, base?.columns ?? [])
    return engine.run('convert', [upload.path], order, {
      timeoutMs: limits.timeoutMs,
      signal,
      take: (converted, directory) => {
        const columns = converted.columns.map((column) => ({
          name: column.name,
          type: column.type,
        }))
        const rows = { ...converted, columns, path: join(directory, 'rows.parquet') }
        return additions.add(addition, rows, { ...by, basis }, signal)
      },
    })
  }

  return {
    async add(upload, ...rest) {
      try {
        return await add(upload, ...rest)
      } catch (error) {
        throw uploadRefusal(error)
      } finally {
        await Bun.file(upload.path).delete()
      }
    },
  }
}

/** What a failure of taking rows in is for who sent them. */
export function uploadRefusal(error: unknown): unknown {
  const isRefused =
    error instanceof Refused || (error instanceof WorkFailed && error.failure === 'refused')
  return isRefused ? refusedUpload(error) : problemOf(error)
}

const refusedUpload = (cause: Error) =>
  dataProblems.refusedUpload({ detail: cleaned(cause.message), cause })
