import { z } from 'zod'

import { identifier, quoted } from '../../engine/sql-text.ts'
import { sourcesOf, withName } from '../column-lineage.ts'
import { columnName, columnNames, expressionText, literal } from '../fields.ts'
import { defineOperation } from '../operation.ts'

const VALUES_MAX = 1000

/** A column a value, of what rows with that value have: long to wide. */
export const pivot = defineOperation({
  schema: z.strictObject({
    type: z.literal('pivot'),
    on: columnName,
    values: z.array(literal).min(1).max(VALUES_MAX),
    /** An aggregate. */
    using: expressionText,
    /** All other columns, unless they are said. */
    group_by: columnNames.optional(),
  }),
  async plan({ on, values, using: text, group_by: names }, planning) {
    const { columns, allOf, column, expression, refuse } = planning
    const by = column(on, 'on')
    const { sql, reads, sources } = await expression({ text, path: ['using'] }, 'aggregate')
    const groups =
      names === undefined
        ? columns.filter((each) => each !== by && !reads.includes(each.name))
        : allOf(names, 'group_by')
    const entries = values.map((value) => ({
      name: String(value),
      sql: `${typeof value === 'string' ? quoted(value) : String(value)} AS ${identifier(String(value))}`,
      sources: sourcesOf([by, { name: '', sources }]),
    }))
    const entryNames = new Set(entries.map(({ name }) => name.toLowerCase()))
    const isTaken = entries.some(({ name }) => withName(groups, name) !== undefined)
    if (entryNames.size < entries.length || isTaken) {
      refuse('Two columns would have one name.', 'values')
    }
    const used = [...new Set([by.name, ...groups.map(({ name }) => name), ...reads])]
    const list = used.map(identifier).join(', ')
    const grouped = groups.map(({ name }) => identifier(name)).join(', ')
    const clause = `${sql} FOR ${identifier(by.name)} IN (${entries.map((each) => each.sql).join(', ')})`
    return {
      sql: (input) =>
        `SELECT * FROM (SELECT ${list} FROM ${input}) PIVOT (${clause}${grouped === '' ? '' : ` GROUP BY ${grouped}`})`,
      columns: [...groups, ...entries.map(({ name, sources: made }) => ({ name, sources: made }))],
    }
  },
})
