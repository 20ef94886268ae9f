import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'

import { invalid, problems } from '../gateway/problems.ts'
import type { Config } from '../platform/config.ts'
import { openPartials } from '../platform/storage/partial.ts'
import { TooLarge } from '../platform/storage/storage.ts'
import type { Column } from './datasets/column.ts'
import type { Engine } from './engine/engine.ts'
import { WorkFailed } from './engine/query-process.ts'
import { quoted } from './engine/sql-text.ts'
import { dataProblems } from './problems.ts'
import { cleaned } from './queries/failures.ts'
import { createQueries } from './queries/queries.ts'

type FileFormat = 'parquet' | 'arrow'

/** A table that came in, until it is released. */
interface ReadTable {
  columns: readonly Column[]
  /** NDJSON, an object a line with all columns. */
  rows: ReadableStream<Uint8Array>
  path: string
  release(): void
}

interface WriteOrder {
  format: FileFormat
  /** Of the rows, told when all have come. */
  columns: () => readonly Column[]
  /** Whose columns stand before them, row by row. */
  beside: ReadTable | undefined
  signal: AbortSignal
}

/** Tables as files that are read and written as a whole, for other features. */
export interface TableFiles {
  /** @throws {Problem} 413, 422 for what is no such file, 503, 504. */
  read(
    body: ReadableStream<Uint8Array>,
    format: FileFormat,
    signal: AbortSignal,
  ): Promise<ReadTable>
  /**
   * @param rows NDJSON, in pieces.
   * @returns the file; it is gone once it was read, or is not wanted any more.
   * @throws {Problem} 422, 503, 504, and what `rows` throw.
   */
  write(rows: AsyncIterable<string>, order: WriteOrder): Promise<ReadableStream<Uint8Array>>
}

const LINE_BYTES_MAX = 16 * 2 ** 20

export function createTableFiles({
  config,
  engine,
}: {
  config: Config
  engine: Engine
}): TableFiles {
  const partials = openPartials(join(config.DATA_DIR, 'tables'))
  const queries = createQueries({ engine })
  const bytesMax = config.DATASET_EXPANDED_BYTES_MAX
  const timeoutMs = config.DATA_EXPORT_TIMEOUT_MS

  /** A directory that is gone where `work` fails. */
  async function within<Result>(
    work: (directory: string, release: () => void) => Promise<Result>,
  ): Promise<Result> {
    const directory = partials.newPath('table')
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const release = () => rmSync(directory, { recursive: true, force: true })
    try {
      return await work(directory, release)
    } catch (error) {
      release()
      throw error
    }
  }

  /** Makes Parquet of it, with no more than one of our writers would. */
  async function converted(upload: string, format: FileFormat, path: string, signal: AbortSignal) {
    const order = (directory: string) => ({
      source: upload,
      format,
      compression: 'none' as const,
      path: join(directory, 'rows.parquet'),
      rejectedMax: 0,
      csv: {},
      types: {},
      bytesMax,
      expandedBytesMax: bytesMax,
    })
    try {
      return await engine.run('convert', [upload], order, {
        timeoutMs,
        signal,
        take: async ({ columns }, directory) => {
          renameSync(join(directory, 'rows.parquet'), path)
          return columns
        },
      })
    } catch (error) {
      if (!(error instanceof WorkFailed) || error.failure !== 'refused') throw error
      throw invalid([{ path: [], detail: cleaned(error.message) }])
    } finally {
      rmSync(upload, { force: true })
    }
  }

  return {
    read: (body, format, signal) =>
      within(async (directory, release) => {
        const upload = await gathered(body, signal)
        const path = join(directory, 'rows.parquet')
        const columns = await converted(upload, format, path, signal)
        const lines = join(directory, 'rows.ndjson')
        await queries.run(
          { sql: `SELECT * FROM ${parquet(path)}`, sources: [sourceOf(path)], format: 'ndjson' },
          { bytesMax, timeoutMs, signal },
          async (_, made) => renameSync(made, lines),
        )
        return { columns, rows: Bun.file(lines).stream(), path, release }
      }),

    write: (rows, { format, columns, beside, signal }) =>
      within(async (directory, release) => {
        const lines = join(directory, 'rows.ndjson')
        await keep(rows, lines, bytesMax)
        const types = columns().map(({ name, type }) => `${quoted(name)}: ${quoted(type)}`)
        const answers = `read_json(${quoted(lines)}, format = 'newline_delimited', maximum_object_size = ${LINE_BYTES_MAX}, columns = {${types.join(', ')}})`
        const sources = beside === undefined ? [lines] : [beside.path, lines]
        const sql =
          beside === undefined
            ? `SELECT * FROM ${answers}`
            : `SELECT * FROM ${parquet(beside.path)} POSITIONAL JOIN ${answers}`
        const made = join(directory, `rows.${format}`)
        await queries.run(
          { sql, sources: sources.map(sourceOf), format },
          { bytesMax, timeoutMs, signal },
          async (_, path) => renameSync(path, made),
        )
        return streamThenGone(made, release)
      }),
  }

  async function gathered(body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<string> {
    const uploadBytesMax = config.DATASET_UPLOAD_BYTES_MAX
    try {
      const { path } = await partials.gather(body, {
        name: 'upload',
        bytesMax: uploadBytesMax,
        signal,
      })
      return path
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error
      throw problems.bodyTooLarge({ detail: `A table may have at most ${uploadBytesMax} bytes.` })
    }
  }
}

const parquet = (path: string) => `read_parquet([${quoted(path)}])`
const sourceOf = (path: string) => ({ name: 'the table', paths: [path] })

async function keep(rows: AsyncIterable<string>, path: string, bytesMax: number): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  let bytes = 0
  try {
    for await (const piece of rows) {
      bytes += Buffer.byteLength(piece)
      if (bytes > bytesMax) {
        throw dataProblems.tooMuch({ detail: `The answers have more than ${bytesMax} bytes.` })
      }
      await file.write(piece)
    }
  } finally {
    await file.close()
  }
}

/** Whoever has it open reads it to its end, and nobody else finds it. */
async function streamThenGone(
  path: string,
  release: () => void,
): Promise<ReadableStream<Uint8Array>> {
  const file = await open(path)
  release()
  return Readable.toWeb(file.createReadStream()) as ReadableStream<Uint8Array>
}
