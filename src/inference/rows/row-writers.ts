import { type Manifest, outputWidth } from '../manifest.ts'

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
  /** A label, a number, or a number a step. */
  prediction: string | number | number[]
  probabilities: Record<string, number> | undefined
}

/**
 * @param format as by `Accept`.
 * @param inputs the columns that stand before the answer, where they are wanted.
 */
export function createRowWriter(
  format: 'json' | 'ndjson' | 'csv',
  manifest: Manifest,
  inputs: readonly string[],
): RowWriter {
  const { name } = manifest.outputs[0]!
  const objectOf = ({ inputs: given, prediction, probabilities }: AnsweredRow) => ({
    ...given,
    [name]: prediction,
    ...(probabilities === undefined ? {} : { probabilities }),
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
    case 'csv':
      return {
        mediaType: 'text/csv; charset=utf-8',
        begin: lineOf([...inputs, ...answerColumns(manifest)]),
        row: ({ inputs: given, prediction, probabilities }) =>
          lineOf([
            ...inputs.map((column) => given?.[column]),
            ...cellsOf(manifest, prediction),
            ...Object.values(probabilities ?? {}),
          ]),
        end: '',
      }
  }
}

/** `species`, `probability.Adelie` …; a number; or a column a step, `co2.1` …. */
function answerColumns(manifest: Manifest): string[] {
  const { name } = manifest.outputs[0]!
  switch (manifest.kind) {
    case 'classification':
      return [name, ...manifest.classes.map((label) => `probability.${label}`)]
    case 'regression':
      return [name]
    case 'forecast':
      return Array.from({ length: outputWidth(manifest) }, (_, step) => `${name}.${step + 1}`)
  }
}

function cellsOf(manifest: Manifest, prediction: AnsweredRow['prediction']): unknown[] {
  if (!Array.isArray(prediction)) return [prediction]
  // Of a shorter horizon the last steps are empty.
  return Array.from({ length: outputWidth(manifest) }, (_, step) => prediction[step])
}

const lineOf = (cells: readonly unknown[]) => `${cells.map(cellOf).join(',')}\r\n`

function cellOf(value: unknown): string {
  if (value === null || value === undefined || Number.isNaN(value)) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
