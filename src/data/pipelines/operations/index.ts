import { z } from 'zod'

import type { Planned } from '../operation.ts'
import type { Planning } from '../planning.ts'
import { aggregate } from './aggregate.ts'
import { cast } from './cast.ts'
import { deduplicate } from './deduplicate.ts'
import { distinct } from './distinct.ts'
import { fill } from './fill.ts'
import { filter } from './filter.ts'
import { join } from './join.ts'
import { limit } from './limit.ts'
import { mutate } from './mutate.ts'
import { pivot } from './pivot.ts'
import { predict } from './predict.ts'
import { rename } from './rename.ts'
import { sample } from './sample.ts'
import { select } from './select.ts'
import { sort } from './sort.ts'
import { union } from './union.ts'
import { unpivot } from './unpivot.ts'
import { window } from './window.ts'

const operations = {
  aggregate,
  cast,
  deduplicate,
  distinct,
  fill,
  filter,
  join,
  limit,
  mutate,
  pivot,
  predict,
  rename,
  sample,
  select,
  sort,
  union,
  unpivot,
  window,
}

/** A step of a pipeline, of one kind or another. */
export const stepSchema = z.discriminatedUnion('type', [
  aggregate.schema,
  cast.schema,
  deduplicate.schema,
  distinct.schema,
  fill.schema,
  filter.schema,
  join.schema,
  limit.schema,
  mutate.schema,
  pivot.schema,
  predict.schema,
  rename.schema,
  sample.schema,
  select.schema,
  sort.schema,
  union.schema,
  unpivot.schema,
  window.schema,
])

export type Step = z.output<typeof stepSchema>

/** @throws {Problem} 422 for what does not fit the rows that come in. */
export function planStep(step: Step, planning: Planning): Planned | Promise<Planned> {
  // A kind of step has the plan for its own.
  const plan = operations[step.type].plan as (
    step: Step,
    planning: Planning,
  ) => Planned | Promise<Planned>
  return plan(step, planning)
}
