import { mkdirSync, rmSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'

import type { Principal } from '../../gateway/principal.ts'
import type { Partials } from '../../platform/storage/partial.ts'
import type { Column } from '../datasets/column.ts'
import type { Source, Sources } from '../datasets/sources.ts'
import { identifier, quoted } from '../engine/sql-text.ts'
import { over } from '../queries/over.ts'
import type { Queries, QueryOptions } from '../queries/queries.ts'
import type { ResultFormat } from '../results/formats.ts'
import type { Parameters } from '../results/parameters.ts'
import type { QueryResult } from '../results/query.ts'
import { SCORED, type Stage } from './plan.ts'
import type { ReadyPlan } from './planner.ts'
import type { Scorer, Scoring } from './scorer.ts'

interface RunAs {
  parameters: Parameters
  format: ResultFormat
  /** Where only so many are wanted, as JSON, and the count of all. */
  firstRows?: number
}

/** Runs plans. */
export interface Runner {
  /**
   * @param take reads the file with the rows, before it is removed.
   * @throws {Problem} 422, 503, 504.
   */
  run<Taken>(
    plan: ReadyPlan,
    as: RunAs,
    reader: Principal,
    options: QueryOptions,
    take: (result: QueryResult, path: string) => Promise<Taken>,
  ): Promise<Taken>
  /** The columns that would come out, of what there would be if no rows came in. @throws {Problem} as `run`. */
  columns(
    plan: ReadyPlan,
    parameters: Parameters,
    options: Omit<QueryOptions, 'bytesMax'>,
  ): Promise<Column[]>
}

/** What is read beside the datasets. */
type Rows = Pick<Source, 'name' | 'sql' | 'paths'>

export function createRunner(deps: {
  queries: Queries
  sources: Sources
  scorer: Scorer
  partials: Partials
  /** Of what goes from one stage to the next. */
  stageBytesMax: number
}): Runner {
  const { queries, sources, scorer, partials, stageBytesMax } = deps

  async function withSources<Result>(
    { datasets }: ReadyPlan,
    signal: AbortSignal | undefined,
    work: (opened: Source[]) => Promise<Result>,
  ): Promise<Result> {
    const opened: Source[] = []
    try {
      for (const version of datasets) opened.push(await sources.open(version, signal))
      return await work(opened)
    } finally {
      for (const source of opened) source.release()
    }
  }

  /** The rows of a stage with what a model says of each, in files. */
  async function scored(
    { sql, scoring }: Stage & { scoring: Scoring },
    {
      read,
      parameters,
      reader,
      at,
    }: { read: Rows[]; parameters: Parameters; reader: Principal; at: string },
    options: QueryOptions,
  ): Promise<Rows> {
    const { signal } = options
    const file = (name: string) => `${at}-${name}`
    const [rows, asked, answers] = [file('rows.parquet'), file('asked.ndjson'), file('answers.csv')]
    const into = (path: string) => async (_: QueryResult, made: string) => rename(made, path)
    await queries.run(
      { sql: over(read, sql), parameters, sources: read, format: 'parquet' },
      options,
      into(rows),
    )
    const list = scoring.inputs.map(
      ({ input, column }) => `${identifier(column)} AS ${identifier(input)}`,
    )
    const stored = { name: SCORED, sql: `read_parquet([${quoted(rows)}])`, paths: [rows] }
    await queries.run(
      { sql: `SELECT ${list.join(', ')} FROM ${stored.sql}`, sources: [stored], format: 'ndjson' },
      options,
      into(asked),
    )
    const handle = await open(answers, 'wx', 0o600)
    try {
      const pieces = scorer.score(reader, scoring.model, Bun.file(asked).stream(), signal)
      for await (const piece of pieces) await handle.write(piece)
    } finally {
      await handle.close()
    }
    const types = scoring.outputs.map(({ name, type }) => `${quoted(name)}: ${quoted(type)}`)
    const table = `read_csv(${quoted(answers)}, columns = {${types.join(', ')}}, header = true, auto_detect = false)`
    return {
      name: SCORED,
      sql: `(SELECT * FROM ${stored.sql} POSITIONAL JOIN ${table})`,
      paths: [rows, answers],
    }
  }

  return {
    run: (plan, { parameters, ...as }, reader, { timeoutMs, ...options }, take) =>
      withSources(plan, options.signal, async (opened) => {
        const endsAt = performance.now() + timeoutMs
        const left = () => ({
          ...options,
          timeoutMs: Math.max(1, Math.round(endsAt - performance.now())),
        })
        const last = plan.stages.at(-1)!
        const directory = partials.newPath('pipeline')
        let read: Rows[] = opened
        try {
          for (const [at, stage] of plan.stages.entries()) {
            if (stage.scoring === undefined) break
            mkdirSync(directory, { recursive: true, mode: 0o700 })
            const rows = await scored(
              { ...stage, scoring: stage.scoring },
              { read, parameters, reader, at: join(directory, String(at)) },
              { ...left(), bytesMax: stageBytesMax },
            )
            read = [...opened, rows]
          }
          const query = { ...as, sql: over(read, last.sql), parameters, sources: read }
          return await queries.run(query, left(), take)
        } finally {
          rmSync(directory, { recursive: true, force: true })
        }
      }),

    columns: (plan, parameters, options) =>
      withSources(plan, options.signal, async (opened) => {
        let before: Rows[] = []
        for (const { sql, scoring } of plan.stages) {
          const read = [...opened, ...before]
          const found = await queries.run(
            {
              sql: `SELECT * FROM (${over(read, sql)}) LIMIT 0`,
              parameters,
              sources: read,
              format: 'parquet',
            },
            { ...options, bytesMax: stageBytesMax },
            async ({ columns }) => columns,
          )
          if (scoring === undefined) return found
          before = [noRowsOf([...found, ...scoring.outputs])]
        }
        throw new Error('a plan ends with a query')
      }),
  }
}

/** A table with these columns. */
function noRowsOf(columns: readonly Column[]): Rows {
  const list = columns.map(({ name, type }) => `CAST(NULL AS ${type}) AS ${identifier(name)}`)
  return { name: SCORED, sql: `(SELECT ${list.join(', ')} WHERE false)`, paths: [] }
}
