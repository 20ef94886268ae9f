import type { Tracing } from '../../platform/tracing/tracing.ts'
import { createEncoder, type Encoder } from '../features.ts'
import type { Manifest } from '../manifest.ts'
import type { TreeModel } from '../trees/tree-model.ts'
import { createTreePredictor, type TreePredictor } from '../trees/tree-predictor.ts'
import { Batcher, type InferencePool, type Timings } from './batcher.ts'
import { inPlace, type RunModel } from './in-place.ts'
import type { ModelMetrics } from './inference-metrics.ts'
import type { ModelFile, Task } from './inference.worker.ts'

/** A version of a model that serves. */
export interface ServedModel {
  /** Of the version. */
  id: string
  manifest: Manifest
  /** Of the model file. */
  digest: string
  encode: Encoder
  /** That go in one request. */
  rowsMax: number
  run: RunModel
  /** The same, after all that somebody waits for. */
  runInBackground: RunModel
  /** Asked for the same rows beside this one, and heard by nobody. */
  shadow: ServedModel | undefined
  /** Of trees, which can say why. */
  explanation:
    | {
        /** Of which class each tells, by its position; none of a number. */
        outputs: readonly (number | undefined)[]
        /** That go in one request. */
        rowsMax: number
        /** @returns for each output a contribution a column, and then the expected value. */
        run: RunModel
      }
    | undefined
  metrics: ModelMetrics
  /** That wait for a thread. */
  queuedRows(): number
  /** Whoever is about to ask it borrows it, so that it is not unloaded meanwhile, and gives it back. */
  borrow(): void
  giveBack(): void
  /** Resolves when nobody has it. */
  idle(): Promise<void>
}

/** What is computed beforehand takes the request thread no longer at a time. */
const SLICE_MS = 2

/** Explanations are no inferences: the statistics do not count them. */
const UNCOUNTED: Timings = { queued() {}, ran() {} }

/** Counts who has a model, and tells when nobody has it any more. */
function createUses(): Pick<ServedModel, 'borrow' | 'giveBack' | 'idle'> {
  let users = 0
  let waiting: (() => void)[] = []
  return {
    borrow() {
      users += 1
    },
    giveBack() {
      users -= 1
      if (users > 0) return
      for (const resolve of waiting) resolve()
      waiting = []
    },
    async idle() {
      if (users > 0) await new Promise<void>((resolve) => waiting.push(resolve))
    },
  }
}

export function createServedModel(
  { id, manifest, digest }: Pick<ServedModel, 'id' | 'manifest' | 'digest'>,
  file: ModelFile,
  deps: {
    pool: InferencePool
    metrics: ModelMetrics
    tracing: Tracing
    batchRowsMax: number
    queueRowsMax: number
    /** For one request, of trees that are evaluated where they are asked. */
    inPlaceUsMax: number
    rowsMax: number
    /** Of one request, inputs or outputs. */
    valuesMax: number
    explainValuesMax: number
    /** Of a model that is of trees. */
    trees: TreeModel | undefined
  },
): ServedModel {
  const { metrics, tracing, inPlaceUsMax } = deps
  const { key, inputWidth } = file
  const observe = (rows: number) => metrics.batch(rows)
  const batchers: Batcher[] = []
  const { queueRowsMax } = deps
  const place = { key, microsecondsMax: inPlaceUsMax, queueRowsMax, inputWidth, tracing, observe }

  const batchRowsMax = manifest.max_batch_rows ?? deps.batchRowsMax

  function batcherFor(
    task: Task,
    outputWidth: number,
    timings: Timings,
    isBackground = false,
  ): Batcher {
    const model = { key, inputWidth, outputWidth }
    const options = { ...deps, batchRowsMax, model, task, observe, timings, isBackground }
    const batcher = new Batcher(options)
    batchers.push(batcher)
    return batcher
  }

  function explanationOf({ explanation }: TreePredictor): ServedModel['explanation'] {
    const { outputs, explain } = explanation
    const outputWidth = outputs.length * (inputWidth + 1)
    const batcher = batcherFor('explain', outputWidth, UNCOUNTED)
    const run = whenPrepared(explanation, batcher, () => {
      const nsPerRow = explanation.nsPerRow()
      return inPlace({ ...place, nsPerRow, outputWidth, timings: UNCOUNTED }, explain, batcher)
    })
    return {
      outputs,
      rowsMax: rowsWithin(deps.explainValuesMax, outputWidth),
      run: inPlaceUsMax === 0 ? runBy(batcher) : run,
    }
  }

  const { outputWidth } = file
  const batcher = batcherFor('predict', outputWidth, metrics)
  const trees = deps.trees && createTreePredictor(deps.trees)
  return {
    id,
    manifest,
    digest,
    ...createUses(),
    shadow: undefined,
    runInBackground: runBy(batcherFor('predict', outputWidth, metrics, true)),
    encode: createEncoder(manifest),
    rowsMax: Math.min(deps.rowsMax, rowsWithin(deps.valuesMax, Math.max(inputWidth, outputWidth))),
    run:
      trees === undefined
        ? runBy(batcher)
        : inPlace(
            { ...place, nsPerRow: trees.nsPerRow, outputWidth, timings: metrics },
            trees.predict,
            batcher,
          ),
    explanation: trees && explanationOf(trees),
    metrics,
    queuedRows: () => batchers.reduce((sum, { queuedRows }) => sum + queuedRows, 0),
  }
}

const rowsWithin = (valuesMax: number, width: number) => Math.max(1, Math.floor(valuesMax / width))

const runBy =
  (batcher: Batcher): RunModel =>
  (...asked) =>
    batcher.predict(...asked)

/** By the threads until what rows need is there, computed a little at a time from the first request on. */
function whenPrepared(
  { prepare }: TreePredictor['explanation'],
  batcher: Batcher,
  make: () => RunModel,
): RunModel {
  let run: RunModel | undefined
  let isPreparing = false
  function goOn(): void {
    if (prepare(SLICE_MS)) run = make()
    else setImmediate(goOn)
  }
  return (...asked) => {
    if (run !== undefined) return run(...asked)
    if (!isPreparing) setImmediate(goOn)
    isPreparing = true
    return batcher.predict(...asked)
  }
}
