import { Problem } from '../../gateway/problem.ts'
import { pointerTo } from '../../gateway/problems.ts'
import { type Use, readExpression } from '../expressions/expression.ts'
import { nearest } from '../expressions/functions.ts'
import type { Parser } from '../expressions/parser.ts'
import { RefusedText } from '../expressions/refused-text.ts'
import type { ParameterTypes } from '../expressions/typed-parameters.ts'
import { refusedQuery } from '../queries/refused-query.ts'
import { type PlannedColumn, sourcesOf, withName } from './column-lineage.ts'
import type { ModelName, Scorer } from './scorer.ts'

/** A text of a step, and where it stands. */
export interface Text {
  text: string
  path: readonly PropertyKey[]
  /** How many characters stand before it. */
  before?: number
}

/** What a text became: a value a row. */
interface PlannedExpression {
  sql: string
  /** Names of the columns that it reads. */
  reads: string[]
  sources: PlannedColumn['sources']
}

/** What a step can ask while it is planned. All of it refuses with 422, naming the place in the document. */
export interface Planning {
  /** Of the rows that come in. */
  columns: readonly PlannedColumn[]
  column(name: string, ...path: PropertyKey[]): PlannedColumn
  /** Those named; each once. */
  allOf(names: readonly string[], ...path: PropertyKey[]): PlannedColumn[]
  /** @param rest.columns where they are others than those that come in. */
  expression(
    text: Text,
    use: Use,
    rest?: { columns?: readonly PlannedColumn[]; groupBy?: readonly string[] },
  ): Promise<PlannedExpression>
  /** @returns the columns of a dataset, which the step then reads by its name. */
  dataset(name: string): Promise<PlannedColumn[]>
  model(model: ModelName): ReturnType<Scorer['describe']>
  refuse(detail: string, ...path: PropertyKey[]): never
}

export function createPlanning(deps: {
  parser: Parser
  columns: readonly PlannedColumn[]
  parameters: ParameterTypes
  /** Of the step, in the document. */
  place: readonly PropertyKey[]
  dataset: (name: string) => Promise<PlannedColumn[]>
  model: (model: ModelName) => ReturnType<Scorer['describe']>
}): Planning {
  const { parser, columns, parameters, place } = deps
  const pointer = (path: readonly PropertyKey[]) => pointerTo([...place, ...path])

  const refused = (detail: string, ...path: PropertyKey[]) =>
    refusedQuery(new RefusedText(detail), pointer(path))

  function refuse(detail: string, ...path: PropertyKey[]): never {
    throw refused(detail, ...path)
  }

  function column(name: string, ...path: PropertyKey[]): PlannedColumn {
    const found = withName(columns, name)
    if (found !== undefined) return found
    const names = columns.map((each) => each.name)
    const like = nearest(name, names)
    const known = names.slice(0, 20).join(', ')
    const hint = like === undefined ? ` There are: ${known}.` : ` Is it ${like}?`
    return refuse(`There is no column ${name.slice(0, 64)}.${hint}`, ...path)
  }

  return {
    columns,
    column,
    refuse,
    dataset: deps.dataset,
    async model(model) {
      try {
        return await deps.model(model)
      } catch (error) {
        const isUnknown = error instanceof Problem && error.kind.status === 404
        throw isUnknown ? refused(error.message, 'model') : error
      }
    },
    allOf(names, ...path) {
      const found = names.map((name, at) => column(name, ...path, at))
      return [...new Set(found)]
    },
    async expression({ text, path, before = 0 }, use, { columns: among = columns, groupBy } = {}) {
      try {
        const { sql, columns: reads } = await readExpression(parser, text, use, {
          columns: among,
          parameters,
          ...(groupBy === undefined ? {} : { groupBy }),
        })
        const sources = sourcesOf(reads.map((name) => withName(among, name)!))
        return { sql, reads, sources }
      } catch (error) {
        const isPlaced = error instanceof RefusedText && error.position !== undefined
        const moved = isPlaced ? new RefusedText(error.message, error.position + before) : error
        throw refusedQuery(moved, pointer(path))
      }
    },
  }
}
