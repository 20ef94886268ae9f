import { z } from 'zod'

import { datasetName } from '../datasets/dataset-name.ts'
import { stepSchema } from './operations/index.ts'

const STEPS_MAX = 100

export const stepsSchema = z.array(stepSchema).max(STEPS_MAX)

/** What a pipeline does: steps over a dataset, or one SELECT. */
export const definitionSchema = z.union([
  z.strictObject({ source: datasetName, operations: stepsSchema }),
  z.strictObject({ sql: z.string().min(1) }),
])

export type Definition = z.output<typeof definitionSchema>
