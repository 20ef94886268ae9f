import { join } from 'node:path'

import type { DuckDBValue } from '@duckdb/node-api'

import type { Source } from '../datasets/sources.ts'
import type { Engine } from '../engine/engine.ts'
import type { ResultFormat } from '../results/formats.ts'
import type { QueryResult } from '../results/query.ts'
import { problemOf } from './failures.ts'

/** A query that is ours to run: what a caller wrote has been admitted. */
interface Query {
  sql: string
  parameters?: Record<string, DuckDBValue>
  /** What it reads. */
  sources: readonly Source[]
  format: ResultFormat
}

export interface QueryOptions {
  /** Of the result, as a file. */
  bytesMax: number
  timeoutMs: number
  signal?: AbortSignal | undefined
  onProgress?: ((share: number) => void) | undefined
}

/** Runs queries, and says what becomes of them in words for who asked. */
export interface Queries {
  /**
   * @param take reads the file with the rows, before it is removed.
   * @throws {Problem} 422 refused or too much, 503, 504.
   */
  run<Taken>(
    query: Query,
    options: QueryOptions,
    take: (result: QueryResult, path: string) => Promise<Taken>,
  ): Promise<Taken>
}

export function createQueries({ engine }: { engine: Engine }): Queries {
  return {
    async run({ sql, parameters = {}, sources, format }, { bytesMax, ...options }, take) {
      const paths = sources.flatMap((source) => source.paths)
      const fileIn = (directory: string) => join(directory, `rows.${format}`)
      try {
        return await engine.run(
          'query',
          paths,
          (directory) => ({ sql, parameters, path: fileIn(directory), format, bytesMax }),
          { ...options, take: (result, directory) => take(result, fileIn(directory)) },
        )
      } catch (error) {
        throw problemOf(error, namesOf(sources))
      }
    },
  }
}

const namesOf = (sources: readonly Source[]) =>
  new Map(sources.flatMap(({ name, paths }) => paths.map((path) => [path, name] as const)))
