import { join } from 'node:path'

import type { Source } from '../datasets/sources.ts'
import type { Engine } from '../engine/engine.ts'
import type { ResultFormat } from '../results/formats.ts'
import type { Parameters } from '../results/parameters.ts'
import type { QueryResult } from '../results/query.ts'
import { problemOf } from './failures.ts'

/** A query that is ours to run: what a caller wrote has been admitted. */
interface Query {
  sql: string
  parameters?: Parameters
  /** What it reads. */
  sources: readonly Pick<Source, 'name' | 'paths'>[]
  format: ResultFormat
  /** Where only so many are wanted, as JSON, and the count of all. */
  firstRows?: number | undefined
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
    async run({ sql, parameters = {}, sources, format, firstRows }, options, take) {
      const paths = sources.flatMap((source) => source.paths)
      const { bytesMax, ...runOptions } = options
      const fileIn = (directory: string) => join(directory, `rows.${format}`)
      const order = (directory: string) => ({ sql, parameters, path: fileIn(directory), bytesMax })
      const taking = {
        ...runOptions,
        take: (result: QueryResult, directory: string) => take(result, fileIn(directory)),
      }
      try {
        return await (firstRows === undefined
          ? engine.run('query', paths, (at) => ({ ...order(at), format }), taking)
          : engine.run('overview', paths, (at) => ({ ...order(at), firstRows }), taking))
      } catch (error) {
        throw problemOf(error, namesOf(sources))
      }
    },
  }
}

const namesOf = (sources: Query['sources']) =>
  new Map(sources.flatMap(({ name, paths }) => paths.map((path) => [path, name] as const)))
