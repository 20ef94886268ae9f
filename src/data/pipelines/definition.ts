import { z } from 'zod'

import type { ImportSource } from '../imports/import-source.ts'
import { type Step, stepSchema } from './operations/index.ts'

const STEPS_MAX = 100

export const stepsSchema = z.array(stepSchema).max(STEPS_MAX)

/** What a plan is made of: steps over a dataset, or one SELECT. */
export type Planned = { source: string; operations: Step[] } | { sql: string }

/** What a pipeline does: that, or it fetches rows from elsewhere. */
export type Definition = Planned | { from: ImportSource }
