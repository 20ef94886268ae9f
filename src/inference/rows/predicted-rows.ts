import { type Fault, invalid, within } from '../../gateway/problems.ts'
import { describe } from '../describe.ts'
import type { Answers } from '../serving/answers.ts'
import type { IsAbandoned } from '../serving/batcher.ts'
import type { ServedModel } from '../serving/served-model.ts'
import { BadRow } from './bad-row.ts'
import type { RowWriter } from './row-writers.ts'
import { type SpoolOptions, spooled } from './spool.ts'

/** Rows that go through a model together, unless they are long. */
const CHUNK_ROWS = 500
const CHUNK_BYTES = 4 * 2 ** 20

type Row = Record<string, unknown>

/** A row to predict, and what of it stands beside the answer. */
export interface AskedRow {
  features: unknown
  shown: Row
  /** About as many as it had when it came in. */
  bytes: number
}

/**
 * Predicts rows as they come in, and writes each answer as it comes out, so that neither side is ever
 * held in memory whole.
 *
 * @returns the text, in pieces; the first after the first rows were answered.
 * @throws {Problem} 422 naming the row, 503, 504; also between two pieces.
 */
export async function* predictedRows(
  deps: { answers: Answers; model: ServedModel; writer: RowWriter; withInputs: boolean },
  rows: AsyncIterable<AskedRow>,
  isAbandoned: IsAbandoned,
): AsyncGenerator<string> {
  const { answers, model, writer, withInputs } = deps
  let done = 0

  async function answer(chunk: readonly AskedRow[]): Promise<string> {
    const features = chunk.map((row) => row.features) as Row[]
    const matrix = model.encode(features, chunk.length)
    if (Array.isArray(matrix)) throw invalid(matrix.map((fault) => counted(fault, done)))
    const outputs = await answers(model, matrix, { isAbandoned })
    const { predictions, probabilities, timestamps, intervals } = describe(
      model.manifest,
      matrix,
      outputs,
    )
    let text = ''
    for (const [at, { shown }] of chunk.entries()) {
      const inputs = withInputs ? shown : undefined
      const row = {
        inputs,
        prediction: predictions[at]!,
        probabilities: probabilities?.[at],
        timestamps: timestamps?.[at] ?? undefined,
        intervals: intervals?.[at],
      }
      text += writer.row(row, done + at === 0)
    }
    done += chunk.length
    return text
  }

  let isBegun = false
  // Not before the first row: which columns there are the header says.
  const begin = () => {
    const text = isBegun ? '' : writer.begin
    isBegun = true
    return text
  }
  const chunkRows = Math.min(CHUNK_ROWS, model.rowsMax)
  let chunk: AskedRow[] = []
  let bytes = 0
  for await (const row of readable(rows)) {
    chunk.push(row)
    bytes += row.bytes
    if (chunk.length < chunkRows && bytes < CHUNK_BYTES) continue
    const text = await answer(chunk)
    // Rows that came in one piece would be read and answered to the last before anybody else's turn.
    await new Promise((resolve) => setImmediate(resolve))
    yield begin() + text
    chunk = []
    bytes = 0
  }
  const last = chunk.length === 0 ? '' : await answer(chunk)
  yield begin() + last + writer.end
}

/** @throws {Problem} 422 for a row that can't be read. */
async function* readable(rows: AsyncIterable<AskedRow>): AsyncGenerator<AskedRow> {
  try {
    yield* rows
  } catch (error) {
    if (error instanceof BadRow) throw invalid([{ path: [], detail: error.message }])
    throw error
  }
}

/** The path of a fault begins with the position in its chunk. */
function counted(fault: Fault, done: number): Fault {
  const [position, ...path] = fault.path
  return within({ ...fault, path }, done + Number(position))
}

/**
 * A stream of the pieces, of which the first was waited for: so long a refusal has its status. One that comes
 * later breaks the stream off.
 */
export async function streamOf(
  pieces: AsyncGenerator<string>,
  spool: SpoolOptions,
): Promise<ReadableStream<Uint8Array>> {
  return spooled(startingWith(await pieces.next(), pieces), spool)
}

async function* startingWith(
  first: IteratorResult<string, unknown>,
  pieces: AsyncGenerator<string>,
): AsyncGenerator<string> {
  try {
    if (first.done !== true) yield first.value
    yield* pieces
  } finally {
    await pieces.return(undefined)
  }
}
