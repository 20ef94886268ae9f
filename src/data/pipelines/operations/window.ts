import { z } from 'zod'

import { assignmentsOf } from '../assignment.ts'
import { derive } from '../derive.ts'
import { assignments } from '../fields.ts'
import { defineOperation } from '../operation.ts'

/** Columns computed from the rows around each: `total = sum(revenue) OVER (PARTITION BY shop ORDER BY day)`. */
export const window = defineOperation({
  schema: z.strictObject({ type: z.literal('window'), expression: assignments }),
  plan: ({ expression }, planning) =>
    derive(assignmentsOf(expression, 'expression'), 'window', planning),
})
