import type { Refused } from '../engine/refused.ts'
import { decimalBytes } from '../engine/vectors.ts'

/**
 * What DuckDB has in place of values that Arrow has in memory otherwise; nulls are zeros.
 *
 * @param refused makes an error for the column of what it has.
 */
export type Change = (values: Uint8Array, refused: (what: string) => Refused) => Uint8Array

const DAY_MS = 86_400_000
const DAY_US = 86_400_000_000n
/** What DuckDB has for the ends of time. */
const TIME_END = 2n ** 63n - 1n
const DAYS_END = 2 ** 31 - 1

export const same: Change = (values) => values

export const halves: Change = ({ buffer }) => bytesOf(Float32Array.from(new Float16Array(buffer)))

/** Of milliseconds. */
export const days: Change = ({ buffer }, refused) =>
  bytesOf(
    Int32Array.from(new BigInt64Array(buffer), (value) => {
      const day = Math.floor(Number(value) / DAY_MS)
      if (Math.abs(day) < DAYS_END) return day
      throw refused('a date that is too far away')
    }),
  )

/** Of 32 bits, so many microseconds each. */
export const shortTimesOfDay =
  (microseconds: bigint): Change =>
  ({ buffer }, refused) =>
    timesOfDay(DAY_US)(
      bytesOf(BigInt64Array.from(new Int32Array(buffer), (value) => BigInt(value) * microseconds)),
      refused,
    )

/** Of 64 bits, so many a day. */
export const timesOfDay =
  (perDay: bigint): Change =>
  (values, refused) => {
    for (const value of new BigInt64Array(values.buffer)) {
      if (value < 0n || value > perDay) throw refused('a time that no day has')
    }
    return values
  }

/** So many microseconds each. */
export const microsecondsOf =
  (factor: bigint): Change =>
  ({ buffer }, refused) =>
    bytesOf(
      new BigInt64Array(buffer).map((value) => {
        const microseconds = value * factor
        if (microseconds <= TIME_END && microseconds >= -TIME_END) return microseconds
        throw refused('a time that is too far away')
      }),
    )

/** Without the nanoseconds that are less than one. */
export const microsecondsOfNanoseconds: Change = ({ buffer }) =>
  bytesOf(new BigInt64Array(buffer).map(floorThousandth))

const floorThousandth = (value: bigint) => (value < 0n ? -((999n - value) / 1000n) : value / 1000n)

/** Of what has so many a second: Parquet has neither negative intervals nor microseconds of them. */
export const secondsOf =
  (perSecond: number): Change =>
  ({ buffer }) =>
    bytesOf(Float64Array.from(new BigInt64Array(buffer), (value) => Number(value) / perSecond))

export const intervalsOfMonths: Change = ({ buffer }) => {
  const months = new Int32Array(buffer)
  const intervals = new Int32Array(months.length * 4)
  for (let at = 0; at < months.length; at += 1) intervals[at * 4] = months[at]!
  return bytesOf(intervals)
}

/** Of days and milliseconds. */
export const intervalsOfDays: Change = ({ buffer }) => {
  const parts = new Int32Array(buffer)
  const intervals = new Int32Array(parts.length * 2)
  const microseconds = new BigInt64Array(intervals.buffer)
  for (let at = 0; at < parts.length; at += 2) {
    intervals[at * 2 + 1] = parts[at]!
    microseconds[at + 1] = BigInt(parts[at + 1]!) * 1000n
  }
  return bytesOf(intervals)
}

/** Of months, days and nanoseconds, which are as many bytes. */
export const intervalsOfNanoseconds: Change = (values) => {
  const parts = new BigInt64Array(values.buffer)
  for (let at = 1; at < parts.length; at += 2) parts[at] = floorThousandth(parts[at]!)
  return values
}

/** DuckDB has them as integers with the highest bit turned, so that they are in order. */
export const uuids: Change = (values) => {
  for (let at = 0; at < values.length; at += 16) {
    values.subarray(at, at + 16).reverse()
    values[at + 15]! ^= 0x80
  }
  return values
}

/** @param bytesEach of Arrow's, 4 to 32; DuckDB has them in the least that hold so many digits. */
export const decimals = (bytesEach: number, digits: number): Change => {
  const limit = 10n ** BigInt(digits)
  return ({ buffer }, refused) => {
    const count = buffer.byteLength / bytesEach
    const valueAt = bytesEach === 4 ? ofWords(buffer) : ofLongs(buffer, bytesEach / 8)
    const target = new Uint8Array(count * decimalBytes(digits))
    const put = putInto(target.buffer, digits)
    for (let at = 0; at < count; at += 1) {
      const value = valueAt(at)
      if (value >= limit || value <= -limit) {
        throw refused(`a decimal of more than the ${digits} digits that it is to have`)
      }
      put(at, value)
    }
    return target
  }
}

function ofWords(buffer: ArrayBufferLike) {
  const words = new Int32Array(buffer)
  return (at: number) => BigInt(words[at]!)
}

function ofLongs(buffer: ArrayBufferLike, each: number) {
  const signed = new BigInt64Array(buffer)
  const unsigned = new BigUint64Array(buffer)
  return (at: number) => {
    let value = signed[(at + 1) * each - 1]!
    for (let part = each - 2; part >= 0; part -= 1) {
      value = (value << 64n) | unsigned[at * each + part]!
    }
    return value
  }
}

function putInto(buffer: ArrayBuffer, digits: number): (at: number, value: bigint) => void {
  if (digits <= 9) {
    const narrow = digits <= 4 ? new Int16Array(buffer) : new Int32Array(buffer)
    return (at, value) => (narrow[at] = Number(value))
  }
  const longs = new BigInt64Array(buffer)
  if (digits <= 18) return (at, value) => (longs[at] = value)
  return (at, value) => {
    longs[at * 2] = value
    longs[at * 2 + 1] = value >> 64n
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength)
