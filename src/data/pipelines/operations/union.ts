import { z } from 'zod'

import { datasetName } from '../../datasets/dataset-name.ts'
import { identifier } from '../../engine/sql-text.ts'
import { type PlannedColumn, sourcesOf, withName } from '../column-lineage.ts'
import { defineOperation } from '../operation.ts'

const DATASETS_MAX = 50

/** The rows of datasets behind these, column by column of the same name; what one has not is null. */
export const union = defineOperation({
  schema: z.strictObject({
    type: z.literal('union'),
    datasets: z.array(datasetName).min(1).max(DATASETS_MAX),
    distinct: z.boolean().default(false),
  }),
  async plan({ datasets, distinct }, { columns, dataset }) {
    let united: PlannedColumn[] = [...columns]
    for (const name of datasets) {
      const others = await dataset(name)
      united = united.map((column) => {
        const same = withName(others, column.name)
        return same === undefined ? column : { ...column, sources: sourcesOf([column, same]) }
      })
      united.push(...others.filter((each) => withName(united, each.name) === undefined))
    }
    const how = distinct ? 'UNION BY NAME' : 'UNION ALL BY NAME'
    return {
      sql: (input) =>
        [input, ...datasets.map(identifier)]
          .map((name) => `SELECT * FROM ${name}`)
          .join(` ${how} `),
      columns: united,
    }
  },
})
