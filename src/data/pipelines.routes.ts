import { z } from '@hono/zod-openapi'
import { Cron } from 'croner'

import type { Ownership } from '../gateway/access.ts'
import { invalid, problems } from '../gateway/problems.ts'
import { actorOf, identityOf, type Route, route } from '../gateway/route.ts'
import { amount } from './dataset-fields.ts'
import { datasetName } from './datasets/dataset-name.ts'
import { type ImportSource, importSourceSchema } from './imports/import-source.ts'
import type { Imports } from './imports/imports.ts'
import {
  pipelineExample,
  pipelineName,
  pipelineOf,
  pipelinePath,
  pipelineSchema,
  pipelineVersionExample,
  pipelineVersionOf,
  pipelineVersionSchema,
  savedSchema,
} from './pipeline-fields.ts'
import { type Definition, stepsSchema } from './pipelines/definition.ts'
import { endpointSettings } from './pipelines/endpoint-settings.ts'
import type { Step } from './pipelines/operations/index.ts'
import { WATERMARK } from './pipelines/output.ts'
import { PIPELINE, type PipelineRecord, type Pipelines } from './pipelines/pipelines.ts'
import type { Planner } from './pipelines/planner.ts'
import type { ReadablePipelines } from './pipelines/readable-pipelines.ts'
import { dataProblems } from './problems.ts'

const BODY_BYTES_MAX = 1024 * 1024
const PAGE_PIPELINES_MAX = 100
const PAGE_VERSIONS_MAX = 1000

const saveBody = z
  .strictObject({
    ...savedSchema,
    source: datasetName.optional(),
    operations: stepsSchema.optional(),
    sql: z.string().min(1).optional(),
    from: importSourceSchema.optional(),
  })
  .transform((body, context) => {
    const definition = definitionOf(body)
    if (definition !== undefined) return { ...body, definition }
    context.addIssue({ code: 'custom', message: 'expected source and operations, sql, or from' })
    return z.NEVER
  })
  .refine(
    ({ from, output, parameters }) =>
      from === undefined ||
      (output !== null && output.watermark === undefined && Object.keys(parameters).length === 0),
    'expected, with from, an output without a watermark, and no parameters',
  )

/** Of the three that there are, the one that is said. */
function definitionOf({
  source,
  operations,
  sql,
  from,
}: {
  source?: string | undefined
  operations?: Step[] | undefined
  sql?: string | undefined
  from?: ImportSource | undefined
}): Definition | undefined {
  const said = [source ?? operations, sql, from].filter((each) => each !== undefined)
  if (said.length !== 1) return undefined
  if (sql !== undefined) return { sql }
  if (from !== undefined) return { from }
  return source === undefined || operations === undefined ? undefined : { source, operations }
}

const changeBody = z.strictObject({
  description: z.string().max(2000).optional(),
  schedule: z
    .string()
    .max(100)
    .refine(isSchedule, 'expected a cron pattern of five fields, such as 0 4 * * *')
    .nullable()
    .optional()
    .openapi({ description: 'In UTC; null for none' }),
  endpoint: endpointSettings.nullable().optional().openapi({
    description: 'How it answers at /api/v1/endpoints/{name}; null for not at all',
  }),
})

/** The pipelines that are saved: which there are, how one comes, changes and goes. */
export function pipelineRoutes(deps: {
  pipelines: Pipelines
  readable: ReadablePipelines
  planner: Planner
  imports: Imports
  ownership: Ownership
}): Route[] {
  const { pipelines, readable, planner, imports, ownership } = deps
  const common = { tag: 'pipelines' } as const

  async function described(records: PipelineRecord[]) {
    const owners = await ownership.ownersOf(
      PIPELINE,
      records.map(({ name }) => name),
    )
    return records.map((record) => pipelineOf(record, owners.get(record.name)))
  }

  return [
    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/pipelines',
        access: 'pipelines:read',
        summary: 'List the pipelines',
        query: z.strictObject({
          after: z.string().max(64).optional().openapi({
            description: 'The `next` of the page before',
          }),
          limit: amount(20, PAGE_PIPELINES_MAX),
        }),
        answers: {
          200: {
            description: 'Those that the caller may read, by name',
            schema: z.object({ pipelines: z.array(pipelineSchema), next: z.string().nullable() }),
            example: { pipelines: [pipelineExample], next: null },
          },
        },
        problems: [problems.invalidRequest, problems.unavailable],
      },
      async ({ query: { after, limit } }, { principal }) => {
        const page = { published: false, after, limit: limit + 1 }
        const found = await readable.list(principal, page)
        const shown = found.slice(0, limit)
        const next = found.length > limit ? shown.at(-1)!.name : null
        return { body: { pipelines: await described(shown), next } }
      },
    ),

    route(
      {
        ...common,
        method: 'put',
        path: '/api/v1/pipelines/{name}',
        access: 'pipelines:write',
        summary: 'Save a pipeline, or a further version of it',
        description:
          'Steps over a dataset as `POST /api/v1/process/parquet` takes them, one `SELECT`, or a file to fetch `from` elsewhere. What could not be run is not saved. `parameters` are its `$name`s, each with a type; `output` is the dataset that a run writes.',
        pathParameters: pipelinePath,
        bodyBytesMax: BODY_BYTES_MAX,
        body: {
          schema: saveBody,
          example: {
            source: 'sales',
            operations: pipelineVersionExample.operations,
            parameters: pipelineVersionExample.parameters,
            output: pipelineVersionExample.output,
          },
        },
        answers: {
          200: { description: 'As it is now', schema: pipelineSchema, example: pipelineExample },
          201: { description: 'It is new', schema: pipelineSchema, example: pipelineExample },
        },
        problems: [
          problems.malformedBody,
          problems.invalidRequest,
          dataProblems.unknownDataset,
          dataProblems.refusedQuery,
          dataProblems.pipelineTaken,
          dataProblems.pipelineConflict,
          problems.unavailable,
        ],
      },
      async ({ path, body }, context) => {
        const { principal } = context
        const name = requireName(path.name)
        const { description, parameters, output, definition } = body
        const there = await pipelines.find(name)
        if (there !== undefined) {
          await readable.requireWrite(principal, name).catch((error: unknown) => {
            throw dataProblems.pipelineTaken({ detail: `The name ${name} is taken.`, cause: error })
          })
        }
        const types = new Map<string, string | null>(
          Object.entries(parameters).map(([each, { type }]) => [each, type]),
        )
        if (output?.watermark !== undefined) types.set(WATERMARK, null)
        if ('from' in definition) imports.require(definition.from)
        else await planner.plan(definition, principal, { parameters: types })
        const saved = await pipelines.save(
          name,
          { definition, parameters, output, description },
          {
            ownerId: identityOf(context).id,
            team: 'none',
            basis: there?.newest.version,
            actor: actorOf(context),
          },
        )
        const [shown] = await described([saved])
        const headers = { location: `/api/v1/pipelines/${name}` }
        return { status: there === undefined ? 201 : 200, body: shown, headers }
      },
    ),

    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/pipelines/{name}',
        access: 'pipelines:read',
        summary: 'Describe a pipeline',
        pathParameters: pipelinePath,
        answers: {
          200: {
            description: 'Whose it is, and its newest version',
            schema: pipelineSchema,
            example: pipelineExample,
          },
        },
        problems: [dataProblems.unknownPipeline, problems.unavailable],
      },
      async ({ path: { name } }, { principal }) => {
        const [body] = await described([await readable.get(principal, name)])
        return { body }
      },
    ),

    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/pipelines/{name}/versions',
        access: 'pipelines:read',
        summary: 'List the versions of a pipeline',
        pathParameters: pipelinePath,
        query: z.strictObject({ limit: amount(20, PAGE_VERSIONS_MAX) }),
        answers: {
          200: {
            description: 'The newest first',
            schema: z.object({ versions: z.array(pipelineVersionSchema) }),
            example: { versions: [pipelineVersionExample] },
          },
        },
        problems: [problems.invalidRequest, dataProblems.unknownPipeline, problems.unavailable],
      },
      async ({ path: { name }, query }, { principal }) => {
        await readable.get(principal, name)
        const versions = await pipelines.versions(name, query)
        return { body: { versions: versions.map(pipelineVersionOf) } }
      },
    ),

    route(
      {
        ...common,
        method: 'patch',
        path: '/api/v1/pipelines/{name}',
        access: 'pipelines:write',
        summary: 'Describe, schedule or publish a pipeline',
        description:
          'By `schedule` it is run when the pattern says, by `endpoint` asked like a table; both with the rights of its owner.',
        pathParameters: pipelinePath,
        body: {
          schema: changeBody,
          example: { schedule: '0 4 * * *', endpoint: { cache_seconds: 60 } },
        },
        answers: {
          200: { description: 'As it is now', schema: pipelineSchema, example: pipelineExample },
        },
        problems: [
          problems.invalidRequest,
          dataProblems.unknownPipeline,
          dataProblems.pipelineConflict,
          dataProblems.noOutput,
          problems.unavailable,
        ],
      },
      async ({ path: { name }, body }, context) => {
        const { newest } = await readable.requireWrite(context.principal, name)
        if (body.schedule != null && newest.output === null) {
          throw dataProblems.noOutput({ detail: `${name} says no dataset for what comes out.` })
        }
        if (body.endpoint != null && 'from' in newest.definition) {
          const detail = 'what is fetched has no endpoint: publish a pipeline over its output'
          throw invalid([{ path: ['endpoint'], detail }])
        }
        const set = Object.fromEntries(
          Object.entries(body).filter(([, value]) => value !== undefined),
        )
        await pipelines.change(name, set, actorOf(context))
        const [changed] = await described([await readable.get(context.principal, name)])
        return { body: changed }
      },
    ),

    route(
      {
        ...common,
        method: 'delete',
        path: '/api/v1/pipelines/{name}',
        access: 'pipelines:write',
        summary: 'Remove a pipeline',
        description: 'With its versions and what is known of its runs. What it has made stays.',
        pathParameters: pipelinePath,
        answers: { 204: { description: 'It is gone' } },
        problems: [
          dataProblems.unknownPipeline,
          dataProblems.pipelineConflict,
          problems.unavailable,
        ],
      },
      async ({ path: { name } }, context) => {
        await readable.requireWrite(context.principal, name)
        await pipelines.remove(name, actorOf(context))
        return new Response(null, { status: 204 })
      },
    ),
  ]
}

/** @throws {Problem} 422. */
function requireName(text: string): string {
  const parsed = pipelineName.safeParse(text)
  if (parsed.success) return parsed.data
  throw invalid([{ path: ['path', 'name'], detail: parsed.error.issues[0]!.message }])
}

/** Of minutes: what is run oftener is a stream. */
function isSchedule(pattern: string): boolean {
  if (pattern.trim().split(/\s+/).length !== 5) return false
  try {
    return new Cron(pattern, { timezone: 'UTC', paused: true }).nextRun() !== null
  } catch {
    return false
  }
}
