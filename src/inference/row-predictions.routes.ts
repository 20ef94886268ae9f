import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { type Route, route } from '../gateway/route.ts'
import type { Partials } from '../platform/storage/partial.ts'
import type { ModelInput } from './manifest.ts'
import { inferenceProblems } from './problems.ts'
import type { ReadableModels } from './readable-models.ts'
import { BadRow } from './rows/bad-row.ts'
import { type CsvRow, readCsv } from './rows/csv-rows.ts'
import { readNdjson } from './rows/ndjson-rows.ts'
import { type AskedRow, predictedRows, streamOf } from './rows/predicted-rows.ts'
import { createRowWriter, type RowWriter } from './rows/row-writers.ts'
import type { Answers } from './serving/answers.ts'
import type { ServedModel } from './serving/served-model.ts'

const FORMATS = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'text/csv': 'csv',
} as const
type MediaType = keyof typeof FORMATS

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
  /** Of rows that come one by one; JSON is held in memory, so it has the bound of all bodies. */
  streamBytesMax: number
  partials: Partials
  jsonBytesMax: number
}): Route[] {
  const { models, answers, streamBytesMax, jsonBytesMax, partials } = deps
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/models/{name}/predict',
        access: 'predict',
        tag: 'predictions',
        summary: 'Predict a table',
        description:
          'One row of answers a row, as JSON, NDJSON or CSV, whichever `Accept` prefers; without it in the form in which they were sent. CSV and NDJSON are read and answered as they come in: of any length, and a fault after the first 500 rows breaks the answer off. In CSV an empty cell and `NA` are missing values, all inputs of the model must be columns, and further columns are left alone. Rows of a forecast may tell of times; then `timestamps` stands beside the answer, in place of those that were sent, and so does `intervals` where the model has them: in CSV a column a step, such as `co2.1`, `co2.timestamp.1` and `co2.lower_80.1`, of times where the model has a `frequency`.',
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
        },
        answers: {
          200: {
            description: 'A row a row',
            schema: z.array(z.looseObject({})),
            example: [{ price: 571.2 }],
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
        const withInputs = include === 'inputs'
        let writer: RowWriter | undefined
        const writerFor = (columns: readonly string[]) =>
          (writer ??= createRowWriter(FORMATS[wanted], model.manifest, withInputs ? columns : []))
        const names = model.manifest.inputs.map((input) => input.name)
        const rows = readRows(given, body, { model, jsonBytesMax, withInputs, onHeader: writerFor })
        const pieces = predictedRows(
          { answers, model, withInputs, writer: lazyWriter(() => writerFor(names)) },
          rows,
          () => context.isAbandoned(),
        )
        const stream = await streamOf(givenBack(model, pieces), {
          partials,
          bytesMax: streamBytesMax,
        })
        return new Response(stream, { headers: { 'content-type': writerFor(names).mediaType } })
      },
    ),
  ]
}

/** However it ends. */
async function* givenBack(
  model: ServedModel,
  pieces: AsyncGenerator<string>,
): AsyncGenerator<string> {
  try {
    yield* pieces
  } finally {
    model.giveBack()
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

/** @throws {Problem} 415. */
function typeOf(header: string | null): MediaType {
  const type = header?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (isMediaType(type)) return type
  throw problems.unsupportedMediaType({
    detail: `Send rows as ${Object.keys(FORMATS).join(', ')}, by the header Content-Type.`,
  })
}

const isMediaType = (type: string): type is MediaType => Object.hasOwn(FORMATS, type)

/**
 * The form that the caller likes best, of equals that in which the rows came (RFC 9110, section 12.5.1).
 *
 * @throws {Problem} 406.
 */
function preferred(header: string | null, given: MediaType): MediaType {
  if (header === null || header.trim() === '') return given
  const types = [given, ...Object.keys(FORMATS).filter(isMediaType)]
  const ranges = header.split(',').map(rangeOf)
  const qualityOf = (type: MediaType) => {
    const [main] = type.split('/')
    const matching = [type, `${main}/*`, '*/*'].map((each) =>
      ranges.find(({ range }) => range === each),
    )
    return matching.find((found) => found !== undefined)?.quality ?? 0
  }
  const best = types.reduce((a, b) => (qualityOf(b) > qualityOf(a) ? b : a))
  if (qualityOf(best) > 0) return best
  throw inferenceProblems.notAcceptable({
    detail: `Answers are ${Object.keys(FORMATS).join(', ')}.`,
  })
}

function rangeOf(text: string) {
  const [range = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const quality = parameters.find((each) => each.startsWith('q='))?.slice('q='.length)
  return { range, quality: quality === undefined ? 1 : Number(quality) || 0 }
}

interface Reading {
  model: ServedModel
  jsonBytesMax: number
  withInputs: boolean
  onHeader: (columns: readonly string[]) => unknown
}

async function* readRows(
  type: MediaType,
  body: ReadableStream<Uint8Array>,
  { model, jsonBytesMax, withInputs, onHeader }: Reading,
): AsyncGenerator<AskedRow> {
  const { inputs } = model.manifest
  if (type === 'text/csv') {
    refuseSeries(inputs)
    const names = new Set(inputs.map(({ name }) => name))
    const rows = readCsv(
      body,
      (columns) => {
        requireInputs(inputs, columns)
        onHeader(columns)
      },
      (column) => withInputs || names.has(column),
    )
    for await (const { row, bytes } of rows) {
      yield { features: featuresOf(inputs, row), shown: row, bytes }
    }
    return
  }
  const values = type === 'application/json' ? readJson(body, jsonBytesMax) : readNdjson(body)
  for await (const { value, bytes } of values) {
    yield { features: value, shown: value as Record<string, unknown>, bytes }
  }
}

async function* readJson(
  body: ReadableStream<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<{ value: unknown; bytes: number }> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > bytesMax) {
      throw problems.bodyTooLarge({
        detail: `JSON may have at most ${bytesMax} bytes; NDJSON and CSV may have more.`,
      })
    }
    chunks.push(chunk)
  }
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)))
  } catch (cause) {
    throw problems.malformedBody({ detail: 'The body is not valid JSON.', cause })
  }
  if (!Array.isArray(value)) throw new BadRow(undefined, 'Send a list of rows.')
  // All of it is in memory already.
  for (const row of value as unknown[]) yield { value: row, bytes: 0 }
}

function refuseSeries(inputs: readonly ModelInput[]): void {
  const series = inputs.find(({ type }) => type === 'series')
  if (series === undefined) return
  throw new BadRow(undefined, `"${series.name}" is a series, which a cell can't hold: send NDJSON.`)
}

function requireInputs(inputs: readonly ModelInput[], columns: readonly string[]): void {
  const given = new Set(columns)
  const missing = inputs.filter(({ name }) => !given.has(name)).map(({ name }) => name)
  if (missing.length === 0) return
  throw new BadRow(
    undefined,
    `The table has no column ${missing.map((name) => `"${name}"`).join(', ')}.`,
  )
}

/** The cells of the inputs, as values; what else there is is not for the model. */
function featuresOf(inputs: readonly ModelInput[], row: CsvRow): Record<string, unknown> {
  const features: Record<string, unknown> = {}
  for (const input of inputs) features[input.name] = valueOf(input, row[input.name] ?? '')
  return features
}

/** As R and pandas write them. */
const TRUTHS = new Map([
  ['TRUE', true],
  ['True', true],
  ['true', true],
  ['FALSE', false],
  ['False', false],
  ['false', false],
])

function valueOf(input: ModelInput, cell: string): unknown {
  if (cell === '') return null
  if (input.type === 'category') {
    return cell === 'NA' && !input.categories.includes('NA') ? null : cell
  }
  const truth = TRUTHS.get(cell)
  if (truth !== undefined) return truth
  const number = Number(cell)
  return Number.isNaN(number) || cell.trim() === '' ? cell : number
}
