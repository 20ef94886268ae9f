import {
  DuckDBArrayType,
  DuckDBDecimalType,
  DuckDBListType,
  DuckDBMapType,
  DuckDBStructType,
  type DuckDBType,
  DuckDBTypeId,
} from '@duckdb/node-api'
import { Field } from 'apache-arrow/schema'
import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  FixedSizeList,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  IntervalMonthDayNano,
  List,
  Map_,
  Struct,
  TimeMicrosecond,
  TimeNanosecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
} from 'apache-arrow/type'

import { decimalBytes } from '../engine/vectors.ts'
import type { Column } from './column.ts'
import { bits, decimals, finiteDays, finiteTimes, fixedColumn, intervals } from './fixed-column.ts'
import { arrayColumn, listColumn, structColumn } from './nested-columns.ts'
import { textColumn } from './text-column.ts'

/** What a column of DuckDB is in Arrow, and what gathers it. */
interface Written {
  type: DataType
  column: Column
}

const plain: Partial<Record<DuckDBTypeId, () => Written>> = {
  [DuckDBTypeId.BOOLEAN]: () => ({ type: new Bool(), column: fixedColumn(1, bits) }),
  [DuckDBTypeId.TINYINT]: () => ({ type: new Int8(), column: fixedColumn(1) }),
  [DuckDBTypeId.SMALLINT]: () => ({ type: new Int16(), column: fixedColumn(2) }),
  [DuckDBTypeId.INTEGER]: () => ({ type: new Int32(), column: fixedColumn(4) }),
  [DuckDBTypeId.BIGINT]: () => ({ type: new Int64(), column: fixedColumn(8) }),
  [DuckDBTypeId.UTINYINT]: () => ({ type: new Uint8(), column: fixedColumn(1) }),
  [DuckDBTypeId.USMALLINT]: () => ({ type: new Uint16(), column: fixedColumn(2) }),
  [DuckDBTypeId.UINTEGER]: () => ({ type: new Uint32(), column: fixedColumn(4) }),
  [DuckDBTypeId.UBIGINT]: () => ({ type: new Uint64(), column: fixedColumn(8) }),
  [DuckDBTypeId.FLOAT]: () => ({ type: new Float32(), column: fixedColumn(4) }),
  [DuckDBTypeId.DOUBLE]: () => ({ type: new Float64(), column: fixedColumn(8) }),
  [DuckDBTypeId.VARCHAR]: () => ({ type: new Utf8(), column: textColumn() }),
  [DuckDBTypeId.BLOB]: () => ({ type: new Binary(), column: textColumn() }),
  [DuckDBTypeId.DATE]: () => ({ type: new DateDay(), column: fixedColumn(4, finiteDays) }),
  [DuckDBTypeId.TIME]: () => ({ type: new TimeMicrosecond(), column: fixedColumn(8) }),
  [DuckDBTypeId.TIME_NS]: () => ({ type: new TimeNanosecond(), column: fixedColumn(8) }),
  [DuckDBTypeId.TIMESTAMP_S]: () => timestamp(new TimestampSecond()),
  [DuckDBTypeId.TIMESTAMP_MS]: () => timestamp(new TimestampMillisecond()),
  [DuckDBTypeId.TIMESTAMP]: () => timestamp(new TimestampMicrosecond()),
  [DuckDBTypeId.TIMESTAMP_NS]: () => timestamp(new TimestampNanosecond()),
  [DuckDBTypeId.TIMESTAMP_TZ]: () => timestamp(new TimestampMicrosecond('UTC')),
  [DuckDBTypeId.INTERVAL]: () => ({
    type: new IntervalMonthDayNano(),
    column: fixedColumn(16, intervals),
  }),
}

const timestamp = (type: DataType): Written => ({ type, column: fixedColumn(8, finiteTimes) })

const field = (name: string, { type }: Written, isNullable = true) =>
  new Field(name, type, isNullable)

/** Of the types that `forArrow` leaves. */
export function writtenAs(type: DuckDBType): Written {
  if (type instanceof DuckDBDecimalType) {
    const bytesEach = decimalBytes(type.width)
    return {
      type: new Decimal(type.scale, type.width),
      column: fixedColumn(bytesEach, decimals(bytesEach)),
    }
  }
  if (type instanceof DuckDBListType) {
    const item = writtenAs(type.valueType)
    return { type: new List(field('item', item)), column: listColumn(item.column) }
  }
  if (type instanceof DuckDBArrayType) {
    const item = writtenAs(type.valueType)
    return {
      type: new FixedSizeList(type.length, field('item', item)),
      column: arrayColumn(item.column, type.length),
    }
  }
  if (type instanceof DuckDBMapType) {
    const key = writtenAs(type.keyType)
    const value = writtenAs(type.valueType)
    const entry = new Struct([field('key', key, false), field('value', value)])
    return {
      type: new Map_(new Field('entries', entry, false)),
      column: listColumn(structColumn([key.column, value.column])),
    }
  }
  if (type instanceof DuckDBStructType) {
    const members = type.entryTypes.map(writtenAs)
    return {
      // What row() makes has no names, which readers take for the same one.
      type: new Struct(
        members.map((member, at) => field(type.entryNames[at]! || String(at + 1), member)),
      ),
      column: structColumn(members.map(({ column }) => column)),
    }
  }
  const written = plain[type.typeId]?.()
  if (written === undefined) throw new Error(`${String(type)} was left for Arrow`)
  return written
}
