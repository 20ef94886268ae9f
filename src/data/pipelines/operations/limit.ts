import { z } from 'zod'

import { defineOperation } from '../operation.ts'

const ROWS_MAX = 2 ** 53 - 1

/** The first rows, or those after some. */
export const limit = defineOperation({
  schema: z.strictObject({
    type: z.literal('limit'),
    rows: z.int().min(0).max(ROWS_MAX),
    offset: z.int().min(0).max(ROWS_MAX).default(0),
  }),
  plan: ({ rows, offset }, { columns }) => ({
    sql: (input) => `SELECT * FROM ${input} LIMIT ${rows} OFFSET ${offset}`,
    columns,
  }),
})
