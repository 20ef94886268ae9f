import { z } from 'zod'

import { expressionText } from '../fields.ts'
import { defineOperation } from '../operation.ts'

/** Rows of which something is true. */
export const filter = defineOperation({
  schema: z.strictObject({ type: z.literal('filter'), condition: expressionText }),
  async plan({ condition: text }, { columns, expression }) {
    const { sql: condition } = await expression({ text, path: ['condition'] }, 'row')
    return { sql: (input) => `SELECT * FROM ${input} WHERE ${condition}`, columns }
  },
})
