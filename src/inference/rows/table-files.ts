/** The forms of tables that are files, which are read and written as a whole. */
export const FILE_FORMATS = {
  'application/vnd.apache.parquet': 'parquet',
  'application/vnd.apache.arrow.stream': 'arrow',
  'application/vnd.apache.arrow.file': 'arrow',
} as const
export type FileType = keyof typeof FILE_FORMATS

type FileFormat = (typeof FILE_FORMATS)[FileType]

export const isFileType = (type: string): type is FileType => Object.hasOwn(FILE_FORMATS, type)

interface Column {
  name: string
  /** Of SQL. */
  type: string
}

/** A table that came in, until it is released. */
interface ReadTable {
  columns: readonly Column[]
  /** NDJSON, an object a line with all columns. */
  rows: ReadableStream<Uint8Array>
  path: string
  release(): void
}

/** What reads and writes files of tables. Inference declares it, and the data provides it. */
export interface TableFiles {
  /** @throws {Problem} 413, 422 for what is no such file, 503, 504. */
  read(
    body: ReadableStream<Uint8Array>,
    format: FileFormat,
    signal: AbortSignal,
  ): Promise<ReadTable>
  /**
   * @param rows NDJSON, in pieces.
   * @throws {Problem} 422, 503, 504, and what `rows` throw.
   */
  write(
    rows: AsyncIterable<string>,
    order: {
      format: FileFormat
      /** Of the rows, told when all have come. */
      columns: () => readonly Column[]
      /** Whose columns stand before them, row by row. */
      beside: ReadTable | undefined
      signal: AbortSignal
    },
  ): Promise<ReadableStream<Uint8Array>>
}
