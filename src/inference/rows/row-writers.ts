import { type Interval, percentOf } from '../forecasts/intervals.ts'
import type { Manifest } from '../manifest.ts'

/** Writes rows one after the other, in one of the forms that callers accept. */
export interface RowWriter {
  mediaType: string
  /** What stands before the rows. */
  begin: string
  row(row: AnsweredRow, isFirst: boolean): string
  end: string
}

/** What a model says of a row, beside what it was asked where that is wanted. */
interface AnsweredRow {
  inputs: Record<string, unknown> | undefined
  /** A label, a number, a number an output, or a number a step. */
  prediction: string | number | number[]
  probabilities: Record<string, number> | undefined
  /** Of a forecast whose row tells of times: the time of each step. */
  timestamps: string[] | undefined
  intervals: Interval[] | undefined
}

/**
 * @param format as by `Accept`; `columns` are NDJSON with a member for each column of a CSV, for what makes a file
 * of them.
 * @param inputs the columns that stand before the answer, where they are wanted.
 */
export function createRowWriter(
  format: 'json' | 'ndjson' | 'csv' | 'columns',
  manifest: Manifest,
  inputs: readonly string[],
): RowWriter {
  const objectOf = ({
    inputs: given,
    prediction,
    probabilities,
    timestamps,
    intervals,
  }: AnsweredRow) => ({
    ...given,
    ...namedAnswers(manifest, prediction, (name) => given !== undefined && name in given),
    ...(probabilities === undefined ? {} : { probabilities }),
    ...(timestamps === undefined ? {} : { timestamps }),
    ...(intervals === undefined ? {} : { intervals }),
  })
  switch (format) {
    case 'json':
      return {
        mediaType: 'application/json',
        begin: '[',
        row: (row, isFirst) => `${isFirst ? '' : ','}${JSON.stringify(objectOf(row))}`,
        end: ']\n',
      }
    case 'ndjson':
      return {
        mediaType: 'application/x-ndjson',
        begin: '',
        row: (row) => `${JSON.stringify(objectOf(row))}\n`,
        end: '',
      }
    case 'columns': {
      const names = answerColumnsBeside(manifest, inputs)
      return {
        mediaType: 'application/x-ndjson',
        begin: '',
        row(row) {
          const cells = cellsOf(manifest, row)
          const answer = Object.fromEntries(names.map((name, at) => [name, cells[at] ?? null]))
          return `${JSON.stringify({ ...typedInputs(manifest, row.inputs), ...answer })}\n`
        },
        end: '',
      }
    }
    case 'csv':
      return {
        mediaType: 'text/csv; charset=utf-8',
        begin: lineOf([...inputs, ...answerColumnsBeside(manifest, inputs)]),
        row: (row) =>
          lineOf([...inputs.map((column) => row.inputs?.[column]), ...cellsOf(manifest, row)]),
        end: '',
      }
  }
}

/** Of a regression with several outputs each by its name. */
function namedAnswers(
  { kind, outputs }: Manifest,
  prediction: AnsweredRow['prediction'],
  isSent: IsSent,
) {
  const nameOf = (at: number) => answerName(outputs[at]!.name, isSent)
  if (kind !== 'regression' || !Array.isArray(prediction)) return { [nameOf(0)]: prediction }
  return Object.fromEntries(outputs.map((_, at) => [nameOf(at), prediction[at]]))
}

type IsSent = (name: string) => boolean

/** A table that holds the truth keeps it: the answer stands beside it. */
const answerName = (name: string, isSent: IsSent) => (isSent(name) ? `predicted.${name}` : name)

/**
 * `species`, `probability.Adelie` …; a number an output; or a column a step, `co2.1` …, and where the model has
 * a frequency `co2.timestamp.1` …, where it has intervals `co2.lower_80.1` …, `co2.upper_80.1` ….
 */
export function answerColumns(manifest: Manifest): string[] {
  const { name } = manifest.outputs[0]!
  switch (manifest.kind) {
    case 'classification':
      return [name, ...manifest.classes.map((label) => `probability.${label}`)]
    case 'regression':
      return manifest.outputs.map((output) => output.name)
    case 'forecast': {
      const { horizon, frequency, intervals = [] } = manifest
      const groups = [
        name,
        ...(frequency === undefined ? [] : [`${name}.timestamp`]),
        ...intervals.flatMap((level) =>
          ['lower', 'upper'].map((bound) => `${name}.${bound}_${percentOf(level)}`),
        ),
      ]
      return groups.flatMap((group) =>
        Array.from({ length: horizon.max }, (_, step) => `${group}.${step + 1}`),
      )
    }
  }
}

/** As they are called beside these inputs. */
function answerColumnsBeside(manifest: Manifest, inputs: readonly string[]): string[] {
  const sent = new Set(inputs)
  return answerColumns(manifest).map((name) => answerName(name, (each) => sent.has(each)))
}

/** What the columns of answers are in SQL, behind these inputs where they are among the rows. */
export function answerTypes(
  manifest: Manifest,
  inputs: readonly string[],
): { name: string; type: string }[] {
  const isText = textColumns(manifest)
  const names = answerColumnsBeside(manifest, inputs)
  return answerColumns(manifest).map((column, at) => ({
    name: names[at]!,
    type: isText(column) ? 'VARCHAR' : 'DOUBLE',
  }))
}

const INPUT_TYPES = { number: 'DOUBLE', category: 'VARCHAR', series: 'DOUBLE[]' }

/** What the columns that were sent are in SQL: what is not the model's is text. */
export function inputTypes(
  { inputs }: Manifest,
  columns: readonly string[],
): { name: string; type: string }[] {
  const types = new Map(inputs.map(({ name, type }) => [name, INPUT_TYPES[type]]))
  return columns.map((name) => ({ name, type: types.get(name) ?? 'VARCHAR' }))
}

/** Cells of a CSV are text, whatever they are of. */
function typedInputs({ inputs }: Manifest, given: AnsweredRow['inputs']): AnsweredRow['inputs'] {
  if (given === undefined) return undefined
  const typed = { ...given }
  for (const { name, type } of inputs) {
    const value = typed[name]
    if (type === 'category' || typeof value !== 'string') continue
    const number = value.trim() === '' ? NaN : Number(value)
    typed[name] = Number.isNaN(number) ? null : number
  }
  return typed
}

/** Which of them hold text, and not a number. */
export function textColumns({ kind, outputs }: Manifest): (column: string) => boolean {
  const { name } = outputs[0]!
  if (kind === 'forecast') return (column) => column.startsWith(`${name}.timestamp.`)
  return (column) => kind === 'classification' && column === name
}

function cellsOf(
  manifest: Manifest,
  { prediction, probabilities, timestamps = [], intervals = [] }: AnsweredRow,
): unknown[] {
  if (manifest.kind !== 'forecast') {
    // By the classes: an object has keys that look like numbers in an order of its own.
    const shares = manifest.kind === 'classification' ? manifest.classes : []
    return [prediction, ...shares.map((label) => probabilities?.[label])].flat()
  }
  const { horizon, frequency } = manifest
  const groups: unknown[][] = [
    prediction as number[],
    ...(frequency === undefined ? [] : [timestamps]),
    ...intervals.flatMap(({ lower, upper }) => [lower, upper]),
  ]
  // Of a shorter horizon the last steps are empty.
  return groups.flatMap((group) => Array.from({ length: horizon.max }, (_, step) => group[step]))
}

const lineOf = (cells: readonly unknown[]) => `${cells.map(cellOf).join(',')}\r\n`

function cellOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number' && !Number.isFinite(value)) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
