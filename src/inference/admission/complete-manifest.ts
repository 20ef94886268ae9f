import type { Fault } from '../../gateway/problems.ts'
import {
  inputWidth,
  type Manifest,
  manifestSchema,
  type ModelInput,
  outputWidth,
  widthOf,
} from '../manifest.ts'
import { inputsOf, type Signature } from './signature.ts'

/** What an upload says of its model, as JSON; what it leaves out the file says, as far as it can. */
export type GivenManifest = Record<string, unknown>

/**
 * The manifest of an upload: what was given, and the rest from the file.
 *
 * @returns faults where the two do not fit, or too little is known.
 */
export function completeManifest(
  given: GivenManifest,
  decided: { name: string; version: string; file: string },
  signature: Signature,
): Manifest | Fault[] {
  const kind = given['kind'] ?? kindOf(signature)
  if (typeof kind !== 'string') {
    const detail =
      'is missing, and the file does not say it: expected classification, regression or forecast'
    return [{ path: ['kind'], detail }]
  }
  if (signature.kind !== undefined && signature.kind !== kind) {
    const detail = `is ${kind} where the file is of a ${signature.kind}`
    return [{ path: ['kind'], detail }]
  }
  if (given['inputs'] === undefined) {
    const faults = unnamed(signature)
    if (faults.length > 0) return faults
  }
  const parsed = manifestSchema.safeParse({
    title: decided.name,
    description: '',
    inputs: inputsOf(signature),
    outputs: outputsOf(kind, signature),
    metrics: {},
    cache: false,
    ...(kind === 'classification' ? { classes: classesOf(signature) } : {}),
    ...given,
    ...decided,
    kind,
  })
  if (!parsed.success) {
    return parsed.error.issues.map(({ path, message }) => ({ path, detail: message }))
  }
  return fitted(parsed.data, signature)
}

/** Which member of a manifest says how many values a row has. */
const PLACES = { classification: 'classes', regression: 'outputs', forecast: 'horizon' } as const

const OUTPUT_TYPES: Record<string, string> = {
  classification: 'category',
  regression: 'number',
  forecast: 'series',
}

function outputsOf(kind: string, { outputWidth: width = 1 }: Signature) {
  const type = OUTPUT_TYPES[kind]
  if (kind !== 'regression' || width === 1) return [{ name: 'prediction', type }]
  return Array.from({ length: width }, (_, at) => ({ name: `prediction_${at + 1}`, type }))
}

function kindOf({ kind, classes, outputWidth: width }: Signature): Manifest['kind'] | undefined {
  if (kind !== undefined) return kind
  if (classes !== undefined) return 'classification'
  return width === 1 ? 'regression' : undefined
}

function classesOf({ classes, outputWidth: width = 0 }: Signature): string[] {
  return classes === undefined
    ? Array.from({ length: width }, (_, position) => String(position))
    : [...classes]
}

/** Text has to be known beforehand: what a model has not seen it can't answer for. */
function unnamed({ inputs }: Signature): Fault[] {
  if (inputs.some(({ width }) => width === undefined)) {
    const detail = 'is missing, and the file leaves open how many columns it takes'
    return [{ path: ['inputs'], detail }]
  }
  return inputs
    .filter(({ isText, categories }) => isText && categories === undefined)
    .map(({ name }) => ({
      path: ['inputs'],
      detail: `is missing: "${name ?? 'it'}" takes text, so its categories have to be given`,
    }))
}

function fitted(manifest: Manifest, signature: Signature): Manifest | Fault[] {
  const inputs = inOrder(manifest.inputs, signature)
  if (!isInputs(inputs)) return inputs
  const sorted = { ...manifest, inputs }
  const faults = [
    ...widthFaults(sorted, signature),
    ...classFaults(sorted, signature),
    ...categoryFaults(inputs, signature),
  ]
  return faults.length > 0 ? faults : sorted
}

const isInputs = (found: ModelInput[] | Fault[]): found is ModelInput[] =>
  found.every((each) => 'type' in each)

/** Where the file names its columns they count, and in its order. */
function inOrder(inputs: ModelInput[], signature: Signature): ModelInput[] | Fault[] {
  if (!signature.areNamesBinding) return inputs
  const names = signature.inputs.map(({ name }) => name)
  const faults: Fault[] = []
  for (const [index, { name }] of inputs.entries()) {
    if (names.includes(name)) continue
    faults.push({ path: ['inputs', index, 'name'], detail: `the model has no feature "${name}"` })
  }
  const sorted = names.flatMap((name) => {
    const found = inputs.find((input) => input.name === name)
    if (found === undefined) {
      faults.push({ path: ['inputs'], detail: `has no "${name}", which is a feature of the model` })
    }
    return found ?? []
  })
  return faults.length > 0 ? faults : sorted
}

function widthFaults(manifest: Manifest, signature: Signature): Fault[] {
  const taken = signature.inputs.reduce((sum, { width = Number.NaN }) => sum + width, 0)
  const faults: Fault[] = []
  const given = inputWidth(manifest)
  if (given !== taken && !Number.isNaN(taken)) {
    faults.push({ path: ['inputs'], detail: `are ${given} columns where the model takes ${taken}` })
  }
  const answered = outputWidth(manifest)
  const { outputWidth: values } = signature
  if (values !== undefined && values !== answered) {
    const what = PLACES[manifest.kind]
    const detail = `means ${answered} values a row where the model answers ${values}`
    faults.push({ path: [what], detail })
  }
  return faults
}

/**
 * A manifest that names the classes of the file in another order would turn its answers round. Numbers may be
 * given names; names are what they are.
 */
function classFaults(manifest: Manifest, { classes }: Signature): Fault[] {
  if (manifest.kind !== 'classification' || classes === undefined) return []
  if (Bun.deepEquals(manifest.classes, classes)) return []
  const isNumbered = classes.every((name) => /^-?\d+$/.test(name))
  const isReordered = new Set(classes).isSubsetOf(new Set(manifest.classes))
  if (isNumbered && !isReordered) return []
  const detail = `are not those of the model, in its order: ${JSON.stringify(classes)}`
  return [{ path: ['classes'], detail }]
}

/** The codes that the file gave its categories are in their order. */
function categoryFaults(inputs: readonly ModelInput[], signature: Signature): Fault[] {
  const faults: Fault[] = []
  let column = 0
  for (const [index, input] of inputs.entries()) {
    const known = signature.inputs[column]
    column += widthOf(input)
    if (known?.categories === undefined || input.type !== 'category') continue
    if (Bun.deepEquals(input.categories, known.categories)) continue
    const detail = `are not those of the model, in its order: ${JSON.stringify(known.categories)}`
    faults.push({ path: ['inputs', index, 'categories'], detail })
  }
  return faults
}
