import { z } from 'zod'

import { sortKeys } from '../fields.ts'
import { defineOperation } from '../operation.ts'
import { orderOf } from '../sort-key.ts'

/** Rows in an order. */
export const sort = defineOperation({
  schema: z.strictObject({ type: z.literal('sort'), by: sortKeys }),
  plan({ by }, planning) {
    const order = orderOf(by, planning, 'by')
    return {
      sql: (input) => `SELECT * FROM ${input} ORDER BY ${order}`,
      columns: planning.columns,
    }
  },
})
