import { Refused } from '../engine/refused.ts'
import type { CsvDialect } from './upload-format.ts'

/** How a CSV is written, and how its first records read. */
export interface CsvLayout {
  delimiter: string
  quote: string
  hasHeader: boolean
  names: string[]
  /** Without the header. */
  sample: string[][]
}

const DELIMITERS = [',', ';', '\t', '|']
const SAMPLE_RECORDS_MAX = 10_000
const COLUMNS_MAX = 10_000
/** A name is no number, no date, and not nothing. */
const DATUM =
  /^\s*(?:[+-]?[\d.,]*\d[\d.,]*(?:e[+-]?\d+)?%?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|true|false|)\s*$/i

/**
 * Finds out from how a text begins how it is written: the delimiter is the one by which most records have as many
 * fields as the first.
 *
 * @param isWhole whether `text` is all of it, and not its beginning.
 * @throws {Refused}
 */
export function layoutOf(text: string, isWhole: boolean, said: CsvDialect): CsvLayout {
  const quote = said.quote ?? '"'
  const read = (delimiter: string) => {
    const records = recordsOf(text, { delimiter, quote, max: SAMPLE_RECORDS_MAX + 1 })
    // The last one may be cut off.
    return isWhole || records.length === 1 ? records : records.slice(0, -1)
  }
  const candidates = said.delimiter === undefined ? DELIMITERS : [said.delimiter]
  const delimiter = candidates
    .map((each) => ({ each, score: scoreOf(read(each)) }))
    .reduce((best, next) => (next.score > best.score ? next : best)).each
  const records = read(delimiter)
  const [first] = records
  if (first === undefined) throw new Refused('There is no row in it.')
  if (first.length > COLUMNS_MAX) {
    throw new Refused(`It has ${first.length} columns. There may be ${COLUMNS_MAX}.`)
  }
  const hasHeader = said.header ?? !first.some((field) => DATUM.test(field))
  const names = hasHeader ? unique(first) : first.map((_, at) => `column${at + 1}`)
  return { delimiter, quote, hasHeader, names, sample: hasHeader ? records.slice(1) : records }
}

function scoreOf(records: readonly string[][]): number {
  const width = records[0]?.length ?? 0
  if (width < 2) return 0
  const alike = records.filter(({ length }) => length === width).length
  return alike / records.length + width / 1e6
}

/** Two columns of a name, whatever its case, would be one in SQL. */
function unique(header: readonly string[]): string[] {
  const known = new Set<string>()
  return header.map((field, at) => {
    const plain = field.trim() === '' ? `column${at + 1}` : field.trim()
    let name = plain
    for (let count = 1; known.has(name.toLowerCase()); count += 1) name = `${plain}_${count}`
    known.add(name.toLowerCase())
    return name
  })
}

/** RFC 4180, with any line ends; blank lines are none. */
function recordsOf(
  text: string,
  { delimiter, quote, max }: { delimiter: string; quote: string; max: number },
): string[][] {
  const records: string[][] = []
  let record: string[] = []
  let at = 0
  while (at < text.length && records.length < max) {
    let field = ''
    if (quote !== '' && text[at] === quote) {
      at += 1
      for (;;) {
        const end = text.indexOf(quote, at)
        if (end === -1) {
          field += text.slice(at)
          at = text.length
          break
        }
        field += text.slice(at, end)
        at = end + 1
        if (text[at] !== quote) break
        field += quote
        at += 1
      }
    }
    const end = endOfField(text, at, delimiter)
    field += text.slice(at, end)
    record.push(field)
    at = end
    if (text.startsWith(delimiter, at)) {
      at += delimiter.length
      if (at === text.length) record.push('')
      if (at < text.length) continue
    } else {
      at += text[at] === '\r' && text[at + 1] === '\n' ? 2 : 1
    }
    if (record.length > 1 || record[0] !== '') records.push(record)
    record = []
  }
  return records
}

function endOfField(text: string, from: number, delimiter: string): number {
  let at = from
  while (at < text.length) {
    const character = text[at]
    if (character === '\n' || character === '\r' || text.startsWith(delimiter, at)) return at
    at += 1
  }
  return at
}
