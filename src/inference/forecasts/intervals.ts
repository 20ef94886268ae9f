import type { ForecastManifest } from '../manifest.ts'

/** Between a lower and an upper bound, a number each step, the truth lies as probably as `level` says. */
export interface Interval {
  level: number
  lower: number[]
  upper: number[]
}

/** Where a number each step stands in what a model answers of a row. */
interface Place {
  level: number
  lower: number
  upper: number
}

/** Of each level where its bounds begin: behind the forecast itself, first all the lower, then all the upper. */
export const intervalPlaces = ({ horizon: { max }, intervals = [] }: ForecastManifest): Place[] =>
  intervals.map((level, at) => ({ level, lower: (1 + 2 * at) * max, upper: (2 + 2 * at) * max }))

/** A level as people say it, in percent: 80, 97.5. */
export const percentOf = (level: number): string => String(Number((100 * level).toPrecision(12)))
