/** A column of a dataset, or of a result. */
export interface Column {
  name: string
  /** As DuckDB writes it: `BIGINT`, `VARCHAR`, `STRUCT(a INTEGER)`. */
  type: string
}
