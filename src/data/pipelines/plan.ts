import { identifier } from '../engine/sql-text.ts'
import type { Parser } from '../expressions/parser.ts'
import type { ParameterTypes } from '../expressions/typed-parameters.ts'
import type { PlannedColumn } from './column-lineage.ts'
import { planStep, type Step } from './operations/index.ts'
import { createPlanning } from './planning.ts'
import type { ModelName, Scorer, Scoring } from './scorer.ts'

/** One SELECT, and the model that scores its rows where more follows. */
export interface Stage {
  /** Over datasets by their names, or over what the stage before left, by {@link SCORED}. */
  sql: string
  scoring?: Scoring
}

/** What a pipeline does, as far as it is known without its rows. */
export interface Plan {
  stages: Stage[]
  columns: readonly PlannedColumn[]
}

/** What stands for the rows that a model has scored. No dataset is called so. */
export const SCORED = 'scored rows'

/**
 * Makes SQL of steps: a common table expression each, so that it can be read beside what was written.
 *
 * @param deps.place of the steps, in the document.
 * @throws {Problem} 422 naming the step and the place in it.
 */
export async function planSteps(
  source: string,
  steps: readonly Step[],
  deps: {
    parser: Parser
    parameters: ParameterTypes
    place: string
    dataset: (name: string) => Promise<PlannedColumn[]>
    model: (model: ModelName) => ReturnType<Scorer['describe']>
  },
): Promise<Plan> {
  const stages: Stage[] = []
  let columns: readonly PlannedColumn[] = await deps.dataset(source)
  let input = identifier(source)
  let named: string[] = []
  const endStage = (scoring?: Scoring) => {
    const sql = `${named.length === 0 ? '' : `WITH ${named.join(',\n')}\n`}SELECT * FROM ${input}`
    stages.push(scoring === undefined ? { sql } : { sql, scoring })
    input = identifier(SCORED)
    named = []
  }
  for (const [at, step] of steps.entries()) {
    const planning = createPlanning({ ...deps, columns, place: [deps.place, at] })
    const planned = await planStep(step, planning)
    columns = planned.columns
    if ('scoring' in planned) {
      endStage(planned.scoring)
    } else {
      const name = identifier(`step ${at + 1}`)
      named.push(`${name} AS NOT MATERIALIZED (${planned.sql(input)})`)
      input = name
    }
  }
  endStage()
  return { stages, columns }
}
