import { z } from 'zod'

import { identifier } from '../../engine/sql-text.ts'
import { columnName } from '../fields.ts'
import { defineOperation } from '../operation.ts'

/** Other names for columns: old to new. */
export const rename = defineOperation({
  schema: z.strictObject({
    type: z.literal('rename'),
    columns: z
      .record(columnName, columnName)
      .refine((names) => Object.keys(names).length > 0, 'has no name'),
  }),
  plan({ columns: names }, { columns, column, refuse }) {
    const renamed = new Map(
      Object.entries(names).map(([from, to]) => [column(from, 'columns', from), to] as const),
    )
    const list = [...renamed].map(([{ name }, to]) => `${identifier(name)} AS ${identifier(to)}`)
    const after = columns.map((each) => ({ ...each, name: renamed.get(each) ?? each.name }))
    if (new Set(after.map(({ name }) => name.toLowerCase())).size < after.length) {
      refuse('Two columns would have one name.', 'columns')
    }
    return {
      sql: (input) => `SELECT * RENAME (${list.join(', ')}) FROM ${input}`,
      columns: after,
    }
  },
})
