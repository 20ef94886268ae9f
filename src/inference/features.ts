import { type Fault, within } from '../gateway/problems.ts'
import { unboxed } from '../gateway/scalar.ts'
import {
  createTimeReader,
  type GivenTimes,
  isFault,
  timeColumns,
  timesIn,
} from './forecasts/forecast-times.ts'
import type { Timeline } from './forecasts/timeline.ts'
import { FORECAST_NAMES, inputWidth, type Manifest, type ModelInput, widthOf } from './manifest.ts'
import { nameOf } from './name-of.ts'

/** Checked features, as a model takes them. */
export interface Matrix {
  rows: number
  /** Row by row, `inputWidth` values each; NaN is missing. */
  values: Float64Array
  /** Of a forecast: how many steps each row asks for. */
  horizons: Int32Array | undefined
  /** Of a forecast where rows tell of times: when the values of each are. */
  timelines: (Timeline | undefined)[] | undefined
}

/** By column `{x: [1, 2]}`, or by row `[{x: 1}, {x: 2}]`; a single row may be `{x: 1}`. */
export type Features = Record<string, unknown> | Record<string, unknown>[]

/** How a value in a numeric column may be spelled as text: jsonlite writes what JSON can't say. */
const NUMBERS_AS_TEXT = new Map([
  ['NA', Number.NaN],
  ['NaN', Number.NaN],
  ['Inf', Number.POSITIVE_INFINITY],
  ['-Inf', Number.NEGATIVE_INFINITY],
])

const FAULTS_MAX = 20
const CATEGORIES_SHOWN_MAX = 12

/** Turns features into the tensor of one model. Built once a model. */
export type Encoder = (features: Features, rowsMax: number, within?: string) => Matrix | Fault[]

export function createEncoder(manifest: Manifest): Encoder {
  const { inputs } = manifest
  const width = inputWidth(manifest)
  const columns = inputs.map(createColumn)
  const names = new Set(inputs.map(({ name }) => name))
  const forecast = manifest.kind === 'forecast' ? manifest : undefined
  const horizon = forecast?.horizon
  const readTimes = forecast && createTimeReader(forecast.frequency)
  const history = columns.findIndex(({ isSeries }) => isSeries)
  const isKnown = (name: string) =>
    names.has(name) || (forecast !== undefined && FORECAST_NAMES.has(name))
  function strangers(record: Record<string, unknown>): Fault[] {
    const faults: Fault[] = []
    for (const name in record) {
      if (!isKnown(name)) faults.push({ path: [name], detail: 'the model has no such column' })
    }
    return faults
  }

  function allocate(rows: number): Matrix {
    return {
      rows,
      values: new Float64Array(rows * width),
      horizons: horizon && new Int32Array(rows).fill(horizon.default),
      timelines: undefined,
    }
  }

  function encodeRows(rows: readonly unknown[]): Matrix | Fault[] {
    const matrix = allocate(rows.length)
    const faults: Fault[] = []
    for (const [index, row] of rows.entries()) {
      if (faults.length >= FAULTS_MAX) break
      if (!isRecord(row)) {
        faults.push({ path: [index], detail: 'expected an object with a value a column' })
        continue
      }
      for (const stranger of strangers(row)) faults.push(within(stranger, index))
      let at = index * width
      for (const column of columns) {
        const value = column.isSeries ? row[column.name] : unboxed(row[column.name])
        const fault = column.write(value, matrix.values, at)
        if (fault !== undefined) faults.push(within(fault, index, column.name))
        at += column.width
      }
      const fault = writeHorizon(matrix, index, unboxed(row['horizon']))
      if (fault !== undefined) faults.push({ path: [index, 'horizon'], detail: fault })
      if (forecast === undefined) continue
      const untimely = writeTimes(matrix, index, timesIn(row), row[columns[history]!.name])
      if (untimely !== undefined) faults.push(within(untimely, index))
    }
    return faults.length > 0 ? faults : matrix
  }

  function encodeColumns(
    record: Record<string, unknown>,
    tooMany: (rows: number) => Fault | undefined,
  ): Matrix | Fault[] {
    const faults: Fault[] = strangers(record)
    const lists: unknown[][] = []
    for (const { name, isSeries } of columns) {
      const value = record[name]
      if (value === undefined) faults.push({ path: [name], detail: 'the column is missing' })
      const isOneRow = isSeries ? !isListOfLists(value) : !Array.isArray(value)
      lists.push(isOneRow ? [value] : (value as unknown[]))
    }
    if (faults.length > 0) return faults

    const rows = lists[0]?.length ?? 0
    for (const [position, list] of lists.entries()) {
      if (list.length === rows) continue
      const [first, other] = [columns[0]!.name, columns[position]!.name]
      const detail = `has ${list.length} rows where ${first} has ${rows}`
      faults.push({ path: [other], detail })
    }
    if (faults.length > 0) return faults
    const fault = tooMany(rows)
    if (fault !== undefined) return [fault]

    const matrix = allocate(rows)
    let offset = 0
    for (const [position, column] of columns.entries()) {
      for (const [index, value] of lists[position]!.entries()) {
        const fault = column.write(value, matrix.values, index * width + offset)
        if (fault !== undefined) faults.push(within(fault, column.name, index))
        if (faults.length >= FAULTS_MAX) return faults
      }
      offset += column.width
    }
    const horizons = record['horizon']
    if (Array.isArray(horizons) && horizons.length !== rows && horizons.length !== 1) {
      return [{ path: ['horizon'], detail: `has ${horizons.length} rows, expected ${rows}` }]
    }
    for (let index = 0; index < rows; index++) {
      const value =
        Array.isArray(horizons) && horizons.length === rows ? horizons[index] : unboxed(horizons)
      const fault = writeHorizon(matrix, index, value)
      if (fault !== undefined) return [{ path: ['horizon'], detail: fault }]
    }
    if (forecast !== undefined) faults.push(...encodeTimes(record, matrix, lists[history]!))
    return faults.length > 0 ? faults : matrix
  }

  function encodeTimes(
    record: Record<string, unknown>,
    matrix: Matrix,
    histories: readonly unknown[],
  ): Fault[] {
    const times = timeColumns(record, matrix.rows)
    if (isFault(times)) return [times]
    for (let row = 0; row < matrix.rows; row++) {
      const fault = writeTimes(matrix, row, times.of(row), histories[row])
      if (fault !== undefined) return [times.placed(fault, row)]
    }
    return []
  }

  function writeTimes(
    matrix: Matrix,
    row: number,
    given: GivenTimes,
    values: unknown,
  ): Fault | undefined {
    if (readTimes === undefined) return undefined
    const timeline = readTimes({ ...given, history: values, horizon: matrix.horizons![row]! })
    if (timeline === undefined) return undefined
    if (isFault(timeline)) return timeline
    matrix.timelines ??= Array<Timeline | undefined>(matrix.rows).fill(undefined)
    matrix.timelines[row] = timeline
    return undefined
  }

  function writeHorizon({ horizons }: Matrix, index: number, value: unknown): string | undefined {
    if (horizons === undefined || horizon === undefined) return undefined
    if (value === undefined || value === null) return undefined
    const isWhole = typeof value === 'number' && Number.isInteger(value)
    if (!isWhole || value < 1 || value > horizon.max) {
      return `expected a whole number from 1 to ${horizon.max}`
    }
    horizons[index] = value
    return undefined
  }

  return (features, rowsMax, within = 'one request') => {
    const tooMany = (rows: number) =>
      rows > rowsMax ? wrong(`has ${rows} rows, at most ${rowsMax} go in ${within}`) : undefined
    if (!Array.isArray(features)) return encodeColumns(features, tooMany)
    const fault = tooMany(features.length)
    return fault === undefined ? encodeRows(features) : [fault]
  }
}

interface Column {
  name: string
  width: number
  isSeries: boolean
  /** Writes one value; what it returns is what is wrong with it, and where within it. */
  write(value: unknown, into: Float64Array, at: number): Fault | undefined
}

function createColumn(input: ModelInput): Column {
  const { name } = input
  const width = widthOf(input)
  switch (input.type) {
    case 'number':
      return { name, width, isSeries: false, write: input.integer ? writeInteger : writeNumber }
    case 'category':
      return { name, width, isSeries: false, write: categoryWriter(input) }
    case 'series':
      return { name, width, isSeries: true, write: seriesWriter(width) }
  }
}

function writeNumber(value: unknown, into: Float64Array, at: number): Fault | undefined {
  if (typeof value === 'number') {
    // JSON has no infinity; what JSON.parse makes of 1e999 was not meant.
    if (!Number.isFinite(value)) return wrong('the number is too large')
    into[at] = value
    return undefined
  }
  if (isMissing(value)) {
    into[at] = Number.NaN
    return undefined
  }
  // R and pandas have columns of truth values, which their models take as numbers.
  if (typeof value === 'boolean') {
    into[at] = Number(value)
    return undefined
  }
  const spelled = typeof value === 'string' ? NUMBERS_AS_TEXT.get(value) : undefined
  if (spelled === undefined) return wrong(`expected a number, got ${nameOf(value)}`)
  into[at] = spelled
  return undefined
}

/** Of a model whose type has no place for anything else. */
function writeInteger(value: unknown, into: Float64Array, at: number): Fault | undefined {
  const number = typeof value === 'boolean' ? Number(value) : value
  if (typeof number === 'number' && Number.isSafeInteger(number)) {
    into[at] = number
    return undefined
  }
  return wrong(`expected a whole number, got ${nameOf(value)}`)
}

function categoryWriter({
  categories,
  codes: given,
}: Extract<ModelInput, { type: 'category' }>): Column['write'] {
  const codes = new Map(categories.map((category, at) => [category, given?.[at] ?? at]))
  const shown = categories
    .slice(0, CATEGORIES_SHOWN_MAX)
    .map((category) => JSON.stringify(category))
    .join(', ')
  const expected = `expected one of ${shown}${categories.length > CATEGORIES_SHOWN_MAX ? ', …' : ''}`
  return (value, into, at) => {
    if (isMissing(value)) {
      into[at] = Number.NaN
      return undefined
    }
    const isName = typeof value === 'string' || typeof value === 'number'
    const code = isName ? codes.get(String(value)) : undefined
    if (code === undefined) return wrong(`${expected}, got ${nameOf(value)}`)
    into[at] = code
    return undefined
  }
}

function seriesWriter(length: number): Column['write'] {
  // R writes a series of one as a scalar.
  const write: Column['write'] = (value, into, at) => {
    if (typeof value === 'number') return write([value], into, at)
    if (!Array.isArray(value)) return wrong(`expected a list of numbers, got ${nameOf(value)}`)
    const skipped = Math.max(0, value.length - length)
    const start = at + length - (value.length - skipped)
    into.fill(Number.NaN, at, start)
    let hasValue = false
    for (let index = skipped; index < value.length; index++) {
      const position = start + index - skipped
      const fault = writeNumber(value[index], into, position)
      if (fault !== undefined) return within(fault, index)
      hasValue ||= !Number.isNaN(into[position]!)
    }
    return hasValue ? undefined : wrong('expected at least one value that is not missing')
  }
  return write
}

const wrong = (detail: string): Fault => ({ path: [], detail })

/** jsonlite writes NULL as an empty object. */
const isMissing = (value: unknown) =>
  value === null || value === undefined || (isRecord(value) && Object.keys(value).length === 0)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isListOfLists = (value: unknown) =>
  Array.isArray(value) && (value.length === 0 || value.some((item) => Array.isArray(item)))
