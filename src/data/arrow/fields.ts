import { ARRAY, DuckDBStructType, type DuckDBType, LIST, MAP } from '@duckdb/node-api'
import { Endianness } from 'apache-arrow/fb/endianness'
import type { Field } from 'apache-arrow/fb/field'
import { FixedSizeList } from 'apache-arrow/fb/fixed-size-list'
import type { Schema } from 'apache-arrow/fb/schema'
import { Type } from 'apache-arrow/fb/type'

import { Refused } from '../engine/refused.ts'
import { type Layout, leafOf } from './layouts.ts'
import { damaged } from './source.ts'

/** A column of an Arrow file, or one inside it. */
export interface ArrowField {
  name: string
  /** What it is in DuckDB. */
  type: DuckDBType
  /** Of its values, or of those of its dictionary. */
  layout: Layout
  children: ArrowField[]
  /** Where the values are, of which the column itself has only the numbers. */
  dictionary: Dictionary | undefined
  /** Makes an error of what the column has. */
  refused: (what: string) => Refused
}

interface Dictionary {
  id: bigint
  keyBytes: number
  isSigned: boolean
}

const STRUCT = Type['Struct_']
const DEPTH_MAX = 50
const FIELDS_MAX = 100_000
const METADATA_ENTRIES_MAX = 1000
/** Of an array of DuckDB. */
const ITEMS_MAX = 100_000

/**
 * The columns of a schema.
 *
 * @throws {Refused} for what DuckDB has nothing for, by the name of the column.
 */
export function fieldsOf(schema: Schema): ArrowField[] {
  if (schema.endianness() === Endianness.Big) {
    throw new Refused('The Arrow file has numbers in big-endian order.')
  }
  let left = FIELDS_MAX
  const fieldsIn = (parent: Schema | Field, path: readonly string[]): ArrowField[] => {
    const isTop = 'fields' in parent
    const length = isTop ? parent.fieldsLength() : parent.childrenLength()
    left -= length
    if (left < 0 || path.length > DEPTH_MAX) {
      throw new Refused('The Arrow file has more columns inside columns than can be read.')
    }
    return Array.from({ length }, (_, at) => {
      const field = isTop ? parent.fields(at) : parent.children(at)
      if (field === null) throw damaged('a column says nothing')
      return fieldOf(field, [...path, field.name() ?? ''])
    })
  }
  const fieldOf = (field: Field, path: readonly string[]): ArrowField => {
    const refused = (what: string) => new Refused(`Column "${path.join('.')}" has ${what}.`)
    const children = fieldsIn(field, path)
    const found = leafOf(field, extensionOf(field)) ?? nestedOf(field, children)
    if (found === undefined) throw refused(lackOf(field.typeType()))
    if (found.layout.kind === 'struct') refuseMixedNames(children, 'member', refused)
    const dictionary = dictionaryOf(field)
    return { name: path.at(-1)!, ...found, children, dictionary, refused }
  }
  const fields = fieldsIn(schema, [])
  if (fields.length === 0) throw new Refused('The Arrow file has no columns.')
  refuseMixedNames(fields, 'column', (what) => new Refused(`The Arrow file has ${what}.`))
  refuseMixedDictionaries(fields)
  return fields
}

function extensionOf(field: Field): string {
  const length = Math.min(field.customMetadataLength(), METADATA_ENTRIES_MAX)
  for (let at = 0; at < length; at += 1) {
    const entry = field.customMetadata(at)
    if (entry?.key() === 'ARROW:extension:name') return entry.value() ?? ''
  }
  return ''
}

type Found = { type: DuckDBType; layout: Layout }

const listOf =
  (offsetBytes: 4 | 8) =>
  (_: Field, [item]: readonly ArrowField[]): Found => ({
    type: LIST(item!.type),
    layout: { kind: 'list', offsetBytes },
  })

/** What each type that has others in it is, by these. */
const nested: Partial<
  Record<Type, (field: Field, children: readonly ArrowField[]) => Found | undefined>
> = {
  [STRUCT]: (_, children) => {
    const names = children.map(({ name }) => name)
    const types = children.map(({ type }) => type)
    return { type: new DuckDBStructType(names, types), layout: { kind: 'struct' } }
  },
  [Type.List]: listOf(4),
  [Type.LargeList]: listOf(8),
  [Type.FixedSizeList]: (field, [item]) => {
    const list = field.type(new FixedSizeList()) as FixedSizeList | null
    const itemsEach = list?.listSize() ?? 0
    if (itemsEach < 1 || itemsEach > ITEMS_MAX) return undefined
    return { type: ARRAY(item!.type, itemsEach), layout: { kind: 'array', itemsEach } }
  },
  [Type.Map]: (_, [entries]) => {
    const { layout, dictionary, children } = entries!
    const [key, value] = children
    const isMap = layout.kind === 'struct' && dictionary === undefined && children.length === 2
    if (!isMap) throw damaged('a map is not of keys and values')
    return { type: MAP(key!.type, value!.type), layout: { kind: 'list', offsetBytes: 4 } }
  },
}

/** @returns nothing where DuckDB has nothing for it. */
const nestedOf = (field: Field, children: readonly ArrowField[]) =>
  children.length === 0 ? undefined : nested[field.typeType()]?.(field, children)

function lackOf(type: Type): string {
  if (type === Type.Decimal) return 'decimals of more than 38 digits, or with a scale beyond them'
  if (type === Type.FixedSizeList) return `lists of no items, or of more than ${ITEMS_MAX} each`
  if (type === STRUCT) return 'a struct without members'
  return `the type ${Type[type] ?? type}, for which there is none here`
}

/** DuckDB tells them apart by their names, whatever their case. */
function refuseMixedNames(
  members: readonly ArrowField[],
  what: 'column' | 'member',
  refused: ArrowField['refused'],
): void {
  const names = members.map(({ name }) => name.toLowerCase())
  if (names.includes('')) throw refused(`a ${what} without a name`)
  if (names.some((name) => name.includes('\0'))) throw refused(`a ${what} with a NUL in its name`)
  if (new Set(names).size < names.length) throw refused(`two ${what}s of one name`)
}

function dictionaryOf(field: Field): Dictionary | undefined {
  const encoding = field.dictionary()
  if (encoding === null) return undefined
  const key = encoding.indexType()
  const keyBytes = (key?.bitWidth() ?? 32) / 8
  if (![1, 2, 4, 8].includes(keyBytes)) throw damaged('a dictionary has no numbers')
  return { id: encoding.id(), keyBytes, isSigned: key?.isSigned() ?? true }
}

/** What is of one dictionary is of one type: vectors are made for that of the column. */
function refuseMixedDictionaries(fields: readonly ArrowField[]): void {
  const known = new Map<bigint, string>()
  const look = ({ dictionary, type, children }: ArrowField) => {
    if (dictionary !== undefined) {
      const other = known.get(dictionary.id) ?? String(type)
      if (other !== String(type)) throw damaged('a dictionary is of two types')
      known.set(dictionary.id, other)
    }
    children.forEach(look)
  }
  fields.forEach(look)
}
