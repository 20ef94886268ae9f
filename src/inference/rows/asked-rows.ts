import { FORECAST_NAMES, type Manifest, type ModelInput } from '../manifest.ts'
import { BadRow } from './bad-row.ts'
import { type CsvRow, readCsv } from './csv-rows.ts'
import { readJson } from './json-rows.ts'
import { readNdjson } from './ndjson-rows.ts'
import type { AskedRow } from './predicted-rows.ts'

/** The forms in which tables come and go. */
export const TABLE_FORMATS = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'text/csv': 'csv',
} as const
export type TableType = keyof typeof TABLE_FORMATS

export const TABLE_TYPES = Object.keys(TABLE_FORMATS) as TableType[]

interface Reading {
  manifest: Manifest
  jsonBytesMax: number
  /** Whether columns that are not the model's are kept, to stand beside the answer. */
  withInputs: boolean
  /** Where they are known before the first row: all inputs of the model must be among them. */
  columns?: readonly string[] | undefined
  /** Is told the columns, by the header or by the first row. */
  onHeader: (columns: readonly string[]) => unknown
}

/**
 * Reads the rows of a table for one model. Columns that are not its inputs are not for it.
 *
 * @throws {BadRow}
 * @throws {Problem} as `readJson`.
 */
export async function* askedRows(
  type: TableType,
  body: ReadableStream<Uint8Array>,
  { manifest: { kind, inputs }, jsonBytesMax, withInputs, columns, onHeader }: Reading,
): AsyncGenerator<AskedRow> {
  if (columns !== undefined) requireInputs(inputs, columns)
  const names = new Set(inputs.map(({ name }) => name))
  if (type === 'text/csv') {
    refuseSeries(inputs)
    const rows = readCsv(
      body,
      (header) => {
        requireInputs(inputs, header)
        onHeader(header)
      },
      (column) => withInputs || names.has(column),
    )
    for await (const { row, bytes } of rows) {
      yield { features: featuresOf(inputs, row), shown: row, bytes }
    }
    return
  }
  const told = new Set(kind === 'forecast' ? [...names, ...FORECAST_NAMES] : names)
  const values = type === 'application/json' ? readJson(body, jsonBytesMax) : readNdjson(body)
  let isFirst = true
  for await (const { value, bytes } of values) {
    if (isFirst) onHeader(columnsOf(value, names, told))
    isFirst = false
    yield { features: ofModel(value, names, told), shown: value as Record<string, unknown>, bytes }
  }
}

/** All inputs of the model, in the order of the row where it has them, and what else the row has. */
function columnsOf(
  value: unknown,
  names: ReadonlySet<string>,
  told: ReadonlySet<string>,
): string[] {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : []
  const shown = keys.filter((name) => names.has(name) || !told.has(name))
  return [...new Set([...shown, ...names])]
}

/**
 * An object without what is not for the model, where it has all that is. One that lacks an input and has
 * something else may have it under a wrong name, so it is left to the model, which refuses that.
 */
function ofModel(value: unknown, names: ReadonlySet<string>, told: ReadonlySet<string>): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const row = value as Record<string, unknown>
  const keys = Object.keys(row)
  const known = keys.filter((name) => told.has(name))
  const isWhole = [...names].every((name) => Object.hasOwn(row, name))
  if (known.length === keys.length || !isWhole) return value
  return Object.fromEntries(known.map((name) => [name, row[name]]))
}

function refuseSeries(inputs: readonly ModelInput[]): void {
  const series = inputs.find(({ type }) => type === 'series')
  if (series === undefined) return
  throw new BadRow(undefined, `"${series.name}" is a series, which a cell can't hold: send NDJSON.`)
}

function requireInputs(inputs: readonly ModelInput[], columns: readonly string[]): void {
  const given = new Set(columns)
  const missing = inputs.filter(({ name }) => !given.has(name)).map(({ name }) => name)
  if (missing.length === 0) return
  throw new BadRow(
    undefined,
    `The table has no column ${missing.map((name) => `"${name}"`).join(', ')}.`,
  )
}

/** The cells of the inputs, as values; what else there is is not for the model. */
function featuresOf(inputs: readonly ModelInput[], row: CsvRow): Record<string, unknown> {
  const features: Record<string, unknown> = {}
  for (const input of inputs) features[input.name] = valueOf(input, row[input.name] ?? '')
  return features
}

/** As R and pandas write them. */
const TRUTHS = new Map([
  ['TRUE', true],
  ['True', true],
  ['true', true],
  ['FALSE', false],
  ['False', false],
  ['false', false],
])

function valueOf(input: ModelInput, cell: string): unknown {
  if (cell === '') return null
  if (input.type === 'category') {
    return cell === 'NA' && !input.categories.includes('NA') ? null : cell
  }
  const truth = TRUTHS.get(cell)
  if (truth !== undefined) return truth
  const number = Number(cell)
  return Number.isNaN(number) || cell.trim() === '' ? cell : number
}
