import { nameOf } from '../name-of.ts'

const FIRST = Date.parse('0001-01-01T00:00:00.000Z')
const LAST = Date.parse('9999-12-31T23:59:59.999Z')

/** Whether a time, in milliseconds since 1970, has a year of four digits, which is what all who read ISO 8601 take. */
export const isInRange = (time: number) => time >= FIRST && time <= LAST

/** A year, month or day, with a time of day or without; the parts are what is in front of the zone, and the zone. */
const ISO =
  /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?)?)?$/

/** Epoch numbers below are seconds, which end in 2286, others milliseconds, which have passed it since April 1970. */
const SECONDS_MAX = 1e10
/** So close to 1970 lies nobody's history: it is a number of days, or a year, as R writes them. */
const TIMES_MIN = 100_000

const EXPECTED =
  'expected a time such as "2026-01-31", "2026-01-31T12:00:00Z" or seconds since 1970'

/**
 * Reads a time as R, pandas and others write it: ISO 8601 with T or a space, in UTC where no zone is given; or
 * seconds or milliseconds since 1970.
 *
 * @returns milliseconds since 1970, or what is wrong.
 */
export function readTimestamp(value: unknown): number | string {
  const time = timeOf(value)
  if (typeof time === 'string' || isInRange(time)) return time
  return `expected a time from the year 1 to 9999, got ${nameOf(value)}`
}

function timeOf(value: unknown): number | string {
  if (typeof value === 'string') return timeInText(value) ?? `${EXPECTED}, got ${nameOf(value)}`
  if (typeof value !== 'number') return `${EXPECTED}, got ${nameOf(value)}`
  if (Math.abs(value) < TIMES_MIN) {
    return `expected seconds or milliseconds since 1970, got ${value}: write a year or a day as text, such as "2026-01-31"`
  }
  return Math.round(Math.abs(value) < SECONDS_MAX ? value * 1000 : value)
}

function timeInText(text: string): number | undefined {
  const match = ISO.exec(text)
  if (match === null) return undefined
  const [, year, month = '01', day = '01', hour = '00', minute = '00', second = '00'] = match
  const [fraction = '', zone = 'Z'] = match.slice(7)
  const written = `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}Z`
  const time = Date.parse(written)
  // What parses the 30th of February as the 2nd of March says so when it writes it.
  if (Number.isNaN(time) || new Date(time).toISOString() !== written) return undefined
  const offset = offsetOf(zone)
  return offset === undefined ? undefined : time - offset
}

const MS_PER_MINUTE = 60_000

/** How far a zone is ahead of UTC, in milliseconds. */
function offsetOf(zone: string): number | undefined {
  if (zone === 'Z') return 0
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(3).replace(':', ''))]
  if (hours > 23 || minutes > 59) return undefined
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * MS_PER_MINUTE
}
