import type { Principal } from '../../gateway/principal.ts'
import type { VersionRow } from '../datasets/datasets.ts'
import type { ReadableDatasets } from '../datasets/readable-datasets.ts'
import type { Parser } from '../expressions/parser.ts'
import { readQuery } from '../expressions/query.ts'
import type { ParameterTypes } from '../expressions/typed-parameters.ts'
import { refusedQuery } from '../queries/refused-query.ts'
import { columnsOf } from './column-lineage.ts'
import type { Planned } from './definition.ts'
import { type Plan, planSteps } from './plan.ts'
import type { Scorer } from './scorer.ts'

/** A plan with the versions of what it reads, which do not change any more. */
export interface ReadyPlan {
  stages: Plan['stages']
  /** With their lineage; of SQL nobody knows it. */
  columns: Plan['columns'] | undefined
  datasets: VersionRow[]
}

interface PlanOptions {
  parameters: ParameterTypes
  /** Of datasets that are not to be read as they are now. */
  versions?: Record<string, number>
  /** What the steps are called in the document. */
  place?: string
}

/** Makes plans, of what somebody may read. */
export interface Planner {
  /** @throws {Problem} 404 for a dataset that there is not, 422 for what is refused. */
  plan(definition: Planned, reader: Principal, options: PlanOptions): Promise<ReadyPlan>
}

export function createPlanner(deps: {
  parser: Parser
  readable: ReadableDatasets
  scorer: Scorer
}): Planner {
  const { parser, readable, scorer } = deps
  return {
    async plan(definition, reader, { parameters, versions = {}, place = 'operations' }) {
      const read = new Map<string, VersionRow>()
      const open = async (name: string): Promise<VersionRow> => {
        const known = read.get(name)
        if (known !== undefined) return known
        const version = await readable.version(reader, name, versions[name])
        read.set(name, version)
        return version
      }
      if ('sql' in definition) {
        const query = await readQuery(parser, definition.sql, { parameters }).catch(refuse)
        for (const name of query.datasets) await open(name)
        return { stages: [{ sql: query.sql }], columns: undefined, datasets: [...read.values()] }
      }
      const { source, operations } = definition
      const { stages, columns } = await planSteps(source, operations, {
        parser,
        parameters,
        place,
        dataset: async (name) => columnsOf(name, (await open(name)).columns),
        model: (model) => scorer.describe(reader, model),
      })
      return { stages, columns, datasets: [...read.values()] }
    },
  }
}

function refuse(error: unknown): never {
  throw refusedQuery(error, '#/sql')
}
