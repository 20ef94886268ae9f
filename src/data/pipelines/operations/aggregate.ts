import { z } from 'zod'

import { identifier } from '../../engine/sql-text.ts'
import { assignmentsOf } from '../assignment.ts'
import { type PlannedColumn, withName } from '../column-lineage.ts'
import { anyColumnNames, assignments } from '../fields.ts'
import { defineOperation } from '../operation.ts'

/** A row a group; of all rows where there are no groups. */
export const aggregate = defineOperation({
  schema: z.strictObject({
    type: z.literal('aggregate'),
    group_by: anyColumnNames.default([]),
    metrics: assignments,
  }),
  async plan({ group_by: names, metrics }, { allOf, expression, refuse }) {
    const groups = allOf(names, 'group_by')
    const columns: PlannedColumn[] = [...groups]
    const items = groups.map(({ name }) => identifier(name))
    const by = items.join(', ')
    for (const metric of assignmentsOf(metrics, 'metrics')) {
      // As R and SQL do: what is not named is called what it is.
      const name = metric.name ?? metric.text.trim()
      if (withName(columns, name) !== undefined) {
        refuse(`Two columns would be called ${name.slice(0, 64)}.`, ...metric.path)
      }
      const groupBy = groups.map((column) => column.name)
      const { sql, sources } = await expression(metric, 'aggregate', { groupBy })
      items.push(`${sql} AS ${identifier(name)}`)
      columns.push({ name, sources })
    }
    const grouped = by === '' ? '' : ` GROUP BY ${by}`
    return { sql: (input) => `SELECT ${items.join(', ')} FROM ${input}${grouped}`, columns }
  },
})
