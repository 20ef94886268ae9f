import { type Step, timeAfter } from './step.ts'

/** Where times stop being regular, and which one would have been; none where they do not ascend. */
export interface Uneven {
  at: number
  expected: number | undefined
}

/**
 * The step between times: calendar months where they are that, a length of time otherwise.
 *
 * @param times two or more, in milliseconds since 1970.
 */
export function spacingOf(times: readonly number[]): Step | Uneven {
  const at = times.findIndex((time, at) => at > 0 && time <= times[at - 1]!)
  if (at !== -1) return { at, expected: undefined }
  const byMonth = monthsBetween(times)
  if (!isUneven(byMonth)) return byMonth
  const byTime = timeBetween(times)
  if (!isUneven(byTime)) return byTime
  return byMonth.at >= byTime.at ? byMonth : byTime
}

export const isUneven = (spacing: Step | Uneven): spacing is Uneven => 'at' in spacing

function timeBetween(times: readonly number[]): Step | Uneven {
  const step = { milliseconds: times[1]! - times[0]! }
  const at = times.findIndex((time, at) => time !== timeAfter(times[0]!, step, at))
  return at === -1 ? step : { at, expected: timeAfter(times[0]!, step, at) }
}

function monthsBetween(times: readonly number[]): Step | Uneven {
  const first = times[0]!
  const step = { months: monthOf(times[1]!) - monthOf(first), day: dayOf(first) }
  let isAtEnds = true
  for (const [at, time] of times.entries()) {
    const expected = timeAfter(first, step, at)
    if (time !== expected) {
      // The first month that is longer than those before tells which day is meant: 28 February, 31 March.
      const longer = { ...step, day: dayOf(time) }
      const isLonger = isAtEnds && longer.day > step.day
      if (!isLonger || time !== timeAfter(first, longer, at)) return { at, expected }
      step.day = longer.day
    }
    isAtEnds &&= dayOf(time) === lastDayOf(time)
  }
  return step.months === 0 ? { at: 1, expected: first } : step
}

const dayOf = (time: number) => new Date(time).getUTCDate()
const lastDayOf = (time: number) => dayOf(timeAfter(time, { months: 0, day: 31 }, 0))

/** Months since the year 0. */
function monthOf(time: number): number {
  const date = new Date(time)
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}
