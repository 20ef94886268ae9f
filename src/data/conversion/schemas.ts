import type { Column } from '../datasets/column.ts'
import { Refused } from '../engine/refused.ts'

/** Each of which the next ones hold. */
const INTEGERS = [
  'TINYINT',
  'UTINYINT',
  'SMALLINT',
  'USMALLINT',
  'INTEGER',
  'UINTEGER',
  'BIGINT',
  'UBIGINT',
]
const NUMBERS = [...INTEGERS, 'FLOAT', 'DOUBLE']
const TIMES = ['DATE', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP', 'TIMESTAMP_NS']

/**
 * The columns of rows that go behind others: those that were there, then those that are new. A number becomes a
 * wider one where it has to.
 *
 * @throws {Refused} where a column is of another kind.
 */
export function uniteSchemas(base: readonly Column[], more: readonly Column[]): Column[] {
  const added = new Map(more.map((column) => [column.name.toLowerCase(), column]))
  const united = base.map((column) => {
    const other = added.get(column.name.toLowerCase())
    added.delete(column.name.toLowerCase())
    return other === undefined ? column : { ...column, type: wider(column, other) }
  })
  return [...united, ...added.values()]
}

function wider({ name, type }: Column, { type: other }: Column): string {
  if (type === other) return type
  for (const order of [NUMBERS, TIMES]) {
    const [a, b] = [order.indexOf(type), order.indexOf(other)]
    if (a !== -1 && b !== -1) return order[Math.max(a, b)]!
  }
  throw new Refused(`Column ${name} is ${other}, and is ${type} in the rows that are there.`)
}
