import { Readable } from 'node:stream'

import { CsvError, parse } from 'csv-parse'

import { BadRow, ROW_BYTES_MAX } from './bad-row.ts'

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
): AsyncGenerator<CsvRow> {
  const parser = parse({
    bom: true,
    columns(header: string[]) {
      refuseTwice(header)
      requireColumns(header)
      return header
    },
    max_record_size: ROW_BYTES_MAX,
    record_delimiter: ['\r\n', '\n', '\r'],
    skip_empty_lines: true,
  })
  const source = Readable.fromWeb(body)
  source.on('error', (error) => parser.destroy(error))
  try {
    for await (const row of source.pipe(parser)) yield row as CsvRow
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    throw new BadRow(undefined, `The CSV can't be read: ${error.message}.`)
  } finally {
    source.destroy()
    parser.destroy()
  }
}

function refuseTwice(header: readonly string[]): void {
  const twice = header.find((name, at) => header.indexOf(name) !== at)
  if (twice !== undefined) throw new BadRow(undefined, `The column "${twice}" stands twice.`)
}
