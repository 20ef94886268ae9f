import type { Features, Matrix } from '../features.ts'
import { intervalPlaces, percentOf } from '../forecasts/intervals.ts'
import { timesAhead } from '../forecasts/timeline.ts'
import { inputWidth, type Manifest, type ModelInput, outputWidth, widthOf } from '../manifest.ts'
import type { WantedOutput } from './infer-request.ts'
import { BadTensor, type Datatype, type Tensor } from './tensor.ts'

/** A tensor as metadata tells of it; -1 is the number of rows. */
export interface TensorMetadata {
  name: string
  datatype: Datatype
  shape: number[]
}

/** All inputs as one tensor [rows, width]: numbers, a category as its position, what is missing as NaN. */
const MATRIX = 'features'
const HORIZON = 'horizon'
const PROBABILITIES = 'probabilities'
const TIMESTAMPS = 'timestamps'

/** Of the rows that are answered what their tensors need. */
type Answered = Pick<Matrix, 'rows' | 'timelines'>

/** A tensor an input: numbers, or the names of categories. */
export const inputTensors = ({ inputs }: Manifest): TensorMetadata[] =>
  inputs.map((input) => ({
    name: input.name,
    datatype: input.type === 'category' ? 'BYTES' : 'FP64',
    shape: [-1, input.type === 'series' ? input.length : 1],
  }))

export const outputTensors = (manifest: Manifest): TensorMetadata[] =>
  placedTensors(manifest).map(({ place: _, ...metadata }) => metadata)

/** With the column of the model's output at which its numbers begin. */
interface PlacedTensor extends TensorMetadata {
  place: number
}

function placedTensors(manifest: Manifest): PlacedTensor[] {
  const { name } = manifest.outputs[0]!
  switch (manifest.kind) {
    case 'classification': {
      const shape = [-1, outputWidth(manifest)]
      return [
        { name, datatype: 'BYTES', shape: [-1, 1], place: 0 },
        { name: PROBABILITIES, datatype: 'FP64', shape, place: 0 },
      ]
    }
    case 'regression':
      return manifest.outputs.map((output, place) => ({
        name: output.name,
        datatype: 'FP64',
        shape: [-1, 1],
        place,
      }))
    case 'forecast': {
      const shape = [-1, manifest.horizon.max]
      const bounds = intervalPlaces(manifest).flatMap(({ level, lower, upper }) => [
        { name: `${name}_lower_${percentOf(level)}`, place: lower },
        { name: `${name}_upper_${percentOf(level)}`, place: upper },
      ])
      return [{ name, place: 0 }, ...bounds].map((each) => ({ ...each, datatype: 'FP64', shape }))
    }
  }
}

/** Of a request that tells of times, which alone has an answer with some. */
const timeTensor = (manifest: Manifest, { timelines }: Answered): TensorMetadata[] =>
  manifest.kind !== 'forecast' || timelines === undefined
    ? []
    : [{ name: TIMESTAMPS, datatype: 'BYTES', shape: [-1, manifest.horizon.max] }]

/** The names of all that is answered, where none are asked for. */
export const outputNames = (manifest: Manifest, matrix: Answered): string[] =>
  [...outputTensors(manifest), ...timeTensor(manifest, matrix)].map(({ name }) => name)

/**
 * The features that a request's tensors are: checked as far as their shapes go, and by the model's
 * encoder from there on.
 *
 * @throws {BadTensor} naming the tensor that does not fit.
 */
export function featuresOf(manifest: Manifest, tensors: readonly Tensor[]): Features | Matrix {
  const [first] = tensors
  if (first === undefined) throw new BadTensor('The request has no inputs.')
  const rows = first.shape[0]!
  const names = new Set<string>()
  for (const { name, shape } of tensors) {
    if (names.has(name)) throw new BadTensor(`The input "${name}" stands twice.`)
    names.add(name)
    if (shape[0] === rows) continue
    throw new BadTensor(`"${name}" has ${shape[0]} rows where "${first.name}" has ${rows}.`)
  }
  const isMatrix = tensors.length === 1 && first.name === MATRIX
  if (isMatrix && manifest.inputs.every(({ name }) => name !== MATRIX)) {
    return matrixOf(manifest, first, rows)
  }
  return Object.fromEntries(
    tensors.map((tensor) => {
      const input = manifest.inputs.find(({ name }) => name === tensor.name)
      return [tensor.name, columnOf(tensor, input, rows)]
    }),
  )
}

function matrixOf(manifest: Manifest, { shape, values, datatype }: Tensor, rows: number): Matrix {
  const width = inputWidth(manifest)
  if (datatype === 'BYTES' || shape.length !== 2 || shape[1] !== width) {
    throw new BadTensor(
      `"${MATRIX}" is ${datatype} [${shape.join(', ')}], not numbers [rows, ${width}].`,
    )
  }
  const horizons =
    manifest.kind === 'forecast' ? new Int32Array(rows).fill(manifest.horizon.default) : undefined
  const numbers = Float64Array.from(values as readonly number[])
  requireCodes(manifest, numbers, width)
  return {
    rows,
    values: numbers,
    horizons,
    timelines: undefined,
  }
}

/** By their codes categories are as strict as by their names. */
function requireCodes({ inputs }: Manifest, values: Float64Array, width: number): void {
  let column = 0
  for (const input of inputs) {
    if (input.type === 'category') {
      const codes = new Set(input.codes ?? input.categories.keys())
      for (let at = column; at < values.length; at += width) {
        const code = values[at]!
        if (Number.isNaN(code) || codes.has(code)) continue
        throw new BadTensor(`"${MATRIX}" has ${code} for "${input.name}", which is no code of it.`)
      }
    }
    column += widthOf(input)
  }
}

function columnOf({ name, shape, values }: Tensor, input: ModelInput | undefined, rows: number) {
  const cells = Array.from<number | string, unknown>(values, cellOf)
  if (input?.type === 'category' && !input.categories.includes('')) missingWhereEmpty(cells)
  if (input?.type === 'series' || (input === undefined && name === TIMESTAMPS)) {
    const [, length = 1, ...more] = shape
    if (more.length > 0) throw new BadTensor(`"${name}" has more than two dimensions.`)
    return Array.from({ length: rows }, (_, row) => cells.slice(row * length, (row + 1) * length))
  }
  if (cells.length === rows) return name === HORIZON && rows === 1 ? cells[0] : cells
  throw new BadTensor(`"${name}" has the shape [${shape.join(', ')}], not [rows] or [rows, 1].`)
}

/** Bytes have no other way to say that a category is missing. */
function missingWhereEmpty(cells: unknown[]): void {
  for (const [at, cell] of cells.entries()) if (cell === '') cells[at] = null
}

/** As JSON would have it: what it can't say is spelt out. */
function cellOf(value: number | string): unknown {
  if (typeof value === 'string' || Number.isFinite(value)) return value
  if (Number.isNaN(value)) return null
  return value > 0 ? 'Inf' : '-Inf'
}

/**
 * What a model answered, as the tensors that are asked for.
 *
 * @param outputs row by row, as the model gives them.
 * @throws {BadTensor} for an output that the model does not have.
 */
export function answerTensors(
  manifest: Manifest,
  matrix: Answered,
  outputs: Float64Array,
  wanted: readonly WantedOutput[],
): { tensor: Tensor; isBinary: boolean }[] {
  const { rows } = matrix
  const placed = placedTensors(manifest)
  const known: TensorMetadata[] = [...placed, ...timeTensor(manifest, matrix)]
  return wanted.map(({ name, isBinary, classification }) => {
    const metadata = known.find((each) => each.name === name)
    if (metadata === undefined) {
      const names = known.map((each) => `"${each.name}"`).join(' and ')
      throw new BadTensor(`The model has no output "${name}". It has ${names}.`)
    }
    if (classification !== undefined && classification > 0) {
      const tensor = topClasses(manifest, name, { rows, outputs, count: classification })
      return { tensor, isBinary }
    }
    const { datatype } = metadata
    const width = metadata.shape[1]!
    const place = placed.find((each) => each.name === name)?.place
    const valuesOf = () => {
      if (place === undefined) return timesOf(matrix, width)
      if (datatype === 'BYTES') return labels(manifest, rows, outputs)
      return columnsOf(outputs, { from: place, width, of: outputWidth(manifest) })
    }
    return { tensor: { name, datatype, shape: [rows, width], values: valuesOf() }, isBinary }
  })
}

/** So many columns of rows that have more. */
function columnsOf(
  outputs: Float64Array,
  { from, width, of }: { from: number; width: number; of: number },
): Float64Array {
  if (width === of) return outputs
  const columns = new Float64Array((outputs.length / of) * width)
  for (let at = 0, row = from; at < columns.length; at += width, row += of) {
    columns.set(outputs.subarray(row, row + width), at)
  }
  return columns
}

/** The times of all steps; of rows that do not tell of any, empty ones. */
const timesOf = ({ rows, timelines }: Answered, steps: number): string[] =>
  Array.from({ length: rows }, (_, row) => {
    const timeline = timelines?.[row]
    return timeline === undefined ? Array<string>(steps).fill('') : timesAhead(timeline, steps)
  }).flat()

function classesOf(manifest: Manifest): readonly string[] {
  return manifest.kind === 'classification' ? manifest.classes : []
}

function labels(manifest: Manifest, rows: number, outputs: Float64Array): string[] {
  const classes = classesOf(manifest)
  return Array.from({ length: rows }, (_, row) => {
    const [best] = ranked(outputs.subarray(row * classes.length, (row + 1) * classes.length))
    return classes[best!]!
  })
}

/** The classification extension: `score:index:label`, the best first. */
function topClasses(
  manifest: Manifest,
  name: string,
  { rows, outputs, count }: { rows: number; outputs: Float64Array; count: number },
): Tensor {
  const classes = classesOf(manifest)
  if (classes.length === 0) throw new BadTensor(`"${name}" is no classification.`)
  const shown = Math.min(count, classes.length)
  const values: string[] = []
  for (let row = 0; row < rows; row++) {
    const scores = outputs.subarray(row * classes.length, (row + 1) * classes.length)
    for (const index of ranked(scores).slice(0, shown)) {
      values.push(`${scores[index]}:${index}:${classes[index]}`)
    }
  }
  return { name, datatype: 'BYTES', shape: [rows, shown], values }
}

/** Positions by score, the best first; of equal ones the first. */
const ranked = (scores: Float64Array): number[] =>
  Array.from(scores.keys()).toSorted((a, b) => scores[b]! - scores[a]! || a - b)
