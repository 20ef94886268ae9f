import { z } from 'zod'

import { identifier } from '../../engine/sql-text.ts'
import { sourcesOf, withName } from '../column-lineage.ts'
import { columnName, columnNames } from '../fields.ts'
import { defineOperation } from '../operation.ts'

/** A row a column, with its name and its value: wide to long. */
export const unpivot = defineOperation({
  schema: z.strictObject({
    type: z.literal('unpivot'),
    columns: columnNames,
    name_to: columnName.default('name'),
    value_to: columnName.default('value'),
    keep_nulls: z.boolean().default(false),
  }),
  plan(step, { columns, allOf, refuse }) {
    const { name_to: nameTo, value_to: valueTo, keep_nulls: keepNulls } = step
    const turned = allOf(step.columns, 'columns')
    const kept = columns.filter((each) => !turned.includes(each))
    for (const [name, field] of [
      [nameTo, 'name_to'],
      [valueTo, 'value_to'],
    ] as const) {
      if (withName(kept, name) !== undefined) refuse(`There is a column ${name} already.`, field)
    }
    if (nameTo.toLowerCase() === valueTo.toLowerCase()) {
      refuse('Names and values need a column each.', 'value_to')
    }
    const list = turned.map(({ name }) => identifier(name)).join(', ')
    const clause = `${identifier(valueTo)} FOR ${identifier(nameTo)} IN (${list})`
    return {
      sql: (input) =>
        `SELECT * FROM ${input} UNPIVOT ${keepNulls ? 'INCLUDE NULLS ' : ''}(${clause})`,
      columns: [
        ...kept,
        { name: nameTo, sources: [] },
        { name: valueTo, sources: sourcesOf(turned) },
      ],
    }
  },
})
