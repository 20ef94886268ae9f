import type { Column } from '../datasets/column.ts'
import type { SourceColumn } from './column-lineage.ts'
import type { ReadyPlan } from './planner.ts'

interface Explained {
  /** Over datasets by their names: they may be sent to /api/v1/query as they are. */
  statements: string[]
  schema: Column[]
  /** By column, what it is made of. Of SQL as it was written it is not known. */
  lineage: Record<string, readonly SourceColumn[]>
}

/** What a plan does, for who wants to know before it is done. */
export const explain = ({ stages, columns = [] }: ReadyPlan, schema: Column[]): Explained => ({
  statements: stages.map(({ sql }) => sql),
  schema,
  lineage: Object.fromEntries(columns.map(({ name, sources }) => [name, sources])),
})
