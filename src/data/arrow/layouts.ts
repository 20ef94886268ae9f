import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DATE,
  DECIMAL,
  DOUBLE,
  type DuckDBType,
  FLOAT,
  INTEGER,
  INTERVAL,
  SMALLINT,
  TIME,
  TIME_NS,
  TIMESTAMP,
  TIMESTAMP_MS,
  TIMESTAMP_NS,
  TIMESTAMP_S,
  TIMESTAMPTZ,
  TINYINT,
  UBIGINT,
  UINTEGER,
  USMALLINT,
  UTINYINT,
  UUID,
  VARCHAR,
} from '@duckdb/node-api'
import { Date as DateType } from 'apache-arrow/fb/date'
import { DateUnit } from 'apache-arrow/fb/date-unit'
import { Decimal } from 'apache-arrow/fb/decimal'
import { Duration } from 'apache-arrow/fb/duration'
import type { Field } from 'apache-arrow/fb/field'
import { FixedSizeBinary } from 'apache-arrow/fb/fixed-size-binary'
import { FloatingPoint } from 'apache-arrow/fb/floating-point'
import { Int } from 'apache-arrow/fb/int'
import { Interval } from 'apache-arrow/fb/interval'
import { IntervalUnit } from 'apache-arrow/fb/interval-unit'
import { Precision } from 'apache-arrow/fb/precision'
import { Time } from 'apache-arrow/fb/time'
import { TimeUnit } from 'apache-arrow/fb/time-unit'
import { Timestamp } from 'apache-arrow/fb/timestamp'
import { Type } from 'apache-arrow/fb/type'

import {
  type Change,
  days,
  decimals,
  halves,
  intervalsOfDays,
  intervalsOfMonths,
  intervalsOfNanoseconds,
  microsecondsOf,
  microsecondsOfNanoseconds,
  same,
  secondsOf,
  shortTimesOfDay,
  timesOfDay,
  uuids,
} from './changes.ts'
import { damaged } from './source.ts'

/** How the values of a column are in memory. */
export type Layout =
  | { kind: 'null' }
  | { kind: 'bits' }
  | { kind: 'fixed'; bytesEach: number; change: Change }
  | { kind: 'bytes'; bytesEach: number }
  | { kind: 'text'; offsetBytes: 4 | 8 }
  | { kind: 'views' }
  | { kind: 'list'; offsetBytes: 4 | 8 }
  | { kind: 'array'; itemsEach: number }
  | { kind: 'struct' }

/** What DuckDB has for a type of Arrow. */
interface Leaf {
  type: DuckDBType
  layout: Layout
}

const fixed = (type: DuckDBType, bytesEach: number, change: Change = same): Leaf => ({
  type,
  layout: { kind: 'fixed', bytesEach, change },
})

const INTEGERS: Record<number, [signed: DuckDBType, unsigned: DuckDBType]> = {
  8: [TINYINT, UTINYINT],
  16: [SMALLINT, USMALLINT],
  32: [INTEGER, UINTEGER],
  64: [BIGINT, UBIGINT],
}
const DIGITS_MAX = 38
const DAY_US = 86_400_000_000n

const LOCAL_TIMES: Record<TimeUnit, DuckDBType> = {
  [TimeUnit.SECOND]: TIMESTAMP_S,
  [TimeUnit.MILLISECOND]: TIMESTAMP_MS,
  [TimeUnit.MICROSECOND]: TIMESTAMP,
  [TimeUnit.NANOSECOND]: TIMESTAMP_NS,
}
const INTO_MICROSECONDS: Record<TimeUnit, Change> = {
  [TimeUnit.SECOND]: microsecondsOf(1_000_000n),
  [TimeUnit.MILLISECOND]: microsecondsOf(1000n),
  [TimeUnit.MICROSECOND]: same,
  [TimeUnit.NANOSECOND]: microsecondsOfNanoseconds,
}
const PER_SECOND: Record<TimeUnit, number> = {
  [TimeUnit.SECOND]: 1,
  [TimeUnit.MILLISECOND]: 1e3,
  [TimeUnit.MICROSECOND]: 1e6,
  [TimeUnit.NANOSECOND]: 1e9,
}
const TIMES_OF_DAY: Record<TimeUnit, Leaf> = {
  [TimeUnit.SECOND]: fixed(TIME, 4, shortTimesOfDay(1_000_000n)),
  [TimeUnit.MILLISECOND]: fixed(TIME, 4, shortTimesOfDay(1000n)),
  [TimeUnit.MICROSECOND]: fixed(TIME, 8, timesOfDay(DAY_US)),
  [TimeUnit.NANOSECOND]: fixed(TIME_NS, 8, timesOfDay(DAY_US * 1000n)),
}
const INTERVALS: Record<IntervalUnit, Leaf> = {
  [IntervalUnit.YEAR_MONTH]: fixed(INTERVAL, 4, intervalsOfMonths),
  [IntervalUnit.DAY_TIME]: fixed(INTERVAL, 8, intervalsOfDays),
  [IntervalUnit.MONTH_DAY_NANO]: fixed(INTERVAL, 16, intervalsOfNanoseconds),
}

/** What each type that has no others in it says of itself. */
const leaves: Partial<Record<Type, (field: Field, extension: string) => Leaf | undefined>> = {
  // A column has to have some type.
  [Type.Null]: () => ({ type: INTEGER, layout: { kind: 'null' } }),
  [Type.Bool]: () => ({ type: BOOLEAN, layout: { kind: 'bits' } }),
  [Type.Utf8]: () => ({ type: VARCHAR, layout: { kind: 'text', offsetBytes: 4 } }),
  [Type.LargeUtf8]: () => ({ type: VARCHAR, layout: { kind: 'text', offsetBytes: 8 } }),
  [Type.Utf8View]: () => ({ type: VARCHAR, layout: { kind: 'views' } }),
  [Type.Binary]: () => ({ type: BLOB, layout: { kind: 'text', offsetBytes: 4 } }),
  [Type.LargeBinary]: () => ({ type: BLOB, layout: { kind: 'text', offsetBytes: 8 } }),
  [Type.BinaryView]: () => ({ type: BLOB, layout: { kind: 'views' } }),
  [Type.FixedSizeBinary]: (field, extension) => {
    const bytesEach = read(field, new FixedSizeBinary()).byteWidth()
    if (extension === 'arrow.uuid' && bytesEach === 16) return fixed(UUID, 16, uuids)
    return bytesEach < 0 ? undefined : { type: BLOB, layout: { kind: 'bytes', bytesEach } }
  },
  [Type.Int]: (field) => {
    const int = read(field, new Int())
    const type = INTEGERS[int.bitWidth()]?.[int.isSigned() ? 0 : 1]
    return type && fixed(type, int.bitWidth() / 8)
  },
  [Type.FloatingPoint]: (field) => {
    const precision = read(field, new FloatingPoint()).precision()
    if (precision === Precision.HALF) return fixed(FLOAT, 2, halves)
    return precision === Precision.SINGLE ? fixed(FLOAT, 4) : fixed(DOUBLE, 8)
  },
  [Type.Decimal]: (field) => {
    const decimal = read(field, new Decimal())
    const [digits, scale] = [decimal.precision(), decimal.scale()]
    const bytesEach = decimal.bitWidth() / 8
    const hasPlace = digits >= 1 && digits <= DIGITS_MAX && scale >= 0 && scale <= digits
    if (!hasPlace || ![4, 8, 16, 32].includes(bytesEach)) return undefined
    return fixed(DECIMAL(digits, scale), bytesEach, decimals(bytesEach, digits))
  },
  [Type.Date]: (field) =>
    read(field, new DateType()).unit() === DateUnit.DAY ? fixed(DATE, 4) : fixed(DATE, 8, days),
  [Type.Time]: (field) => TIMES_OF_DAY[read(field, new Time()).unit()],
  [Type.Timestamp]: (field) => {
    const timestamp = read(field, new Timestamp())
    const unit = timestamp.unit()
    // An instant has microseconds in DuckDB, whatever zone it is shown in.
    if (timestamp.timezone()) return fixed(TIMESTAMPTZ, 8, known(INTO_MICROSECONDS[unit]))
    return fixed(known(LOCAL_TIMES[unit]), 8)
  },
  [Type.Duration]: (field) =>
    fixed(DOUBLE, 8, secondsOf(known(PER_SECOND[read(field, new Duration()).unit()]))),
  [Type.Interval]: (field) => INTERVALS[read(field, new Interval()).unit()],
}

/** @returns nothing where DuckDB has nothing for it, or where it has others in it. */
export function leafOf(field: Field, extension: string): Leaf | undefined {
  return leaves[field.typeType()]?.(field, extension)
}

/** By a unit, which what is damaged may have made up. */
function known<Found>(found: Found | undefined): Found {
  if (found === undefined) throw damaged('a type has no unit')
  return found
}

/** What a type has beside its name. */
function read<Table>(field: Field, table: Table): Table {
  const found = field.type(table) as Table | null
  if (found === null) throw damaged('a type lacks what it is of')
  return found
}
