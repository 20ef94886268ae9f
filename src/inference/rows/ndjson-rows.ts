import { BadRow, ROW_BYTES_MAX } from './bad-row.ts'

const NEWLINE = 0x0a
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads a JSON value a line, as they come in; empty lines are none.
 *
 * @throws {BadRow} naming the line that is no JSON.
 */
export async function* readNdjson(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<{ value: unknown; bytes: number }> {
  let rest: Uint8Array = new Uint8Array()
  let row = 0
  function* linesOf(bytes: Uint8Array): Generator<Uint8Array> {
    let from = 0
    for (let to = bytes.indexOf(NEWLINE); to !== -1; to = bytes.indexOf(NEWLINE, from)) {
      yield bytes.subarray(from, to)
      from = to + 1
    }
    rest = bytes.subarray(from)
  }
  function* valuesOf(lines: Iterable<Uint8Array>) {
    for (const line of lines) {
      const text = decode(line, row + 1).trim()
      if (text === '') continue
      row += 1
      yield { value: parse(text, row), bytes: line.byteLength }
    }
  }

  for await (const chunk of body) {
    yield* valuesOf(linesOf(rest.byteLength === 0 ? chunk : Buffer.concat([rest, chunk])))
    if (rest.byteLength > ROW_BYTES_MAX) {
      throw new BadRow(row + 1, `it is longer than ${ROW_BYTES_MAX} bytes.`)
    }
  }
  yield* valuesOf([rest])
}

function decode(line: Uint8Array, row: number): string {
  try {
    return utf8.decode(line)
  } catch {
    throw new BadRow(row, 'it is no UTF-8.')
  }
}

function parse(text: string, row: number): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new BadRow(row, 'it is no JSON.')
  }
}
