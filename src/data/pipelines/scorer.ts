import type { Principal } from '../../gateway/principal.ts'
import type { Column } from '../datasets/column.ts'

/** A served model, at a version where one is meant. */
export interface ModelName {
  name: string
  version: string | undefined
}

/** What rows are to have for a model, and what it says of them. */
interface DescribedModel {
  inputs: string[]
  outputs: Column[]
}

/** Models that score rows. The data declares it, and inference provides it. */
export interface Scorer {
  /** @throws {Problem} 404 for one that the reader may not use, 503. */
  describe(reader: Principal, model: ModelName): Promise<DescribedModel>
  /**
   * @param rows NDJSON, an object a line with the inputs.
   * @returns CSV in pieces: a header, then the outputs of each row, in their order.
   * @throws {Problem} also between two pieces.
   */
  score(
    reader: Principal,
    model: ModelName,
    rows: ReadableStream<Uint8Array>,
    signal: AbortSignal | undefined,
  ): AsyncIterable<string>
}

/** Rows that a model is to score, once a pipeline has come so far. */
export interface Scoring {
  model: ModelName
  /** Which column each input is. */
  inputs: { input: string; column: string }[]
  /** As they are called behind the columns. */
  outputs: Column[]
}
