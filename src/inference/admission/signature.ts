import type { Manifest, ModelInput } from '../manifest.ts'

/** A column, or a run of them, that a model takes. */
export interface SignatureInput {
  /** None where the file gives it none that a person chose. */
  name: string | undefined
  /** None where the file leaves it open. */
  width: number | undefined
  /** Where it takes text, or knows what its categories are called. */
  isText: boolean
  categories: readonly string[] | undefined
}

/** What a model file says of itself. */
export interface Signature {
  library: 'lightgbm' | 'xgboost' | 'onnx'
  /** None where the file does not say. */
  kind: Manifest['kind'] | undefined
  inputs: readonly SignatureInput[]
  /** Whether columns go by their names, in the order of the file. */
  areNamesBinding: boolean
  /** Values a row; none where the file leaves it open. */
  outputWidth: number | undefined
  classes: readonly string[] | undefined
}

/** The inputs of a manifest, as far as the file can say. */
export const inputsOf = ({ inputs }: Signature): ModelInput[] =>
  inputs.flatMap(({ name, width, categories }, position): ModelInput[] => {
    const called = name ?? `f${position}`
    if (categories !== undefined) {
      return [{ name: called, type: 'category', categories: [...categories] }]
    }
    if (width === 1) return [{ name: called, type: 'number' }]
    return Array.from({ length: width ?? 0 }, (_, column) => ({
      name: name === undefined ? `f${column}` : `${name}_${column}`,
      type: 'number' as const,
    }))
  })
