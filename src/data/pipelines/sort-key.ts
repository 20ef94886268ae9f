import type { z } from 'zod'

import { identifier } from '../engine/sql-text.ts'
import type { sortKeys } from './fields.ts'
import type { Planning } from './planning.ts'

/** What stands behind ORDER BY. Nulls are last either way, as in R, unless they are to be first. */
export function orderOf(
  keys: z.output<typeof sortKeys>,
  planning: Planning,
  ...path: PropertyKey[]
): string {
  const terms = keys.map((key, at) => {
    const { column, descending, nulls } = typeof key === 'string' ? readKey(key, planning) : key
    const { name } = planning.column(column, ...path, at)
    return `${identifier(name)} ${descending ? 'DESC' : 'ASC'} NULLS ${nulls.toUpperCase()}`
  })
  return terms.join(', ')
}

/** A column may be called `-day`. */
function readKey(key: string, { columns }: Planning) {
  const isName = columns.some(({ name }) => name === key)
  const descending = !isName && key.startsWith('-')
  return { column: descending ? key.slice(1) : key, descending, nulls: 'last' as const }
}
