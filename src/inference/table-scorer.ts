import type { Principal } from '../gateway/principal.ts'
import { problems } from '../gateway/problems.ts'
import type { ReadableModels } from './readable-models.ts'
import { askedRows } from './rows/asked-rows.ts'
import { predictedRows } from './rows/predicted-rows.ts'
import { answerColumns, createRowWriter, textColumns } from './rows/row-writers.ts'
import type { Answers } from './serving/answers.ts'

interface ModelName {
  name: string
  /** Whichever traffic leads to, unless it is said. */
  version: string | undefined
}

/** Models for tables of other features, which say what they need of it. */
export interface TableScorer {
  /** @throws {Problem} 403, 404, 503. */
  describe(
    reader: Principal,
    model: ModelName,
  ): Promise<{ inputs: string[]; outputs: { name: string; type: string }[] }>
  /**
   * @param rows NDJSON, an object a line with the inputs.
   * @returns CSV in pieces: a header, then the outputs of each row, in their order.
   * @throws {Problem} 422 naming the row, 503, 504; also between two pieces.
   */
  score(
    reader: Principal,
    model: ModelName,
    rows: ReadableStream<Uint8Array>,
    signal: AbortSignal | undefined,
  ): AsyncIterable<string>
}

export function createTableScorer(deps: {
  models: ReadableModels
  answers: Answers
  jsonBytesMax: number
}): TableScorer {
  const { models, answers, jsonBytesMax } = deps
  const requireScope = ({ scopes }: Principal) => {
    if (!scopes.has('predict')) throw problems.forbidden({ detail: 'It takes the scope predict.' })
  }

  return {
    async describe(reader, { name, version }) {
      requireScope(reader)
      const { manifest } = await models.look(reader, name, version)
      const texts = textColumns(manifest)
      return {
        inputs: manifest.inputs.map((input) => input.name),
        outputs: answerColumns(manifest).map((column) => ({
          name: column,
          type: texts(column) ? 'VARCHAR' : 'DOUBLE',
        })),
      }
    },
    async *score(reader, { name, version }, rows, signal) {
      requireScope(reader)
      const model = await models.borrow(reader, name, version)
      try {
        const { manifest } = model
        const writer = createRowWriter('csv', manifest, [])
        const reading = { manifest, jsonBytesMax, withInputs: false, onHeader: () => {} }
        yield* predictedRows(
          { answers, model, writer, withInputs: false },
          askedRows('application/x-ndjson', rows, reading),
          () => signal?.aborted === true,
        )
      } finally {
        model.giveBack()
      }
    },
  }
}
