import type { Column } from '../datasets/column.ts'

/** A column of a dataset that is read. */
export interface SourceColumn {
  dataset: string
  column: string
}

/** A column as it is after a step, with what it is made of. */
export interface PlannedColumn {
  name: string
  sources: readonly SourceColumn[]
}

export const columnsOf = (dataset: string, columns: readonly Column[]): PlannedColumn[] =>
  columns.map(({ name }) => ({ name, sources: [{ dataset, column: name }] }))

/** What all of them are made of, each once. */
export function sourcesOf(columns: readonly PlannedColumn[]): SourceColumn[] {
  const known = new Map<string, SourceColumn>()
  for (const source of columns.flatMap(({ sources }) => sources)) {
    known.set(`${source.dataset}\0${source.column}`, source)
  }
  return [...known.values()]
}

/** DuckDB tells names apart by their letters, and not by whether they are capitals. */
export const isSame = (one: string, other: string) => one.toLowerCase() === other.toLowerCase()

export const withName = (columns: readonly PlannedColumn[], name: string) =>
  columns.find((column) => isSame(column.name, name))
