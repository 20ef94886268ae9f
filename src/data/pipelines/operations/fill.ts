import { z } from 'zod'

import { identifier, quoted } from '../../engine/sql-text.ts'
import { columnNames, literal, sortKeys } from '../fields.ts'
import { defineOperation } from '../operation.ts'
import { orderOf } from '../sort-key.ts'

/** Something in the place of nulls: a value, or that of a row before or behind. */
export const fill = defineOperation({
  schema: z
    .strictObject({
      type: z.literal('fill'),
      columns: columnNames,
      value: literal.optional(),
      method: z.enum(['forward', 'backward']).optional(),
      order_by: sortKeys.optional(),
      group_by: columnNames.optional(),
    })
    .refine(
      ({ value, method }) => (value === undefined) !== (method === undefined),
      'expected value, or method',
    )
    .refine(
      ({ method, order_by: by }) => (method === undefined) === (by === undefined),
      'expected order_by with method, and not without it',
    ),
  plan({ columns: names, value, method, order_by: by = [], group_by: groups = [] }, planning) {
    const over = () => {
      const partition = planning.allOf(groups, 'group_by').map(({ name }) => identifier(name))
      const order = orderOf(by, planning, 'order_by')
      const frame =
        method === 'forward'
          ? 'UNBOUNDED PRECEDING AND CURRENT ROW'
          : 'CURRENT ROW AND UNBOUNDED FOLLOWING'
      const parts = partition.length === 0 ? '' : `PARTITION BY ${partition.join(', ')} `
      return `OVER (${parts}ORDER BY ${order} ROWS BETWEEN ${frame})`
    }
    const filled = planning.allOf(names, 'columns').map(({ name }) => {
      const column = identifier(name)
      const nearest = method === 'forward' ? 'last_value' : 'first_value'
      const sql =
        value === undefined
          ? `${nearest}(${column} IGNORE NULLS) ${over()}`
          : `coalesce(${column}, ${typeof value === 'string' ? quoted(value) : String(value)})`
      return `${sql} AS ${column}`
    })
    return {
      sql: (input) => `SELECT * REPLACE (${filled.join(', ')}) FROM ${input}`,
      columns: planning.columns,
    }
  },
})
