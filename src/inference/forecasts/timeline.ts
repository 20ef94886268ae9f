import { type Step, timeAfter } from './step.ts'
import { isInRange } from './timestamp.ts'

/** When the values of a series are. */
export interface Timeline {
  /** Of its last value so far, in milliseconds since 1970. */
  last: number
  step: Step
}

/** @returns whether so many values to come all have a time that can be told. */
export const reaches = ({ last, step }: Timeline, count: number) =>
  isInRange(timeAfter(last, step, count))

/** The times of the values to come, as ISO 8601 in UTC; empty beyond what can be told. */
export const timesAhead = ({ last, step }: Timeline, count: number): string[] =>
  Array.from({ length: count }, (_, at) => {
    const time = timeAfter(last, step, at + 1)
    return isInRange(time) ? new Date(time).toISOString() : ''
  })
