import type { Fault } from '../../gateway/problems.ts'
import type { Features, Matrix } from '../features.ts'
import { type Manifest, outputWidth } from '../manifest.ts'

/** Rows that an upload brings along, and what the library that made the model says of them. */
export interface Examples {
  /** By row or by column, as a request has them. */
  features: Features
  /**
   * One a row. Of a classification the probabilities, by class or in the order of the classes, or of two
   * classes that of the second, or the label alone; of a regression the number; of a forecast the numbers.
   */
  predictions: readonly unknown[]
}

/** Of probabilities as it is; of numbers a share of what the library says, or of how large its answers usually are. */
const PROBABILITY_TOLERANCE = 1e-6
const RELATIVE_TOLERANCE = 1e-5

interface Difference {
  row: number
  /** How much it is beyond what may be. */
  excess: number
  said: unknown
  got: unknown
}

/**
 * Holds what the server makes of rows against what the library said.
 *
 * @param outputs row by row, as the model gives them here.
 * @returns a fault that names the row that is furthest off.
 */
export function parityFault(
  manifest: Manifest,
  { rows }: Matrix,
  outputs: Float64Array,
  { predictions }: Examples,
): Fault | undefined {
  if (predictions.length !== rows) {
    return {
      path: ['predictions'],
      detail: `are ${predictions.length} where features has ${rows} rows`,
    }
  }
  const width = outputWidth(manifest)
  const labelled = withLabels(manifest, predictions)
  const scale = scaleOf(predictions)
  let worst: Difference | undefined
  let differing = 0
  for (const [row, said] of labelled.entries()) {
    const got = outputs.subarray(row * width, (row + 1) * width)
    const expected = expectedOf(manifest, said, width)
    if (typeof expected === 'string') return { path: ['predictions', row], detail: expected }
    const excess = excessOf(manifest, expected, got, scale)
    if (!(excess > 1)) continue
    differing += 1
    if (worst === undefined || excess > worst.excess) {
      worst = { row, excess, said, got: shown(manifest, expected, got) }
    }
  }
  if (worst === undefined) return undefined
  const { row, said, got } = worst
  const others = differing === 1 ? '' : ` (the worst of ${differing} that differ)`
  return {
    path: ['predictions', row],
    detail: `the library said ${JSON.stringify(said)} where the server says ${JSON.stringify(got)}${others}`,
  }
}

/** A library that answers numbers where it means labels, as scikit-learn's `predict` does. */
function withLabels(manifest: Manifest, predictions: readonly unknown[]): readonly unknown[] {
  if (manifest.kind !== 'classification') return predictions
  const { classes } = manifest
  const isLabel = (said: unknown) => Number.isInteger(said) && classes.includes(String(said))
  return predictions.every(isLabel) ? predictions.map(String) : predictions
}

/**
 * A tenth of how large a number usually is: what is smaller is the difference of larger ones, whose rounding it
 * keeps, in a library that adds in float32.
 */
function scaleOf(predictions: readonly unknown[]): number {
  const sizes = predictions.flat().filter(isNumber).map(Math.abs)
  const sorted = sizes.toSorted((a, b) => a - b)
  return (sorted[Math.floor(sorted.length / 2)] ?? 0) / 10
}

/** A label, or a value an output. */
type Expected = { label: number } | { values: readonly number[] }

/** @returns a text where it is none of the forms. */
function expectedOf(manifest: Manifest, said: unknown, width: number): Expected | string {
  if (manifest.kind !== 'classification') {
    const values = Array.isArray(said) ? said : [said]
    const isShort = manifest.kind === 'forecast' && values.length <= width
    if (values.every(isNumber) && (values.length === width || isShort)) return { values }
    return width === 1 ? 'expected a number' : `expected ${width} numbers`
  }
  const { classes } = manifest
  if (typeof said === 'string') {
    const label = classes.indexOf(said)
    return label === -1 ? `expected one of ${classes.join(', ')}` : { label }
  }
  if (isNumber(said) && width === 2) return { values: [1 - said, said] }
  if (Array.isArray(said)) {
    return said.length === width && said.every(isNumber)
      ? { values: said }
      : `expected ${width} probabilities`
  }
  if (typeof said !== 'object' || said === null) return 'expected probabilities or a label'
  const values = classes.map((name) => (said as Record<string, unknown>)[name])
  return values.every(isNumber) ? { values } : `expected a probability for each class`
}

const isNumber = (value: unknown): value is number => typeof value === 'number'

/** How many times the tolerance it is off. */
function excessOf(
  manifest: Manifest,
  expected: Expected,
  got: Float64Array,
  scale: number,
): number {
  if ('label' in expected) {
    const best = Math.max(...got)
    return got[expected.label]! >= best - PROBABILITY_TOLERANCE ? 0 : Number.POSITIVE_INFINITY
  }
  let most = 0
  for (const [index, value] of expected.values.entries()) {
    const tolerance =
      manifest.kind === 'classification'
        ? PROBABILITY_TOLERANCE
        : RELATIVE_TOLERANCE * Math.max(scale, Math.abs(value))
    const difference = Math.abs(value - got[index]!)
    const off = difference === 0 ? 0 : difference / tolerance
    most = Number.isNaN(off) ? Number.POSITIVE_INFINITY : Math.max(most, off)
  }
  return most
}

function shown(manifest: Manifest, expected: Expected, got: Float64Array): unknown {
  if ('label' in expected && manifest.kind === 'classification') {
    return manifest.classes[got.indexOf(Math.max(...got))]
  }
  return got.length === 1 ? got[0] : Array.from(got)
}
