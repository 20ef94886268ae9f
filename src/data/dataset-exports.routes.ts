import { z } from '@hono/zod-openapi'

import { fileAnswer } from '../gateway/file-answer.ts'
import { problems } from '../gateway/problems.ts'
import { type RequestContext, type Route, route } from '../gateway/route.ts'
import type { Clock } from '../platform/clock.ts'
import type { Storage } from '../platform/storage/storage.ts'
import { namePath, versionQuery } from './dataset-fields.ts'
import type { Exports } from './datasets/exports.ts'
import type { ReadableDatasets } from './datasets/readable-datasets.ts'
import { dataProblems } from './problems.ts'
import { askedFormat } from './results/asked-format.ts'
import { type ResultFormat, resultFormatNames, resultFormats } from './results/formats.ts'

const LINK_SECONDS = 3600
/** S3's own limit. */
const LINK_SECONDS_MAX = 7 * 86_400

const linkSchema = z.strictObject({
  format: z.enum(resultFormatNames).default('parquet'),
  version: z.int().min(1).optional(),
  expires_in_seconds: z.int().min(1).max(LINK_SECONDS_MAX).default(LINK_SECONDS),
})

/** Datasets as files, for programs that read addresses. */
export function datasetExportRoutes(deps: {
  readable: ReadableDatasets
  exports: Exports
  storage: Storage
  clock: Clock
  publicUrl: string
  timeoutMs: number
}): Route[] {
  const { readable, exports, storage, clock, publicUrl, timeoutMs } = deps
  const common = { tag: 'datasets', access: 'datasets:read', timeoutMs } as const
  const refusals = [
    problems.invalidRequest,
    dataProblems.unknownDataset,
    problems.rangeNotSatisfiable,
    dataProblems.refusedQuery,
    dataProblems.tooMuch,
    dataProblems.overloaded,
    dataProblems.queryTimeout,
    problems.unavailable,
  ]
  const answers = (mediaType: string) => ({
    200: { description: 'The file', mediaType, example: 'the bytes of the file' },
    206: { description: 'The range of it', mediaType, example: 'some of them' },
    304: { description: 'It is what If-None-Match names' },
  })

  async function answer(
    asked: { name: string; version: number | undefined; format: ResultFormat },
    context: RequestContext,
  ): Promise<Response> {
    const { name, format } = asked
    const version = await readable.version(context.principal, name, asked.version)
    const opened = await exports.open(version, format, context.signal)
    const { mediaType } = resultFormats[format]
    return fileAnswer(opened, context, { mediaType, fileName: `${name}.${format}` })
  }

  return [
    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/datasets/{name}/export',
        summary: 'Read a dataset as a file',
        description:
          'In the form that `Accept` prefers, or that `format` names. HEAD, one range and `If-None-Match` are answered by RFC 9110, so that DuckDB, R and Python read it by its address, with an API key as the password of Basic.',
        pathParameters: namePath,
        query: z.strictObject({ ...versionQuery, format: z.enum(resultFormatNames).optional() }),
        answers: answers('application/octet-stream'),
        problems: [...refusals, dataProblems.notAcceptable],
      },
      ({ path: { name }, query }, context) => {
        const format = askedFormat(query.format, context.request.headers.get('accept'))
        return answer({ name, version: query.version, format }, context)
      },
    ),

    ...resultFormatNames.map((format) =>
      route(
        {
          ...common,
          method: 'get',
          path: `/api/v1/datasets/{name}/export.${format}`,
          summary: `Read a dataset as ${format}`,
          pathParameters: namePath,
          query: z.strictObject(versionQuery),
          answers: answers(resultFormats[format].mediaType),
          problems: refusals,
        },
        ({ path: { name }, query }, context) =>
          answer({ name, version: query.version, format }, context),
      ),
    ),

    route(
      {
        ...common,
        method: 'post',
        path: '/api/v1/datasets/{name}/links',
        summary: 'Make an address of a dataset that needs no token',
        description:
          'For GET and HEAD of this version in this form, with ranges, until it expires. Whoever has it may read it.',
        pathParameters: namePath,
        body: {
          schema: linkSchema,
          example: { format: 'parquet', expires_in_seconds: 3600 },
          isOptional: true,
        },
        answers: {
          201: {
            description: 'The address',
            schema: z.object({ url: z.string(), version: z.int(), expires_at: z.iso.datetime() }),
            example: {
              url: 'http://localhost:8080/api/v1/files/datasets/019b76a1.parquet?expires=1767323045&signature=vX1q',
              version: 3,
              expires_at: '2026-01-02T04:04:05.000Z',
            },
          },
        },
        problems: refusals,
      },
      async ({ path: { name }, body }, { principal, signal }) => {
        const { format, expires_in_seconds: expiresInSeconds } = body
        const version = await readable.version(principal, name, body.version)
        const key = await exports.keyOf(version, format, signal)
        const address = storage.downloadAddress(key, { expiresInSeconds })
        const expiresAt = new Date(clock.now() + expiresInSeconds * 1000)
        return {
          status: 201,
          body: {
            url: new URL(address, publicUrl).href,
            version: version.version,
            expires_at: expiresAt.toISOString(),
          },
        }
      },
    ),
  ]
}
