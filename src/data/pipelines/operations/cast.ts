import { z } from 'zod'

import { columnType } from '../../datasets/column-type.ts'
import { identifier } from '../../engine/sql-text.ts'
import { columnName } from '../fields.ts'
import { defineOperation } from '../operation.ts'

/** Columns of other types. */
export const cast = defineOperation({
  schema: z.strictObject({
    type: z.literal('cast'),
    columns: z
      .record(columnName, columnType)
      .refine((types) => Object.keys(types).length > 0, 'has no type'),
    /** What becomes of a value that has none of the type. */
    on_error: z.enum(['fail', 'null']).default('fail'),
  }),
  plan({ columns: types, on_error: onError }, { columns, column }) {
    const list = Object.entries(types).map(([name, type]) => {
      const known = identifier(column(name, 'columns', name).name)
      return `${onError === 'fail' ? 'CAST' : 'TRY_CAST'}(${known} AS ${type}) AS ${known}`
    })
    return { sql: (input) => `SELECT * REPLACE (${list.join(', ')}) FROM ${input}`, columns }
  },
})
