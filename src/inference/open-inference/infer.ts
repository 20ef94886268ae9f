import { invalid } from '../../gateway/problems.ts'
import type { Features, Matrix } from '../features.ts'
import { inferenceProblems } from '../problems.ts'
import type { Answers } from '../serving/answers.ts'
import type { IsAbandoned } from '../serving/batcher.ts'
import type { ServedModel } from '../serving/served-model.ts'
import { writeBinaryData } from './binary-data.ts'
import { type InferRequest, readInferRequest, type WantedOutput } from './infer-request.ts'
import { writeJsonData } from './json-data.ts'
import { answerTensors, featuresOf, outputNames } from './model-tensors.ts'
import { BadTensor } from './tensor.ts'

/** The JSON of an answer, and the bytes behind it where some outputs are binary. */
export interface InferAnswer {
  document: object
  binary: Uint8Array[]
}

export interface Infer {
  /** @throws {Problem} 422 what does not fit, 503, 504. */
  (
    asked: { body: Uint8Array; jsonLength: string | null; model: ServedModel },
    isAbandoned: IsAbandoned,
  ): Promise<InferAnswer>
}

/** Inference as the Open Inference Protocol asks for it. */
export function createInfer(deps: { answers: Answers }): Infer {
  const { answers } = deps

  return async ({ body, jsonLength, model }, isAbandoned) => {
    const request = understood(() => readInferRequest(body, jsonLength))
    const { manifest } = model
    // A shape may say anything: with an empty dimension no values are needed for many rows.
    requireRows(model, request.inputs[0]?.shape[0] ?? 0)
    const matrix = encode(
      model,
      understood(() => featuresOf(manifest, request.inputs)),
    )
    const wanted = request.outputs ?? allOf(model, matrix, request)
    // Before the model is asked: an output that it does not have costs nothing.
    const none = { rows: 0, timelines: matrix.timelines }
    understood(() => answerTensors(manifest, none, new Float64Array(), wanted))
    const outputs = await inTime(request, isAbandoned, (waiting) => answers(model, matrix, waiting))
    return answerOf(model, request.id, answerTensors(manifest, matrix, outputs, wanted))
  }
}

/** @throws {Problem} for what the protocol, or the model, does not know. */
function understood<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof BadTensor) throw invalid([{ path: [], detail: error.message }])
    throw error
  }
}

function encode(model: ServedModel, given: Features | Matrix): Matrix {
  const { rowsMax } = model
  if (!isMatrix(given)) {
    const matrix = model.encode(given, rowsMax)
    if (Array.isArray(matrix)) throw invalid(matrix)
    return matrix
  }
  return given
}

function requireRows({ rowsMax }: ServedModel, rows: number): void {
  if (rows <= rowsMax) return
  const detail = `has ${rows} rows, at most ${rowsMax} go in one request`
  throw invalid([{ path: [], detail }])
}

const isMatrix = (given: Features | Matrix): given is Matrix =>
  !Array.isArray(given) && given['values'] instanceof Float64Array

const allOf = (
  { manifest }: ServedModel,
  matrix: Matrix,
  { isBinary }: InferRequest,
): WantedOutput[] =>
  outputNames(manifest, matrix).map((name) => ({ name, isBinary, classification: undefined }))

/** The schedule policy extension: what waits longer than it said is answered, and not computed. */
async function inTime<T>(
  { isUrgent, timeoutMs }: InferRequest,
  isAbandoned: IsAbandoned,
  work: (waiting: { isAbandoned: IsAbandoned; isUrgent: boolean }) => Promise<T>,
): Promise<T> {
  if (timeoutMs === undefined) return work({ isAbandoned, isUrgent })
  let isOver = false
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    isOver = true
    reject(inferenceProblems.runTimeout({ detail: `There was no answer in ${timeoutMs} ms.` }))
  }, timeoutMs)
  try {
    return await Promise.race([
      work({ isAbandoned: () => isOver || isAbandoned(), isUrgent }),
      late,
    ])
  } finally {
    clearTimeout(timer)
  }
}

function answerOf(
  { manifest }: ServedModel,
  id: string | undefined,
  tensors: ReturnType<typeof answerTensors>,
): InferAnswer {
  const binary: Uint8Array[] = []
  const outputs = tensors.map(({ tensor, isBinary }) => {
    const { name, datatype, shape } = tensor
    if (!isBinary) return { name, datatype, shape, data: writeJsonData(tensor) }
    const bytes = writeBinaryData(tensor)
    binary.push(bytes)
    return { name, datatype, shape, parameters: { binary_data_size: bytes.byteLength } }
  })
  const { name, version } = manifest
  const document = {
    model_name: name,
    model_version: version,
    ...(id === undefined ? {} : { id }),
    outputs,
  }
  return { document, binary }
}
