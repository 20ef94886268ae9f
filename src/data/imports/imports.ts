import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'

import { type Egress, EgressFailed, EgressRefused } from '../../platform/egress/egress.ts'
import type { Partials } from '../../platform/storage/partial.ts'
import { TooLarge } from '../../platform/storage/storage.ts'
import type { Converted } from '../conversion/conversion.ts'
import type { Column } from '../datasets/column.ts'
import { formatOf } from '../datasets/recognised-format.ts'
import { uploadRefusal } from '../datasets/uploads.ts'
import type { Engine } from '../engine/engine.ts'
import { dataProblems } from '../problems.ts'
import type { ImportSource } from './import-source.ts'

interface ImportOptions {
  /** A new file. */
  path: string
  /** Of rows that are there already: what is text in the source is read as what the column is. */
  known: readonly Column[]
  timeoutMs: number
  signal?: AbortSignal | undefined
}

/** Fetches rows from elsewhere. */
export interface Imports {
  /** @throws {Problem} 422 for what is plain without a call. */
  require(source: ImportSource): void
  /** Makes Parquet of what is there. @throws {Problem} 413, 422, 502, 503, 504. */
  fetch(source: ImportSource, options: ImportOptions): Promise<Converted>
}

export function createImports(deps: {
  egress: Egress
  engine: Engine
  partials: Partials
  limits: { uploadBytesMax: number; parquetBytesMax: number; expandedBytesMax: number }
}): Imports {
  const { egress, engine, partials, limits } = deps

  async function fetch(
    { url: address, format: said, rejected_max: rejectedMax }: ImportSource,
    { path, known, timeoutMs }: ImportOptions,
    signal: AbortSignal,
  ): Promise<Converted> {
    const { url, mediaType, body } = await egress.get(address, signal)
    const content = Readable.toWeb(body) as ReadableStream<Uint8Array>
    const bytesMax = limits.uploadBytesMax
    const gathered = await partials.gather(content, { name: 'import', bytesMax, signal })
    try {
      const upload = {
        ...gathered,
        mediaType: mediaType ?? '',
        fileName: url.pathname.split('/').at(-1)!,
      }
      const { format, compression } = await formatOf(upload, said)
      const order = (directory: string) => ({
        source: gathered.path,
        format,
        compression,
        path: join(directory, 'rows.parquet'),
        rejectedMax,
        csv: {},
        types: Object.fromEntries(known.map(({ name, type }) => [name, type])),
        bytesMax: limits.parquetBytesMax,
        expandedBytesMax: limits.expandedBytesMax,
      })
      return await engine.run('convert', [gathered.path], order, {
        timeoutMs,
        signal,
        take: async (converted, directory) => {
          await rename(join(directory, 'rows.parquet'), path)
          return converted
        },
      })
    } finally {
      await Bun.file(gathered.path).delete()
    }
  }

  return {
    require({ url }) {
      try {
        egress.require(url)
      } catch (error) {
        throw problemOf(error)
      }
    },
    async fetch(source, options) {
      const deadline = AbortSignal.timeout(options.timeoutMs)
      const signals = [deadline, ...(options.signal === undefined ? [] : [options.signal])]
      try {
        return await fetch(source, options, AbortSignal.any(signals))
      } catch (error) {
        options.signal?.throwIfAborted()
        if (deadline.aborted) {
          throw dataProblems.queryTimeout({ detail: `It took more than ${options.timeoutMs} ms.` })
        }
        if (error instanceof TooLarge) {
          const detail = `A file may have at most ${limits.uploadBytesMax} bytes.`
          throw dataProblems.refusedImport({ detail, cause: error })
        }
        throw problemOf(uploadRefusal(error))
      }
    },
  }
}

function problemOf(error: unknown): unknown {
  if (error instanceof EgressRefused) {
    return dataProblems.refusedImport({ detail: error.message, cause: error })
  }
  if (error instanceof EgressFailed || isBrokenOff(error)) {
    const detail = error instanceof EgressFailed ? error.message : 'What was fetched broke off.'
    return dataProblems.sourceFailed({ detail, cause: error })
  }
  return error
}

const isBrokenOff = (error: unknown) =>
  error instanceof Error && 'code' in error && BROKEN_OFF.has(String(error.code))
const BROKEN_OFF = new Set(['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'EPIPE'])
