import { mkdirSync, rmSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'

import type { Identity, Principal } from '../../gateway/principal.ts'
import { problems } from '../../gateway/problems.ts'
import type { Partials } from '../../platform/storage/partial.ts'
import type { Converted } from '../conversion/conversion.ts'
import type { Adder, Additions } from '../datasets/additions.ts'
import type { DatasetRecord, Datasets, VersionRow } from '../datasets/datasets.ts'
import type { Origin } from '../datasets/origin.ts'
import type { Sources } from '../datasets/sources.ts'
import { Refused } from '../engine/refused.ts'
import { identifier, quoted } from '../engine/sql-text.ts'
import type { Imports } from '../imports/imports.ts'
import { dataProblems } from '../problems.ts'
import { cleaned } from '../queries/failures.ts'
import type { Queries, QueryOptions } from '../queries/queries.ts'
import { type Parameters, typesOf } from '../results/parameters.ts'
import type { QueryResult } from '../results/query.ts'
import { withName } from './column-lineage.ts'
import type { Definition, Planned } from './definition.ts'
import { type Output, WATERMARK } from './output.ts'
import type { Planner } from './planner.ts'
import type { Runner } from './runner.ts'

/** A pipeline whose rows become a dataset. */
export interface Work {
  definition: Definition
  parameters: Parameters
  versions: Record<string, number>
  output: Output
}

interface Materialized {
  /** That came out. */
  rows: number
  /** Of the dataset; the one that was there where nothing was added to it. */
  version: number
}

/** Puts what comes out of pipelines where it is kept. */
export interface Materializer {
  /** @throws {Problem} for what `materialize` would refuse before it has read anything. */
  requireRight(work: Work, by: Identity): Promise<void>
  /**
   * @param id what is done is done once: whoever comes with it again finds the version that there is.
   * @throws {Problem}
   */
  materialize(
    id: string,
    work: Work,
    by: Adder,
    options: Omit<QueryOptions, 'bytesMax'>,
  ): Promise<Materialized>
}

export function createMaterializer(deps: {
  planner: Planner
  runner: Runner
  imports: Imports
  queries: Queries
  sources: Sources
  datasets: Datasets
  additions: Additions
  partials: Partials
  /** Of what comes out, as Parquet. */
  bytesMax: number
}): Materializer {
  const { planner, runner, imports, queries, sources, datasets, additions, partials, bytesMax } =
    deps

  async function requireOutput(output: Output, by: Identity): Promise<DatasetRecord | undefined> {
    const { dataset: name, mode } = output
    if (!by.scopes.has('datasets:write')) {
      throw problems.forbidden({ detail: 'It takes the scope datasets:write.' })
    }
    const basis = await additions.requireRight({ name, mode: modeOf(output) }, by)
    if (mode !== 'append' || output.watermark === undefined || basis === undefined) return basis
    requireColumn(basis.newest, output.watermark, 'watermark')
    return basis
  }

  /** The greatest value that is there; nothing where there is none. */
  async function watermarkOf(
    { newest }: DatasetRecord,
    column: string,
    options: Omit<QueryOptions, 'bytesMax'>,
  ): Promise<Required<Parameters[string]> | undefined> {
    const { name, type } = requireColumn(newest, column, 'watermark')
    const source = await sources.open(newest, options.signal)
    try {
      const sql = `SELECT CAST(max(${identifier(name)}) AS VARCHAR) AS value FROM ${source.sql}`
      const [row] = await queries.run(
        { sql, sources: [source], format: 'json' },
        { ...options, bytesMax },
        async (_, path) => (await Bun.file(path).json()) as { value: string | null }[],
      )
      const { value } = row!
      return value === null ? undefined : { value, type }
    } finally {
      source.release()
    }
  }

  /** Those that are new, and of those that are there the ones that have none of their keys. */
  async function merge(
    basis: VersionRow,
    made: QueryResult & { path: string },
    keys: readonly string[],
    path: string,
    options: Omit<QueryOptions, 'bytesMax'>,
  ): Promise<QueryResult> {
    const named = made.columns.map(({ name }) => ({ name, sources: [] }))
    const on = keys.map((key) => {
      const known = identifier(requireColumn(basis, key, 'keys').name)
      const other = withName(named, key)
      if (other === undefined) throw lacks('What comes out', key)
      return `o.${known} IS NOT DISTINCT FROM n.${identifier(other.name)}`
    })
    const source = await sources.open(basis, options.signal)
    try {
      const rows = `read_parquet([${quoted(made.path)}])`
      const kept = `SELECT o.* FROM ${source.sql} AS o ANTI JOIN ${rows} AS n ON ${on.join(' AND ')}`
      const added = { name: basis.datasetName, paths: [made.path] }
      return await queries.run(
        {
          sql: `${kept} UNION ALL BY NAME SELECT * FROM ${rows}`,
          sources: [source, added],
          format: 'parquet',
        },
        { ...options, bytesMax },
        async (result, file) => {
          await rename(file, path)
          return result
        },
      )
    } finally {
      source.release()
    }
  }

  async function made(
    { definition, parameters, versions, output }: Work,
    basis: DatasetRecord | undefined,
    reader: Principal,
    path: string,
    options: Omit<QueryOptions, 'bytesMax'>,
  ): Promise<QueryResult | Converted> {
    if ('from' in definition) {
      const known = output.mode === 'append' ? (basis?.newest.columns ?? []) : []
      return imports.fetch(definition.from, { ...options, path, known })
    }
    const { watermark } = output
    const types = new Map<string, string | null | undefined>(typesOf(parameters))
    const bound = { ...parameters }
    let grown: Planned = definition
    if (watermark !== undefined) {
      const least = basis && (await watermarkOf(basis, watermark, options))
      types.set(WATERMARK, least?.type ?? null)
      if (least !== undefined) {
        grown = beyond(definition, watermark)
        // A value for a name that a statement has not would be refused.
        const isSpoken = !('sql' in grown) || SPOKEN.test(grown.sql)
        if (isSpoken) bound[WATERMARK] = least
      }
    }
    const plan = await planner.plan(grown, reader, { parameters: types, versions })
    return runner.run(
      plan,
      { parameters: bound, format: 'parquet' },
      reader,
      { ...options, bytesMax },
      async (result, file) => {
        await rename(file, path)
        return result
      },
    )
  }

  return {
    async requireRight({ definition, output }, by) {
      await requireOutput(output, by)
      if ('from' in definition) imports.require(definition.from)
    },
    async materialize(id, work, by, options) {
      const { output } = work
      const done = await datasets.versionOf(id)
      if (done !== undefined) return { rows: done.rows, version: done.version }
      const basis = await requireOutput(output, by.identity)
      const directory = partials.newPath('materialized')
      mkdirSync(directory, { mode: 0o700 })
      try {
        let path = join(directory, 'rows.parquet')
        let result: QueryResult | Converted = await made(work, basis, by.identity, path, options)
        const { rows } = result
        if (rows === 0 && output.mode === 'append' && basis !== undefined) {
          return { rows, version: basis.newest.version }
        }
        if (output.mode === 'merge' && basis !== undefined) {
          const merged = join(directory, 'merged.parquet')
          const keys = output.keys!
          result = await merge(basis.newest, { ...result, path }, keys, merged, options)
          path = merged
        }
        const { version } = await additions.add(
          { id, name: output.dataset, mode: modeOf(output), origin: originOf(work.definition) },
          { ...result, path },
          { ...by, basis },
          options.signal,
        )
        return { rows, version }
      } catch (error) {
        const isRefused = error instanceof Refused
        throw isRefused ? dataProblems.refusedQuery({ detail: cleaned(error.message) }) : error
      } finally {
        rmSync(directory, { recursive: true, force: true })
      }
    },
  }
}

const SPOKEN = new RegExp(`\\$${WATERMARK}\\b`, 'i')

const originOf = (definition: Definition): Origin => ('from' in definition ? 'import' : 'pipeline')

const modeOf = ({ mode }: Output) => (mode === 'merge' ? ('replace' as const) : mode)

function requireColumn({ columns, datasetName }: VersionRow, name: string, field: string) {
  const found = columns.find((column) => column.name.toLowerCase() === name.toLowerCase())
  if (found === undefined) throw lacks(`${field}: ${datasetName}`, name)
  return found
}

const lacks = (what: string, column: string) =>
  dataProblems.refusedQuery({ detail: `${what} has no column ${column.slice(0, 64)}.` })

/** The same, of the rows that are beyond what was read before. */
function beyond(definition: Planned, column: string): Planned {
  if ('sql' in definition) return definition
  const condition = `${identifier(column)} > $${WATERMARK}`
  return {
    ...definition,
    operations: [{ type: 'filter', condition }, ...definition.operations],
  }
}
