import type { Matrix } from './features.ts'
import { type Interval, intervalPlaces } from './forecasts/intervals.ts'
import { type Timeline, timesAhead } from './forecasts/timeline.ts'
import { type ForecastManifest, type Manifest, outputWidth } from './manifest.ts'

/** What a model says, as callers read it. */
export interface Described {
  /** A label, a number, a number an output, or a number a step, for each row. */
  predictions: (string | number | number[])[]
  /** Of a classification: for each row the probability of each class. */
  probabilities?: Record<string, number>[]
  /** Of a forecast where rows tell of times: for each row the time of each step, null for one that does not. */
  timestamps?: (string[] | null)[]
  /** Of a forecast that has them: for each row its intervals, the narrowest first. */
  intervals?: Interval[][]
  model_version: string
}

/** @param outputs row by row, as the model gives them. */
export function describe(manifest: Manifest, matrix: Matrix, outputs: Float64Array): Described {
  const { version: model_version } = manifest
  const width = matrix.rows === 0 ? 0 : outputs.length / matrix.rows
  switch (manifest.kind) {
    case 'classification': {
      const { classes } = manifest
      const predictions: string[] = []
      const probabilities: Record<string, number>[] = []
      for (let at = 0; at < outputs.length; at += width) {
        const probability: Record<string, number> = {}
        let best = 0
        for (let index = 0; index < width; index++) {
          probability[classes[index]!] = outputs[at + index]!
          if (outputs[at + index]! > outputs[at + best]!) best = index
        }
        predictions.push(classes[best]!)
        probabilities.push(probability)
      }
      return { predictions, probabilities, model_version }
    }
    case 'regression':
      return { predictions: numbersOf(outputs, width), model_version }
    case 'forecast':
      return { ...forecastOf(manifest, matrix, outputs), model_version }
  }
}

/** A number a row, or several of a model that answers several. */
function numbersOf(outputs: Float64Array, width: number): number[] | number[][] {
  if (width <= 1) return Array.from(outputs)
  return Array.from({ length: outputs.length / width }, (_, row) =>
    Array.from(outputs.subarray(row * width, (row + 1) * width)),
  )
}

function forecastOf(
  manifest: ForecastManifest,
  { rows, horizons, timelines }: Matrix,
  outputs: Float64Array,
): Omit<Described, 'model_version'> {
  const width = outputWidth(manifest)
  const places = intervalPlaces(manifest)
  const stepsOf = (row: number) => horizons?.[row] ?? manifest.horizon.max
  function stepsFrom(row: number, place: number): number[] {
    const start = row * width + place
    return Array.from(outputs.subarray(start, start + stepsOf(row)))
  }
  const intervalsOf = (row: number): Interval[] =>
    places.map(({ level, lower, upper }) => ({
      level,
      lower: stepsFrom(row, lower),
      upper: stepsFrom(row, upper),
    }))
  const timesOf = (timeline: Timeline | undefined, row: number) =>
    timeline === undefined ? null : timesAhead(timeline, stepsOf(row))

  const each = Array.from({ length: rows }, (_, row) => row)
  return {
    predictions: each.map((row) => stepsFrom(row, 0)),
    ...(timelines === undefined ? {} : { timestamps: timelines.map(timesOf) }),
    ...(places.length === 0 ? {} : { intervals: each.map(intervalsOf) }),
  }
}
