import { z } from 'zod'

import { type Step, stepSchema } from './operations/index.ts'

const STEPS_MAX = 100

export const stepsSchema = z.array(stepSchema).max(STEPS_MAX)

/** What a pipeline does: steps over a dataset, or one SELECT. */
export type Definition = { source: string; operations: Step[] } | { sql: string }
