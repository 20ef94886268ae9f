import {
  DuckDBArrayType,
  DuckDBListType,
  DuckDBMapType,
  DuckDBStructType,
  type DuckDBType,
  DuckDBTypeId,
  DuckDBUnionType,
} from '@duckdb/node-api'

import { identifier } from '../engine/sql-text.ts'

/** What becomes of a value on its way into a file: an expression of it, or nothing where it may go as it is. */
type Expression = (value: string, type: DuckDBType) => string | undefined

const { FLOAT, DOUBLE, DATE, TIMESTAMP_NS, TIMESTAMP_TZ, BLOB, HUGEINT, UHUGEINT } = DuckDBTypeId
/** Beside which JSON has nothing: what is no number, and the ends of time. */
const BOUNDED = new Set<DuckDBTypeId>([FLOAT, DOUBLE, DATE])
const LOCAL_TIMES = new Set<DuckDBTypeId>([
  DuckDBTypeId.TIMESTAMP,
  DuckDBTypeId.TIMESTAMP_S,
  DuckDBTypeId.TIMESTAMP_MS,
])

const NOT_IN_ARROW = new Set<DuckDBTypeId>([
  DuckDBTypeId.UUID,
  DuckDBTypeId.ENUM,
  DuckDBTypeId.BIT,
  DuckDBTypeId.BIGNUM,
  DuckDBTypeId.TIME_TZ,
  DuckDBTypeId.UNION,
  DuckDBTypeId.GEOMETRY,
  DuckDBTypeId.VARIANT,
])

/**
 * As JSON: what is no number is null, times are of ISO 8601 (with `Z` where they are of a time zone), bytes are
 * base64. DuckDB itself writes `NaN` and `Infinity`, which no parser reads.
 */
export const forJson: Expression = (value, type) => {
  if (BOUNDED.has(type.typeId)) return whereFinite(value, value)
  const text = timeOf(value, type)
  if (text !== undefined) return text
  if (type.typeId === BLOB) return `base64(${value})`
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType) {
    return ofItems(value, type.valueType)
  }
  if (type instanceof DuckDBMapType) return ofEntries(value, type.valueType)
  return type instanceof DuckDBStructType ? ofMembers(value, type) : undefined
}

/** As CSV: times as in JSON, and lists and objects as JSON. */
export const forCsv: Expression = (value, type) => {
  if (isNested(type)) return `to_json(${forJson(value, type) ?? value})`
  return type.typeId === BLOB ? `base64(${value})` : timeOf(value, type)
}

/** As Parquet, which has no integer that large: DuckDB would write sums of integers as doubles. */
export const forParquet: Expression = (value, type) =>
  type.typeId === HUGEINT || type.typeId === UHUGEINT
    ? `CAST(${value} AS DECIMAL(38, 0))`
    : undefined

/** As Arrow: large integers as in Parquet, and as text what it has nothing for. */
export const forArrow: Expression = (value, type) => {
  const changed = changedForArrow(type)
  return changed && `CAST(${value} AS ${changed})`
}

/** The type that it becomes, also where only what is in it has to: a cast of DuckDB reaches that, too. */
function changedForArrow(type: DuckDBType): string | undefined {
  const within = (inner: DuckDBType) => changedForArrow(inner) ?? String(inner)
  const become = (text: string) => (text === String(type) ? undefined : text)
  if (type instanceof DuckDBListType) return become(`${within(type.valueType)}[]`)
  if (type instanceof DuckDBArrayType) return become(`${within(type.valueType)}[${type.length}]`)
  if (type instanceof DuckDBMapType) {
    return become(`MAP(${within(type.keyType)}, ${within(type.valueType)})`)
  }
  if (type instanceof DuckDBStructType) {
    const members = type.entryNames.map(
      (name, at) => `${identifier(name)} ${within(type.entryTypes[at]!)}`,
    )
    return become(`STRUCT(${members.join(', ')})`)
  }
  if (type.typeId === HUGEINT || type.typeId === UHUGEINT) return 'DECIMAL(38, 0)'
  return NOT_IN_ARROW.has(type.typeId) ? 'VARCHAR' : undefined
}

const whereFinite = (value: string, result: string) =>
  `CASE WHEN isfinite(${value}) THEN ${result} END`

/**
 * Of what is a time, ISO 8601, and nothing of the ends of time. By its date and its time of day, which costs a third of what it does to replace
 * the space between them.
 */
function timeOf(value: string, { typeId }: DuckDBType): string | undefined {
  if (typeId === TIMESTAMP_TZ) {
    return whereFinite(value, `${joined(`timezone('UTC', ${value})`)} || 'Z'`)
  }
  // A time of day has no nanoseconds.
  if (typeId === TIMESTAMP_NS) {
    return whereFinite(value, `replace(CAST(${value} AS VARCHAR), ' ', 'T')`)
  }
  return LOCAL_TIMES.has(typeId) ? whereFinite(value, joined(value)) : undefined
}

const joined = (value: string) => `CAST(${value} AS DATE) || 'T' || CAST(${value} AS TIME)`

const isNested = (type: DuckDBType) =>
  [DuckDBListType, DuckDBArrayType, DuckDBMapType, DuckDBStructType, DuckDBUnionType].some(
    (nested) => type instanceof nested,
  )

function ofItems(value: string, type: DuckDBType): string | undefined {
  const item = forJson('item', type)
  return item && `list_transform(${value}, lambda item: ${item})`
}

function ofEntries(value: string, type: DuckDBType): string | undefined {
  const member = forJson('entry.value', type)
  const entries = `list_transform(map_entries(${value}), lambda entry: struct_pack(k := entry.key, v := ${member}))`
  return member && `map_from_entries(${entries})`
}

function ofMembers(
  value: string,
  { entryNames, entryTypes }: DuckDBStructType,
): string | undefined {
  const members = entryNames.map((name, at) => {
    const member = `${value}.${identifier(name)}`
    return { name, member, changed: forJson(member, entryTypes[at]!) }
  })
  if (members.every(({ changed }) => changed === undefined)) return undefined
  const packed = members.map(
    ({ name, member, changed }) => `${identifier(name)} := ${changed ?? member}`,
  )
  return `CASE WHEN ${value} IS NOT NULL THEN struct_pack(${packed.join(', ')}) END`
}
