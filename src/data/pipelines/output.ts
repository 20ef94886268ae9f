import { z } from 'zod'

import { datasetName } from '../datasets/dataset-name.ts'
import { columnName, columnNames } from './fields.ts'

/** The greatest value that is there, for the next run to go on from. */
export const WATERMARK = 'watermark'

/** Where rows go: a dataset, and what they do to the rows that it has. */
export const outputSchema = z
  .strictObject({
    dataset: datasetName,
    mode: z.enum(['create', 'append', 'replace', 'merge']).default('replace').meta({
      description:
        '`create` refuses a name that is taken; `append` puts the rows behind those that are there, `replace` in their place, `merge` in the place of those with the same keys, each as a further version',
    }),
    keys: columnNames.optional().meta({ description: 'Of `merge`' }),
    watermark: columnName.optional().meta({
      description:
        'Of `append`: a column that only grows. What is read is what is beyond the greatest value that is there; in SQL as `$watermark`, which is null at first',
    }),
  })
  .refine(
    ({ mode, keys }) => (mode === 'merge') === (keys !== undefined),
    'expected keys with merge, and with nothing else',
  )
  .refine(
    ({ mode, watermark }) => watermark === undefined || mode === 'append',
    'expected watermark with append alone',
  )

export type Output = z.output<typeof outputSchema>
