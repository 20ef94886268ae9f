import type { ModelInput } from '../manifest.ts'
import { readOnnx } from '../onnx/onnx-file.ts'
import { openOnnxSession } from '../onnx/onnx-session.ts'
import type { TreeModel } from '../trees/tree-model.ts'
import { createTreePredictor, openTreePredictor } from '../trees/tree-predictor.ts'
import { UnreadableModel } from '../unreadable-model.ts'
import { requireWidths } from './require-widths.ts'

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
  /** The columns, by their position in a row, that take whole numbers alone. */
  integerColumns?: ReadonlySet<number>
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
export async function loadModel(
  bytes: Uint8Array,
  shape: ModelShape,
  /** Where it has been read already. */
  read?: TreeModel,
): Promise<LoadedModel> {
  return tried(await open(bytes, shape, read), shape)
}

/** @throws {Error} as the model does, which then takes no memory any more. */
export async function tried(
  model: LoadedModel,
  { inputWidth }: Pick<ModelShape, 'inputWidth'>,
): Promise<LoadedModel> {
  try {
    await model.predict(TRIAL_ROWS, new Float64Array(TRIAL_ROWS * inputWidth))
    return model
  } catch (error) {
    await model.release?.()
    throw error
  }
}

async function open(
  bytes: Uint8Array,
  shape: ModelShape,
  read: TreeModel | undefined,
): Promise<LoadedModel> {
  const trees = read === undefined ? openTreePredictor(bytes) : createTreePredictor(read)
  if (trees !== undefined) {
    requireWidths(trees, shape)
    return trees
  }
  const onnx = readOnnx(bytes)
  if (onnx === undefined) {
    throw new UnreadableModel(
      'is no model that is known here: ONNX, LightGBM as text, or XGBoost as JSON or UBJSON',
    )
  }
  return openOnnxSession({ ...shape, model: onnx.bytes })
}
