/** From one value of a series to the next: so much time, or so many calendar months, which differ in length. */
export type Step =
  | { milliseconds: number }
  | {
      months: number
      /** Of the month: a month that has no such day has its last one instead. */
      day: number
    }

const MONTHS = { month: 1, quarter: 3, year: 12 } as const
const MILLISECONDS = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
} as const

/** How a manifest says it: `month`, or `30 minutes`. */
export const FREQUENCY = /^(?:([1-9]\d{0,3}) )?(second|minute|hour|day|week|month|quarter|year)s?$/

/** @param last the time of the last value, in milliseconds since 1970: its day is the day of all. */
export function stepOf(frequency: string, last: number): Step {
  const [, times = '1', unit = ''] = FREQUENCY.exec(frequency) ?? []
  const count = Number(times)
  if (isKeyOf(MONTHS, unit)) {
    return { months: count * MONTHS[unit], day: new Date(last).getUTCDate() }
  }
  if (isKeyOf(MILLISECONDS, unit)) return { milliseconds: count * MILLISECONDS[unit] }
  throw new RangeError(`"${frequency}" is no frequency`)
}

const isKeyOf = <Known extends object>(known: Known, unit: string): unit is keyof Known & string =>
  Object.hasOwn(known, unit)

/**
 * The time that lies so many steps after another. Counted from that one, so that a short month between
 * moves no later one: 31 January, 28 February, 31 March.
 *
 * @returns milliseconds since 1970; NaN beyond what a date can say.
 */
export function timeAfter(time: number, step: Step, count: number): number {
  if ('milliseconds' in step) return time + count * step.milliseconds
  const date = new Date(time)
  // Day 0 of the month after is the last of the month.
  date.setUTCMonth(date.getUTCMonth() + count * step.months + 1, 0)
  return date.setUTCDate(Math.min(step.day, date.getUTCDate()))
}
