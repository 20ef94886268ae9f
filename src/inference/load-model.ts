import type { ModelInput } from './manifest.ts'
import { openOnnxSession } from './onnx-session.ts'
import { requireWidths } from './require-widths.ts'
import { openTreePredictor } from './trees/tree-predictor.ts'

/** What the runtime has to know of a model beside its file. */
export interface ModelShape {
  inputs: readonly ModelInput[]
  inputWidth: number
  outputWidth: number
}

/** A model in the memory of this thread. */
export interface LoadedModel {
  /** @returns row by row, `outputWidth` a row. */
  predict(rows: number, values: Float64Array): Float64Array | Promise<Float64Array>
  explanation?: { explain(rows: number, values: Float64Array): Float64Array }
  release?(): Promise<void>
}

/** More than one: a model that was exported for a single row is found now. */
const TRIAL_ROWS = 2

/**
 * Loads a model, and runs it once: that checks the shapes and warms it up.
 *
 * @throws {Error} with what does not fit.
 */
export async function loadModel(bytes: Uint8Array, shape: ModelShape): Promise<LoadedModel> {
  const model = await open(bytes, shape)
  await model.predict(TRIAL_ROWS, new Float64Array(TRIAL_ROWS * shape.inputWidth))
  return model
}

async function open(bytes: Uint8Array, shape: ModelShape): Promise<LoadedModel> {
  const trees = openTreePredictor(bytes)
  if (trees === undefined) return openOnnxSession(bytes, shape)
  requireWidths(trees, shape)
  return trees
}
