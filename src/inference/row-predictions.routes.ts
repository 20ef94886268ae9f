import { z } from '@hono/zod-openapi'

import { preferredType } from '../gateway/accept.ts'
import { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { type Route, route } from '../gateway/route.ts'
import type { Log } from '../platform/log.ts'
import type { Partials } from '../platform/storage/partial.ts'
import { inferenceProblems } from './problems.ts'
import type { ReadableModels } from './readable-models.ts'
import { askedRows, TABLE_FORMATS, TABLE_TYPES, type TableType } from './rows/asked-rows.ts'
import { predictedRows, streamOf } from './rows/predicted-rows.ts'
import { answerTypes, createRowWriter, inputTypes, type RowWriter } from './rows/row-writers.ts'
import { FILE_FORMATS, type FileType, isFileType, type TableFiles } from './rows/table-files.ts'
import type { Answers } from './serving/answers.ts'
import type { ServedModel } from './serving/served-model.ts'

const query = z.strictObject({
  include: z
    .literal('inputs')
    .optional()
    .openapi({ description: 'Put the columns that were sent before the answer' }),
  version: z
    .string()
    .optional()
    .openapi({ description: 'By its number; whichever traffic leads to unless given' }),
})

const csvExample = 'carat,cut\r\n0.31,Ideal\r\n'
const ndjsonExample = '{"carat":0.31,"cut":"Ideal"}\n'

/** Tables in, tables out: rows of one model, in the form that the caller has them and in which they are wanted. */
export function rowPredictionRoutes(deps: {
  models: ReadableModels
  answers: Answers
  files: TableFiles
  /** Of rows that come one by one; JSON is held in memory, so it has the bound of all bodies. */
  streamBytesMax: number
  partials: Partials
  /** Of all answers together that wait for their readers, and how long. */
  unreadBytesMax: number
  unreadTimeoutMs: number
  jsonBytesMax: number
  log: Log
}): Route[] {
  const { models, answers, files, streamBytesMax, jsonBytesMax, partials, log } = deps
  const space = { bytesMax: deps.unreadBytesMax, usedBytes: 0 }
  // With its status its reader has had the first rows, and learns only that the rest does not come.
  const tell = (error: unknown) => {
    const isTheirs = error instanceof Problem && error.kind.status < 500
    log[isTheirs ? 'info' : 'warn']({ error }, 'an answer broke off')
  }
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/models/{name}/predict',
        access: 'predict',
        tag: 'predictions',
        summary: 'Predict a table',
        description:
          'One row of answers a row, as JSON, NDJSON, CSV, Parquet or Arrow, whichever `Accept` prefers; without it in the form in which they were sent. Parquet and Arrow are read as a whole before the first row is predicted, and written as a whole, with the columns that a CSV has. CSV and NDJSON are read and answered as they come in: of any length, and a fault after the first 500 rows breaks the answer off. Columns that are not the model’s are left alone, where a row has all that are; beside the inputs that were sent an answer of the same name is called `predicted.NAME`. In CSV an empty cell and `NA` are missing values, and all inputs of the model must be columns. Rows of a forecast may tell of times; then `timestamps` stands beside the answer, in place of those that were sent, and so does `intervals` where the model has them: in CSV a column a step, such as `co2.1`, `co2.timestamp.1` and `co2.lower_80.1`, of times where the model has a `frequency`.',
        pathParameters: z.object({ name: z.string().openapi({ example: 'regression' }) }),
        query,
        body: 'stream',
        bodyBytesMax: streamBytesMax,
        streamed: {
          'text/csv': { schema: z.string(), example: csvExample },
          'application/x-ndjson': { schema: z.string(), example: ndjsonExample },
          'application/json': {
            schema: z.array(z.looseObject({})),
            example: [{ carat: 0.31, cut: 'Ideal' }],
          },
          'application/vnd.apache.parquet': {
            schema: z.string(),
            example: 'the bytes of the file',
          },
          'application/vnd.apache.arrow.stream': { schema: z.string(), example: 'the stream' },
          'application/vnd.apache.arrow.file': {
            schema: z.string(),
            example: 'the bytes of the file',
          },
        },
        answers: {
          200: {
            description: 'A row a row',
            schema: z.array(z.looseObject({})),
            example: [{ price: 571.2 }],
            alsoAs: {
              'application/x-ndjson': { schema: z.string(), example: '{"price":571.2}\n' },
              'text/csv': { schema: z.string(), example: 'price\r\n571.2\r\n' },
              'application/vnd.apache.parquet': { schema: z.string(), example: 'a file' },
              'application/vnd.apache.arrow.stream': { schema: z.string(), example: 'a stream' },
            },
          },
        },
        problems: [
          problems.invalidRequest,
          inferenceProblems.unknownModel,
          inferenceProblems.notLoaded,
          inferenceProblems.notAcceptable,
          inferenceProblems.overloaded,
          inferenceProblems.unavailable,
          inferenceProblems.runTimeout,
        ],
      },
      async ({ path: { name }, query: { include, version }, body }, context) => {
        const { headers } = context.request
        const given = typeOf(headers.get('content-type'))
        const wanted = preferred(headers.get('accept'), given)
        const model = await models.borrow(context.principal, name, version)
        const { manifest } = model
        const table = isFileType(given)
          ? await orGivenBack(model, files.read(body, FILE_FORMATS[given], context.signal))
          : undefined
        // From file to file they keep their types.
        const beside = include === 'inputs' && isFileType(wanted) ? table : undefined
        const withInputs = include === 'inputs' && beside === undefined
        const names = manifest.inputs.map((input) => input.name)
        const columns = table?.columns.map((column) => column.name)
        let sent = beside === undefined ? undefined : columns
        let writer: RowWriter | undefined
        const writerFor = (header: readonly string[]) => {
          sent ??= withInputs ? [...header] : []
          const format = isFileType(wanted) ? 'columns' : TABLE_FORMATS[wanted]
          return (writer ??= createRowWriter(format, manifest, sent))
        }
        const rows = askedRows(
          isFileType(given) ? 'application/x-ndjson' : given,
          table?.rows ?? body,
          { manifest, jsonBytesMax, withInputs, columns, onHeader: writerFor },
        )
        const predicted = predictedRows(
          { answers, model, withInputs, writer: lazyWriter(() => writerFor(names)) },
          rows,
          () => context.isAbandoned(),
        )
        const pieces = ending(predicted, () => {
          model.giveBack()
          if (beside === undefined) table?.release()
        })
        if (isFileType(wanted)) {
          const file = await files
            .write(pieces, {
              format: FILE_FORMATS[wanted],
              columns: () => [
                ...(withInputs ? inputTypes(manifest, sent!) : []),
                ...answerTypes(manifest, sent!),
              ],
              beside,
              signal: context.signal,
            })
            .finally(() => table?.release())
          return new Response(file, { headers: { 'content-type': wanted } })
        }
        const stream = await streamOf(pieces, {
          partials,
          bytesMax: streamBytesMax,
          space,
          stallMs: deps.unreadTimeoutMs,
          onFailure: tell,
        })
        return new Response(stream, { headers: { 'content-type': writerFor(names).mediaType } })
      },
    ),
  ]
}

async function orGivenBack<Result>(model: ServedModel, work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    model.giveBack()
    throw error
  }
}

/** However it ends. */
async function* ending(pieces: AsyncGenerator<string>, end: () => void): AsyncGenerator<string> {
  try {
    yield* pieces
  } finally {
    end()
  }
}

/** The columns of a table are known once its header has come. */
const lazyWriter = (of: () => RowWriter): RowWriter => ({
  get mediaType() {
    return of().mediaType
  },
  get begin() {
    return of().begin
  },
  row: (row, isFirst) => of().row(row, isFirst),
  get end() {
    return of().end
  },
})

/** Of Arrow there is only a stream. */
const WANTED_TYPES = [
  ...TABLE_TYPES,
  'application/vnd.apache.parquet',
  'application/vnd.apache.arrow.stream',
] as const satisfies (TableType | FileType)[]

/** @throws {Problem} 415. */
function typeOf(header: string | null): TableType | FileType {
  const type = header?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (isFileType(type)) return type
  const known = TABLE_TYPES.find((each) => each === type)
  if (known !== undefined) return known
  const types = [...TABLE_TYPES, ...Object.keys(FILE_FORMATS)].join(', ')
  throw problems.unsupportedMediaType({
    detail: `Send rows as ${types}, by the header Content-Type.`,
  })
}

/** Of equals that in which the rows came. @throws {Problem} 406. */
function preferred(header: string | null, given: TableType | FileType) {
  const own = WANTED_TYPES.find((type) => type === given) ?? 'application/vnd.apache.arrow.stream'
  const type = preferredType(header, [own, ...WANTED_TYPES])
  if (type !== undefined) return type
  throw inferenceProblems.notAcceptable({ detail: `Answers are ${WANTED_TYPES.join(', ')}.` })
}
