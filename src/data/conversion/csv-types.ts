import type { DuckDBConnection } from '@duckdb/node-api'

import { owedRow } from '../engine/owed-row.ts'
import { identifier, quoted } from '../engine/sql-text.ts'
import type { CsvLayout } from './csv-dialect.ts'
import type { CsvDialect } from './upload-format.ts'

/** What a column of text is to become. */
export interface CsvColumn {
  name: string
  type: string
  /** Of strptime, where DuckDB does not read it by itself. */
  format?: string
}

interface Form {
  type: string
  pattern: RegExp
  format?: string
}

/** How values look, the narrowest first. What could be two dates is neither: nobody said which. */
const forms = (isComma: boolean): Form[] => [
  { type: 'BOOLEAN', pattern: /^(?:true|false)$/i },
  { type: 'BIGINT', pattern: /^[+-]?(?:0|[1-9]\d{0,17})$/ },
  {
    type: 'DOUBLE',
    pattern: isComma
      ? /^[+-]?(?:(?:0|[1-9]\d*)(?:,\d+)?|,\d+)(?:e[+-]?\d{1,3})?$/i
      : /^[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,3})?$/i,
  },
  { type: 'DATE', pattern: /^\d{4}-(?:0\d|1[0-2])-(?:[0-2]\d|3[01])$/ },
  {
    type: 'DATE',
    pattern: /^(?:0?[1-9]|[12]\d|3[01])\.(?:0?[1-9]|1[0-2])\.\d{4}$/,
    format: '%d.%m.%Y',
  },
  {
    type: 'TIMESTAMP',
    pattern: /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?$/,
  },
  {
    type: 'TIMESTAMP WITH TIME ZONE',
    pattern: /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d)?)$/,
  },
  { type: 'TIME', pattern: /^\d\d:\d\d:\d\d(?:\.\d{1,6})?$/ },
]
const COMMA_NUMBER = /^[+-]?(?:0|[1-9]\d*),\d+$/
/** Of the values that there are: fewer say that it is no such column. */
const LIKE_SHARE = 0.95
const REJECTED_SHARE_MAX = 0.05
const LONG_DIGITS_MAX = 38

/** Whether numbers are written with a comma, where nobody has said it. */
export const usesComma = ({ delimiter, sample }: CsvLayout, { decimalComma }: CsvDialect) =>
  decimalComma ??
  (delimiter !== ',' &&
    sample.some((record) => record.some((field) => COMMA_NUMBER.test(field.trim()))))

/** What the first records say that the columns are. */
export function guessedColumns(
  { names, sample }: CsvLayout,
  { isComma, nulls }: { isComma: boolean; nulls: ReadonlySet<string> },
): CsvColumn[] {
  return names.map((name, at) => {
    const values = sample.map((record) => record[at] ?? '').filter((value) => !nulls.has(value))
    if (values.length === 0) return { name, type: 'VARCHAR' }
    const found = forms(isComma).find(({ type, pattern }) => {
      const alike = values.filter((value) => pattern.test(value)).length
      // One leading zero says that they are codes: rejected, it would be lost.
      const isCode = (type === 'BIGINT' || type === 'DOUBLE') && values.some(isCodeLike)
      return alike / values.length >= LIKE_SHARE && !isCode
    })
    if (found === undefined) return { name, type: 'VARCHAR' }
    const { type, format } = found
    return format === undefined ? { name, type } : { name, type, format }
  })
}

const isCodeLike = (value: string) => /^[+-]?0\d/.test(value)

/** Of a column, over all rows. */
interface Counts {
  values: number
  unlike: number
  /** That begin with a zero. */
  codes: number
  /** Whole numbers too long for 64 bits. */
  long: number
  longest: number
  unlikeDouble: number
  unlikeInteger: number
}

/**
 * The same over all rows: what the first ones said is taken back where too many others say otherwise.
 *
 * @param rows of the file, each column a VARCHAR.
 */
export async function confirmedColumns(
  connection: DuckDBConnection,
  rows: string,
  guessed: readonly CsvColumn[],
  { isComma, rejectedMax }: { isComma: boolean; rejectedMax: number },
): Promise<CsvColumn[]> {
  const asked = guessed.filter(({ type }) => type !== 'VARCHAR')
  if (asked.length === 0) return [...guessed]
  const counts = await countsOf(connection, rows, asked, isComma)
  const confirmed = new Map<string, CsvColumn>()
  let unlike = 0
  // Those with the fewest first: what may be left out is left to as many columns as it lasts for.
  const byUnlike = asked
    .map((column, at) => ({ column, count: counts[at]! }))
    .toSorted((a, b) => a.count.unlike - b.count.unlike)
  for (const { column, count } of byUnlike) {
    const kept = confirm(column, count, rejectedMax - unlike)
    if (kept.type === column.type) unlike += count.unlike
    confirmed.set(column.name, kept)
  }
  return guessed.map((column) => confirmed.get(column.name) ?? column)
}

function confirm(column: CsvColumn, count: Counts, spare: number): CsvColumn {
  const { name, type } = column
  const isNumber = type === 'BIGINT' || type === 'DOUBLE'
  const text = { name, type: 'VARCHAR' }
  if (isNumber && count.codes > 0) return text
  if (isNumber && count.long > 0 && count.long === count.unlikeInteger) {
    return count.longest <= LONG_DIGITS_MAX ? { name, type: 'DECIMAL(38,0)' } : text
  }
  const mayReject = (unlike: number) =>
    unlike <= spare && unlike <= count.values * REJECTED_SHARE_MAX
  if (count.unlike === 0) return column
  if (type === 'BIGINT' && count.unlikeDouble < count.unlike) {
    return mayReject(count.unlikeDouble) ? { name, type: 'DOUBLE' } : text
  }
  return mayReject(count.unlike) && column.format === undefined ? column : text
}

/** More in one statement take DuckDB longer than to read the file again. */
const COLUMNS_AT_ONCE = 100

async function countsOf(
  connection: DuckDBConnection,
  rows: string,
  columns: readonly CsvColumn[],
  isComma: boolean,
): Promise<Counts[]> {
  const counts: Counts[] = []
  for (let at = 0; at < columns.length; at += COLUMNS_AT_ONCE) {
    const some = columns.slice(at, at + COLUMNS_AT_ONCE)
    const asked = some.map((column, index) => `${countsSql(column, isComma)} AS c${index}`)
    const read = await connection.runAndReadAll(`SELECT ${asked.join(', ')} FROM ${rows}`)
    const found = owedRow(read.getRowsJson() as Record<keyof Counts, string>[][])
    for (const each of found) {
      const numbers = Object.entries(each).map(([name, count]) => [name, Number(count)])
      counts.push(Object.fromEntries(numbers) as Counts)
    }
  }
  return counts
}

function countsSql({ name, type, format }: CsvColumn, isComma: boolean): string {
  const column = identifier(name)
  const number = isComma ? `replace(${column}, ',', '.')` : column
  const unlike = (value: string) => `count(${column}) - count(${value})`
  if (type !== 'BIGINT' && type !== 'DOUBLE') {
    const value =
      format === undefined
        ? `TRY_CAST(${column} AS ${type})`
        : `try_strptime(${column}, ${quoted(format)})`
    return packed({ values: `count(${column})`, unlike: unlike(value) })
  }
  const integer = wholeNumber(column)
  const double = `TRY_CAST(${number} AS DOUBLE)`
  const isLong = `length(${column}) > 18`
  // Without regular expressions: each would take megabytes, in each thread.
  const isDigits = `translate(${column}, '0123456789+-', '') = ''`
  const hasZero = `${column} LIKE '0_%' AND substr(${column}, 2, 1) BETWEEN '0' AND '9'`
  return packed({
    values: `count(${column})`,
    unlike: unlike(type === 'BIGINT' ? integer : double),
    codes: `count_if(${hasZero})`,
    long: `count_if(${isLong} AND ${integer} IS NULL AND ${isDigits})`,
    // Not by FILTER, which copies what all aggregates read, for each of them.
    longest: `coalesce(max(CASE WHEN ${isLong} THEN length(ltrim(${column}, '+-')) END), 0)`,
    unlikeInteger: unlike(integer),
    unlikeDouble: unlike(double),
  })
}

/** A cast alone makes 1 of `0.5`. */
const wholeNumber = (column: string) =>
  `CASE WHEN NOT contains(${column}, '.') AND NOT contains(lower(${column}), 'e') THEN TRY_CAST(${column} AS BIGINT) END`

const packed = (counts: Partial<Record<keyof Counts, string>>) =>
  `struct_pack(${Object.entries(counts)
    .map(([name, count]) => `"${name}" := ${count}`)
    .join(', ')})`
