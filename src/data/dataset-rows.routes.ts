import { z } from '@hono/zod-openapi'

import { invalid, problems } from '../gateway/problems.ts'
import { type RequestContext, type Route, route } from '../gateway/route.ts'
import { amount, columnSchema, namePath, versionQuery } from './dataset-fields.ts'
import type { VersionRow } from './datasets/datasets.ts'
import type { ReadableDatasets } from './datasets/readable-datasets.ts'
import type { Sources } from './datasets/sources.ts'
import type { Statistics } from './datasets/statistics.ts'
import { dataProblems } from './problems.ts'
import type { Queries } from './queries/queries.ts'
import { answerWithRows } from './results/rows-answer.ts'

const PAGE_ROWS_MAX = 1000
const SAMPLE_ROWS_MAX = 10_000
const SEED_MAX = 2 ** 31 - 1

const row = z.record(z.string(), z.unknown())
const rowsSchema = z.object({
  columns: z.array(columnSchema),
  data: z.array(row),
  rows: z.int().meta({ description: 'How many there are here' }),
})
const rowsExample = {
  columns: [
    { name: 'day', type: 'DATE' },
    { name: 'revenue', type: 'DOUBLE' },
  ],
  data: [{ day: '2026-03-01', revenue: 12.5 }],
  rows: 1,
}

const statisticsSchema = z.object({
  rows: z.int(),
  bytes: z.int(),
  columns: z.array(
    columnSchema.extend({
      min: z.string().nullable(),
      max: z.string().nullable(),
      nulls: z.int().nullable(),
    }),
  ),
})

/** To look at a dataset: its rows a page at a time, some of them, and what its files say of them. */
export function datasetRowRoutes(deps: {
  readable: ReadableDatasets
  sources: Sources
  queries: Queries
  statistics: Statistics
  limits: { bytesMax: number; timeoutMs: number }
}): Route[] {
  const { readable, sources, queries, statistics, limits } = deps
  const common = { tag: 'datasets', access: 'datasets:read' } as const
  const refusals = [
    problems.invalidRequest,
    dataProblems.unknownDataset,
    dataProblems.tooMuch,
    dataProblems.refusedQuery,
    dataProblems.overloaded,
    dataProblems.queryTimeout,
    problems.unavailable,
  ]

  async function answer(
    version: VersionRow,
    rest: string,
    members: Record<string, unknown>,
    { signal }: RequestContext,
  ): Promise<Response> {
    const source = await sources.open(version, signal)
    try {
      const sql = `SELECT * FROM ${source.sql} ${rest}`
      const query = { sql, sources: [source], format: 'json' as const }
      return await queries.run(query, { ...limits, signal }, (result, path) =>
        answerWithRows(result, path, members),
      )
    } finally {
      source.release()
    }
  }

  return [
    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/datasets/{name}/rows',
        summary: 'Look at the rows of a dataset',
        description: 'A page at a time, in the order in which they came; `next` leads on.',
        pathParameters: namePath,
        query: z.strictObject({
          ...versionQuery,
          cursor: z.string().max(100).optional().openapi({ description: 'The `next` before' }),
          limit: amount(100, PAGE_ROWS_MAX),
        }),
        answers: {
          200: {
            description: 'The rows, and where the next ones begin',
            schema: rowsSchema.extend({ version: z.int(), next: z.string().nullable() }),
            example: { ...rowsExample, version: 3, next: 'My4xMDA' },
          },
        },
        problems: refusals,
      },
      async ({ path: { name }, query: { version: asked, cursor, limit } }, context) => {
        const place = cursor === undefined ? undefined : placeOf(cursor)
        if (asked !== undefined && place !== undefined && asked !== place.version) {
          throw strangeCursor()
        }
        // A page of the version that the first one was of, whatever came since.
        const version = await readable.version(context.principal, name, place?.version ?? asked)
        const offset = place?.offset ?? 0
        const end = offset + limit
        const next = end < version.rows ? cursorOf({ version: version.version, offset: end }) : null
        const members = { version: version.version, next }
        return answer(version, `LIMIT ${limit} OFFSET ${offset}`, members, context)
      },
    ),

    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/datasets/{name}/sample',
        summary: 'Draw rows of a dataset',
        description: 'Each row is as likely as any other. The same seed draws the same rows.',
        pathParameters: namePath,
        query: z.strictObject({
          ...versionQuery,
          rows: amount(100, SAMPLE_ROWS_MAX),
          seed: amount(1, SEED_MAX),
        }),
        answers: {
          200: {
            description: 'The rows',
            schema: rowsSchema.extend({ version: z.int() }),
            example: { ...rowsExample, version: 3 },
          },
        },
        problems: refusals,
      },
      async ({ path: { name }, query: { version: asked, rows, seed } }, context) => {
        const version = await readable.version(context.principal, name, asked)
        const clause = `USING SAMPLE reservoir(${rows} ROWS) REPEATABLE (${seed})`
        return answer(version, clause, { version: version.version }, context)
      },
    ),

    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/datasets/{name}/statistics',
        summary: 'What the files of a dataset say of its columns',
        description:
          'From the footers of the files, without reading a row: least, greatest, missing.',
        pathParameters: namePath,
        query: z.strictObject(versionQuery),
        answers: {
          200: {
            description: 'Of each column; null where the files do not say it',
            schema: statisticsSchema.extend({ version: z.int() }),
            example: {
              version: 3,
              rows: 1460,
              bytes: 48_213,
              columns: [{ name: 'revenue', type: 'DOUBLE', min: '0.5', max: '9100.0', nulls: 12 }],
            },
          },
        },
        problems: refusals,
      },
      async ({ path: { name }, query: { version: asked } }, { principal, signal }) => {
        const version = await readable.version(principal, name, asked)
        const { rows, bytes } = version
        const columns = await statistics.of(version, signal)
        return { body: { version: version.version, rows, bytes, columns } }
      },
    ),
  ]
}

interface Place {
  version: number
  offset: number
}

const cursorOf = ({ version, offset }: Place) =>
  Buffer.from(`${version}.${offset}`).toString('base64url')

function placeOf(cursor: string): Place {
  const text = Buffer.from(cursor, 'base64url').toString()
  const [, version, offset] = /^([1-9]\d{0,14})\.(\d{1,15})$/.exec(text) ?? []
  if (version === undefined) throw strangeCursor()
  return { version: Number(version), offset: Number(offset) }
}

const strangeCursor = () =>
  invalid([{ path: ['query', 'cursor'], detail: 'is not the `next` of a page before' }])
