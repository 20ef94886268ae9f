import { z } from 'zod'

import { identifier } from '../../engine/sql-text.ts'
import { columnNames } from '../fields.ts'
import { defineOperation } from '../operation.ts'

/** Each row once; of some columns, those alone. */
export const distinct = defineOperation({
  schema: z.strictObject({ type: z.literal('distinct'), columns: columnNames.optional() }),
  plan({ columns: names }, { columns, allOf }) {
    const kept = names === undefined ? columns : allOf(names, 'columns')
    const list = names === undefined ? '*' : kept.map(({ name }) => identifier(name)).join(', ')
    return { sql: (input) => `SELECT DISTINCT ${list} FROM ${input}`, columns: kept }
  },
})
