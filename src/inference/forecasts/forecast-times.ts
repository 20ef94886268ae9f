import { type Fault, within } from '../../gateway/problems.ts'
import { unboxed } from '../../gateway/scalar.ts'
import { isUneven, spacingOf } from './spacing.ts'
import { stepOf } from './step.ts'
import { reaches, type Timeline } from './timeline.ts'
import { readTimestamp } from './timestamp.ts'

const LAST = 'last_timestamp'
const ALL = 'timestamps'

/** Members of a row that tell when its history was: when it ends, or of each value when it was. */
export const TIME_NAMES = [LAST, ALL] as const

/** What a row says of times. */
export interface GivenTimes {
  last: unknown
  all: unknown
}

export const timesIn = (row: Record<string, unknown>): GivenTimes => ({
  last: unboxed(row[LAST]),
  all: unboxed(row[ALL]),
})

/** A row that may say when its history was. */
interface TimedRow extends GivenTimes {
  /** As it was sent, longer perhaps than the model looks back. */
  history: unknown
  horizon: number
}

/** @returns when the values to come are; nothing where the row does not tell. The path of a fault begins with the member. */
export type ReadTimes = (row: TimedRow) => Timeline | Fault | undefined

/** @param frequency of the model, for rows that only say when they end. */
export function createTimeReader(frequency: string | undefined): ReadTimes {
  /** Rows of one table often share their times, which are read once. */
  const known = new WeakMap<readonly unknown[], Timeline | Fault>()

  function readLast(value: unknown): Timeline | Fault | undefined {
    const last = readTimestamp(value)
    if (typeof last === 'string') return { path: [LAST], detail: last }
    return frequency === undefined ? undefined : { last, step: stepOf(frequency, last) }
  }

  function readAll(value: unknown, history: unknown): Timeline | Fault | undefined {
    const [given, values] = [listOf(value), listOf(history)]
    if (given.length !== values.length) {
      const detail = `has ${given.length} times where there are ${values.length} values`
      return { path: [ALL], detail }
    }
    if (given.length === 1) {
      const timeline = readLast(given[0])
      const isWrong = timeline !== undefined && isFault(timeline)
      return isWrong ? { ...timeline, path: [ALL] } : timeline
    }
    const timeline = known.get(given) ?? readSeries(given)
    known.set(given, timeline)
    return timeline
  }

  return ({ last, all, history, horizon }) => {
    if (isAbsent(all) && isAbsent(last)) return undefined
    if (!isAbsent(all) && !isAbsent(last)) {
      return { path: [LAST], detail: `expected either it or ${ALL}, not both` }
    }
    const timeline = isAbsent(all) ? readLast(last) : readAll(all, history)
    if (timeline === undefined || isFault(timeline) || reaches(timeline, horizon)) return timeline
    const path = isAbsent(all) ? [LAST] : [ALL, listOf(all).length - 1]
    return { path, detail: 'the horizon reaches beyond the year 9999' }
  }
}

function readSeries(given: readonly unknown[]): Timeline | Fault {
  const times: number[] = []
  for (const [at, each] of given.entries()) {
    const time = readTimestamp(each)
    if (typeof time === 'string') return { path: [ALL, at], detail: time }
    times.push(time)
  }
  if (times.length === 0) return { path: [ALL], detail: 'expected at least one time' }
  const step = spacingOf(times)
  if (!isUneven(step)) return { last: times.at(-1)!, step }
  const { at, expected } = step
  const detail =
    expected === undefined
      ? 'expected a time after the one before'
      : `expected ${new Date(expected).toISOString()}, as regularly as those before`
  return { path: [ALL, at], detail }
}

/** R writes a list of one as a scalar. */
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value])

const isAbsent = (value: unknown) => value === undefined || value === null

/** What rows that came by column say of times, row by row. */
export interface TimeColumns {
  of(row: number): GivenTimes
  /** A fault of a row, by where it stands in the columns. */
  placed(fault: Fault, row: number): Fault
}

/** A scalar, or one list of times, is every row's: series of one table share their times. */
export function timeColumns(record: Record<string, unknown>, rows: number): TimeColumns | Fault {
  const [last, all] = [record[LAST], record[ALL]]
  const columns: Record<string, unknown[] | undefined> = {
    [LAST]: Array.isArray(last) ? last : undefined,
    [ALL]: Array.isArray(all) && all.some((each) => Array.isArray(each)) ? all : undefined,
  }
  for (const name of TIME_NAMES) {
    const length = columns[name]?.length ?? rows
    if (length !== rows && length !== 1) {
      return { path: [name], detail: `has ${length} rows, expected ${rows}` }
    }
  }
  const placeIn = (column: unknown[], row: number) => (column.length === 1 ? 0 : row)
  const cellOf = (name: string, row: number) => {
    const column = columns[name]
    return unboxed(column === undefined ? record[name] : column[placeIn(column, row)])
  }
  return {
    of: (row) => ({ last: cellOf(LAST, row), all: cellOf(ALL, row) }),
    placed({ path: [name, ...path], detail }, row) {
      const column = columns[String(name)]
      const place = column === undefined ? [] : [placeIn(column, row)]
      return within({ path: [...place, ...path], detail }, name!)
    },
  }
}

export const isFault = (value: object): value is Fault => 'path' in value
