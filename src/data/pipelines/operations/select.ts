import { z } from 'zod'

import { identifier } from '../../engine/sql-text.ts'
import { columnName, columnNames } from '../fields.ts'
import { defineOperation } from '../operation.ts'

/** Some of the columns, in this order; or all but some. */
export const select = defineOperation({
  schema: z
    .strictObject({
      type: z.literal('select'),
      columns: z.union([columnNames, z.record(columnName, columnName)]).optional(),
      except: columnNames.optional(),
    })
    .refine(
      ({ columns, except }) => (columns === undefined) !== (except === undefined),
      'expected columns, or except',
    ),
  plan({ columns: wanted, except = [] }, { columns, allOf, column, refuse }) {
    if (wanted === undefined) {
      const left = new Set(allOf(except, 'except'))
      const kept = columns.filter((each) => !left.has(each))
      if (kept.length === 0) refuse('No column would be left.', 'except')
      const names = [...left].map(({ name }) => identifier(name)).join(', ')
      return { sql: (input) => `SELECT * EXCLUDE (${names}) FROM ${input}`, columns: kept }
    }
    const named = Array.isArray(wanted)
      ? allOf(wanted, 'columns').map((from) => ({ name: from.name, from }))
      : Object.entries(wanted).map(([name, from]) => ({
          name,
          from: column(from, 'columns', name),
        }))
    if (new Set(named.map(({ name }) => name.toLowerCase())).size < named.length) {
      refuse('Two columns would have one name.', 'columns')
    }
    const list = named.map(({ name, from }) => `${identifier(from.name)} AS ${identifier(name)}`)
    return {
      sql: (input) => `SELECT ${list.join(', ')} FROM ${input}`,
      columns: named.map(({ name, from }) => ({ ...from, name })),
    }
  },
})
