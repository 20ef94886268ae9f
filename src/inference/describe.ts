import type { Matrix } from './features.ts'
import type { Manifest } from './manifest.ts'

/** What a model says, as callers read it. */
export interface Described {
  /** A label, a number, or a number a step, for each row. */
  predictions: (string | number | number[])[]
  /** Of a classification: for each row the probability of each class. */
  probabilities?: Record<string, number>[]
  model_version: string
}

/** @param outputs row by row, as the model gives them. */
export function describe(
  manifest: Manifest,
  { rows, horizons }: Matrix,
  outputs: Float64Array,
): Described {
  const { version: model_version } = manifest
  const width = rows === 0 ? 0 : outputs.length / rows
  switch (manifest.kind) {
    case 'classification': {
      const { classes } = manifest
      const predictions: string[] = []
      const probabilities: Record<string, number>[] = []
      for (let at = 0; at < outputs.length; at += width) {
        const probability: Record<string, number> = {}
        let best = 0
        for (let index = 0; index < width; index++) {
          probability[classes[index]!] = outputs[at + index]!
          if (outputs[at + index]! > outputs[at + best]!) best = index
        }
        predictions.push(classes[best]!)
        probabilities.push(probability)
      }
      return { predictions, probabilities, model_version }
    }
    case 'regression':
      return { predictions: Array.from(outputs), model_version }
    case 'forecast':
      return {
        predictions: Array.from({ length: rows }, (_, row) =>
          Array.from(outputs.subarray(row * width, row * width + (horizons?.[row] ?? width))),
        ),
        model_version,
      }
  }
}
