import { z } from 'zod'

import { identifier } from '../../engine/sql-text.ts'
import { columnNames, sortKeys } from '../fields.ts'
import { defineOperation } from '../operation.ts'
import { orderOf } from '../sort-key.ts'

/** Of rows with the same keys the first in an order, whole. */
export const deduplicate = defineOperation({
  schema: z.strictObject({
    type: z.literal('deduplicate'),
    keys: columnNames,
    order_by: sortKeys,
  }),
  plan({ keys, order_by: by }, planning) {
    const names = planning.allOf(keys, 'keys').map(({ name }) => identifier(name))
    const over = `PARTITION BY ${names.join(', ')} ORDER BY ${orderOf(by, planning, 'order_by')}`
    return {
      sql: (input) => `SELECT * FROM ${input} QUALIFY row_number() OVER (${over}) = 1`,
      columns: planning.columns,
    }
  },
})
