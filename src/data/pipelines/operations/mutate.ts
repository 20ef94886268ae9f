import { z } from 'zod'

import { assignmentsOf } from '../assignment.ts'
import { derive } from '../derive.ts'
import { assignments } from '../fields.ts'
import { defineOperation } from '../operation.ts'

/** Columns computed from others of their row. */
export const mutate = defineOperation({
  schema: z.strictObject({ type: z.literal('mutate'), expression: assignments }),
  plan: ({ expression }, planning) =>
    derive(assignmentsOf(expression, 'expression'), 'row', planning),
})
