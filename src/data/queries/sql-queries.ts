import type { Principal } from '../../gateway/principal.ts'
import type { ReadableDatasets } from '../datasets/readable-datasets.ts'
import type { Source, Sources } from '../datasets/sources.ts'
import { identifier } from '../engine/sql-text.ts'
import type { Parser } from '../expressions/parser.ts'
import { readQuery } from '../expressions/query.ts'
import type { ResultFormat } from '../results/formats.ts'
import type { QueryResult } from '../results/query.ts'
import type { Parameters } from './parameters.ts'
import type { Queries, QueryOptions } from './queries.ts'
import { refusedQuery } from './refused-query.ts'

/** SQL as a caller wrote it. */
interface SqlQuery {
  sql: string
  parameters: Parameters
  /** Of datasets that are not to be read as they are now. */
  versions: Record<string, number>
  format: ResultFormat
}

/** One SELECT over what its caller may read. */
export interface SqlQueries {
  /**
   * @param take reads the file with the rows, before it is removed.
   * @throws {Problem} 404 for a dataset that there is not, 422 for what is refused, 503, 504.
   */
  run<Taken>(
    query: SqlQuery,
    reader: Principal,
    options: QueryOptions,
    take: (result: QueryResult, path: string) => Promise<Taken>,
  ): Promise<Taken>
}

export function createSqlQueries(deps: {
  parser: Parser
  readable: ReadableDatasets
  sources: Sources
  queries: Queries
}): SqlQueries {
  const { parser, readable, sources, queries } = deps
  return {
    async run({ sql: text, parameters, versions, format }, reader, options, take) {
      const names = new Set(Object.keys(parameters))
      const { sql, datasets } = await readQuery(parser, text, { parameters: names }).catch(
        (error: unknown) => {
          throw refusedQuery(error, '#/sql')
        },
      )
      const read: Source[] = []
      try {
        for (const name of datasets) {
          const version = await readable.version(reader, name, versions[name])
          read.push(await sources.open(version, options.signal))
        }
        const query = { sql: over(read, sql), parameters, sources: read, format }
        return await queries.run(query, options, take)
      } finally {
        for (const source of read) source.release()
      }
    },
  }
}

/** A query in which names stand for datasets. Read where they are used, as if they stood there. */
function over(sources: readonly Source[], sql: string): string {
  if (sources.length === 0) return sql
  const named = sources.map(
    (source) => `${identifier(source.name)} AS NOT MATERIALIZED (SELECT * FROM ${source.sql})`,
  )
  return `WITH ${named.join(', ')} SELECT * FROM (${sql})`
}
