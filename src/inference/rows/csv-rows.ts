import { Readable } from 'node:stream'

import { CsvError, parse } from 'csv-parse'

import { BadRow, ROW_BYTES_MAX } from './bad-row.ts'

/** As many inputs as a model may have, and some for the caller. */
const COLUMNS_MAX = 20_000
/** What a cell costs beside its text, so that empty ones are not free. */
const CELL_BYTES = 64

/** A cell by the name of its column, as the text that it is. */
export type CsvRow = Record<string, string>

interface Column {
  name: string
  at: number
}

/**
 * Reads a table of comma-separated values (RFC 4180) with a header, as it comes in. An empty line is a
 * row of a table of one column, and of others none.
 *
 * @param requireColumns is told the header, once.
 * @throws {BadRow} naming the row that is none.
 */
export async function* readCsv(
  body: ReadableStream<Uint8Array>,
  requireColumns: (columns: readonly string[]) => void,
  /** Of the columns that are wanted; all of them unless given. */
  isWanted: (column: string) => boolean = () => true,
): AsyncGenerator<{ row: CsvRow; bytes: number }> {
  const parser = parse({
    bom: true,
    max_record_size: ROW_BYTES_MAX,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
  })
  const source = Readable.from(requiringUtf8(body))
  source.on('error', (error) => parser.destroy(error))
  let header: string[] | undefined
  let columns: Column[] = []
  let row = 0
  try {
    for await (const cells of source.pipe(parser) as AsyncIterable<string[]>) {
      if (header === undefined) {
        requireNames(cells)
        requireColumns(cells)
        header = cells
        // What nobody wants is not kept.
        columns = cells.map((name, at) => ({ name, at })).filter(({ name }) => isWanted(name))
        continue
      }
      if (header.length > 1 && cells.length === 1 && cells[0] === '') continue
      row += 1
      if (cells.length !== header.length) {
        throw new BadRow(row, `it has ${cells.length} cells where the header has ${header.length}.`)
      }
      yield rowOf(cells, columns)
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    throw new BadRow(undefined, `The CSV can't be read: ${error.message}.`)
  } finally {
    source.destroy()
    parser.destroy()
  }
  if (header === undefined) throw new BadRow(undefined, 'The table has no header.')
}

function rowOf(cells: readonly string[], columns: readonly Column[]) {
  const row: CsvRow = {}
  let bytes = CELL_BYTES * columns.length
  for (const { name, at } of columns) {
    const cell = cells[at]!
    row[name] = cell
    bytes += cell.length
  }
  return { row, bytes }
}

/** Put right in silence, a name would not be the one that was sent. */
async function* requiringUtf8(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const utf8 = new TextDecoder('utf-8', { fatal: true })
  const require = (bytes: Uint8Array | undefined) => {
    try {
      utf8.decode(bytes, { stream: bytes !== undefined })
    } catch {
      throw new BadRow(undefined, 'The table is no UTF-8.')
    }
  }
  for await (const bytes of body) {
    require(bytes)
    yield bytes
  }
  require(undefined)
}

function requireNames(header: readonly string[]): void {
  if (header.length > COLUMNS_MAX) {
    throw new BadRow(undefined, `The table has more than ${COLUMNS_MAX} columns.`)
  }
  const seen = new Set<string>()
  for (const name of header) {
    if (seen.has(name)) throw new BadRow(undefined, `The column "${name}" stands twice.`)
    seen.add(name)
  }
}
