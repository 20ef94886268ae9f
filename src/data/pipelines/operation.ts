import type { z } from 'zod'

import type { PlannedColumn } from './column-lineage.ts'
import type { Planning } from './planning.ts'
import type { Scoring } from './scorer.ts'

/** What a step of a pipeline becomes: one SELECT of what comes in, which is named; or work for a model. */
export type Planned = {
  /** Of its rows, in their order. */
  columns: readonly PlannedColumn[]
} & ({ sql: (input: string) => string } | { scoring: Scoring })

/** A kind of step: how it is written, and what it becomes. */
interface Operation<Schema extends z.ZodType, Result extends Planned> {
  schema: Schema
  /** @throws {Problem} 422 for what does not fit the rows that come in. */
  plan: (step: z.output<Schema>, planning: Planning) => Result | Promise<Result>
}

export const defineOperation = <Schema extends z.ZodType, Result extends Planned>(
  operation: Operation<Schema, Result>,
) => operation
