import { Readable } from 'node:stream'

import { CsvError, parse } from 'csv-parse'

import { BadRow, ROW_BYTES_MAX } from './bad-row.ts'

/** As many inputs as a model may have, and some for the caller. */
const COLUMNS_MAX = 20_000

/** A cell by the name of its column, as the text that it is. */
export type CsvRow = Record<string, string>

/**
 * Reads a table of comma-separated values (RFC 4180) with a header, as it comes in.
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
    columns(header: string[]) {
      refuseTwice(header)
      requireColumns(header)
      // What nobody wants is not kept.
      return header.map((name) => (isWanted(name) ? name : false))
    },
    max_record_size: ROW_BYTES_MAX,
    record_delimiter: ['\r\n', '\n', '\r'],
    skip_empty_lines: true,
  })
  const source = Readable.fromWeb(body)
  source.on('error', (error) => parser.destroy(error))
  try {
    for await (const row of source.pipe(parser)) {
      yield { row: row as CsvRow, bytes: lengthOf(row as CsvRow) }
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    throw new BadRow(undefined, `The CSV can't be read: ${error.message}.`)
  } finally {
    source.destroy()
    parser.destroy()
  }
}

function lengthOf(row: CsvRow): number {
  let length = 0
  for (const name in row) length += row[name]!.length
  return length
}

function refuseTwice(header: readonly string[]): void {
  if (header.length > COLUMNS_MAX) {
    throw new BadRow(undefined, `The table has more than ${COLUMNS_MAX} columns.`)
  }
  const seen = new Set<string>()
  for (const name of header) {
    if (seen.has(name)) throw new BadRow(undefined, `The column "${name}" stands twice.`)
    seen.add(name)
  }
}
