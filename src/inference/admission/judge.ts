import { z } from 'zod'

import type { Fault } from '../../gateway/problems.ts'
import { createEncoder, type Features } from '../features.ts'
import { inputWidth, type Manifest, type ModelInput, outputWidth, widthOf } from '../manifest.ts'
import { readOnnx } from '../onnx/onnx-file.ts'
import { loadModel } from '../serving/load-model.ts'
import { readTreeModel } from '../trees/read-tree-model.ts'
import type { TreeModel } from '../trees/tree-model.ts'
import { UnreadableModel } from '../unreadable-model.ts'
import { completeManifest, type GivenManifest } from './complete-manifest.ts'
import { onnxSignature } from './onnx-signature.ts'
import { isOutOfMemory } from './out-of-memory.ts'
import { type Examples, parityFault } from './parity.ts'
import type { Signature } from './signature.ts'
import { treeSignature } from './tree-signature.ts'
import type { AdmissionOrder, Verdict } from './verdict.ts'

/** Given by the database; the judge needs one for the form. */
const ANY_VERSION = '1'
const ROWS_MAX = 100_000

const examplesSchema = z.strictObject({
  features: z.custom<Features>((value) => typeof value === 'object' && value !== null, {
    message: 'expected columns or rows',
  }),
  predictions: z.array(z.unknown()).min(1, 'expected at least one'),
})

/** Compressed, and so none of the formats: what to do about it is worth a word. */
const COMPRESSIONS: readonly [name: string, magic: readonly number[]][] = [
  ['gzip', [0x1f, 0x8b]],
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
]

/**
 * Reads a model, completes what is said of it, loads it, runs it once and replays its examples. What is in
 * the file may end this process, or fill its memory: it has to be one that nothing else depends on.
 */
export async function judge({ path, name, manifest, examples }: AdmissionOrder): Promise<Verdict> {
  try {
    return await judged(await Bun.file(path).bytes(), { name, manifest, examples })
  } catch (error) {
    if (!(error instanceof UnreadableModel)) throw error
    return refusedFor('model', [{ path: [], detail: error.message }])
  }
}

async function judged(
  bytes: Uint8Array,
  { name, manifest: given, examples }: Omit<AdmissionOrder, 'path'>,
): Promise<Verdict> {
  const { signature, file, trees } = await read(bytes)
  const completed = completeManifest(
    withoutDecided(given),
    { name, version: ANY_VERSION, file },
    signature,
  )
  if (Array.isArray(completed)) return refusedFor('manifest', completed)
  const model = await loaded(bytes, completed, trees)
  const manifest = withIntegers(completed, model.integerColumns)
  const misfits = exampleFaults(manifest)
  if (misfits.length > 0) return refusedFor('manifest', misfits)
  const faults = examples === undefined ? [] : await replay(manifest, model.predict, examples)
  await model.release?.()
  if (faults.length > 0) return refusedFor('examples', faults)
  return { isAdmitted: true, manifest }
}

/** What the file takes whole numbers for is refused anything else before it is asked. */
function withIntegers(manifest: Manifest, columns: ReadonlySet<number> = new Set()): Manifest {
  let column = 0
  const inputs = manifest.inputs.map((input): ModelInput => {
    const isInteger = columns.has(column)
    column += widthOf(input)
    return isInteger && input.type === 'number' ? { ...input, integer: true } : input
  })
  return { ...manifest, inputs }
}

/** What a card shows to callers must be what the model takes. */
function exampleFaults(manifest: Manifest): Fault[] {
  if (manifest.example === undefined) return []
  const encoded = createEncoder(manifest)([manifest.example], 1)
  if (!Array.isArray(encoded)) return []
  return encoded.map(({ path, detail }) => ({ path: ['example', ...path.slice(1)], detail }))
}

const refusedFor = (of: 'model' | 'manifest' | 'examples', faults: Fault[]): Verdict => ({
  isAdmitted: false,
  of,
  faults,
})

/** A manifest may be sent as it lies in a folder: what the server decides counts for nothing. */
function withoutDecided(given: GivenManifest): GivenManifest {
  const { name: _, version: __, file: ___, ...rest } = given
  return rest
}

/** What a file says of itself, and its trees, where it has some. */
interface ReadModel {
  signature: Signature
  file: string
  trees: TreeModel | undefined
}

/** @throws {UnreadableModel} for what is no model, or none that is served. */
async function read(bytes: Uint8Array): Promise<ReadModel> {
  if (bytes.byteLength === 0) throw new UnreadableModel('The file is empty.')
  const compression = COMPRESSIONS.find(([, magic]) =>
    magic.every((byte, at) => bytes[at] === byte),
  )
  if (compression !== undefined) {
    throw new UnreadableModel(
      `The file is compressed by ${compression[0]}: send it as it was before.`,
    )
  }
  const trees = readTreeModel(bytes)
  if (trees === undefined) return readOnnxSignature(bytes)
  const extension =
    trees.library === 'lightgbm' ? 'txt' : bytes[0] === 0x7b && bytes[1] !== 0x4c ? 'json' : 'ubj'
  return { signature: treeSignature(trees), file: `model.${extension}`, trees }
}

/** @throws {UnreadableModel} */
async function readOnnxSignature(bytes: Uint8Array): Promise<ReadModel> {
  const onnx = readOnnx(bytes)
  if (onnx === undefined) {
    throw new UnreadableModel(
      'The file is no model that is known here: ONNX, LightGBM as text, or XGBoost as JSON or UBJSON.',
    )
  }
  const signature = await inWords(() => onnxSignature(onnx))
  return { signature, file: 'model.onnx', trees: undefined }
}

function loaded(bytes: Uint8Array, manifest: Manifest, trees: TreeModel | undefined) {
  const shape = {
    inputs: manifest.inputs,
    inputWidth: inputWidth(manifest),
    outputWidth: outputWidth(manifest),
  }
  return inWords(() => loadModel(bytes, shape, trees))
}

/** @throws {UnreadableModel} in the words of the runtime. */
async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof UnreadableModel) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    // Whoever set the limit says what it is.
    if (isOutOfMemory(reason)) throw cause
    throw new UnreadableModel(`The model ${reason}`, { cause })
  }
}

async function replay(
  manifest: Manifest,
  predict: (rows: number, values: Float64Array) => Float64Array | Promise<Float64Array>,
  given: unknown,
): Promise<Fault[]> {
  const parsed = examplesSchema.safeParse(given)
  if (!parsed.success) {
    return parsed.error.issues.map(({ path, message }) => ({ path, detail: message }))
  }
  const examples: Examples = parsed.data
  const matrix = createEncoder(manifest)(examples.features, ROWS_MAX)
  if (Array.isArray(matrix)) {
    return matrix.map(({ path, detail }) => ({ path: ['features', ...path], detail }))
  }
  const outputs = await inWords(async () => predict(matrix.rows, matrix.values))
  const fault = parityFault(manifest, matrix, outputs, examples)
  return fault === undefined ? [] : [fault]
}
