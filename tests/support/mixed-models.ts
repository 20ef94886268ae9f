import { join } from 'node:path'

import { ECHO_ROWS, echoTree } from './echo-tree.ts'
import { FIXTURE_MODELS_DIR } from './harness.ts'

/** A model whose answers say which version gave them, and to which row. */
export interface MixedModel {
  name: string
  inputs: string[]
  /** Values of the inputs, by the number of the row. */
  rows: readonly (readonly number[])[]
  fileOf(version: number): string | Uint8Array<ArrayBuffer>
  manifestOf(version: number): object
  /** @returns the version that says this of this row, or none where no version does. */
  versionOf(said: Said, row: number): number | undefined
}

/** What was answered of a row: a number, or a label and its probability. */
export type Said = number | { label: string; probability: number }

const CLASSIFICATION = join(FIXTURE_MODELS_DIR, 'classification', '1')
const TOLERANCE = 1e-6
/** As many as one request may well have. */
const POINTS = 64

/** Single-leaf trees that a row of the slow model comes by. */
const FURTHER_TREES = 500
const PER_VERSION = 1000

function echoing(name: string, { further = 0, cache = false } = {}): MixedModel {
  return {
    name,
    inputs: ['x'],
    rows: Array.from({ length: ECHO_ROWS }, (_, row) => [row]),
    fileOf: (version) => echoTree(version * PER_VERSION, further),
    manifestOf: () => ({ name, cache }),
    versionOf(said, row) {
      const version = (Number(said) - row) / PER_VERSION
      return Number.isInteger(version) && version > 0 ? version : undefined
    },
  }
}

/** @param ask what the model of the fixtures says of such rows, while nothing else goes on. */
async function points(
  ask: (features: object[]) => Promise<Record<string, number>[]>,
): Promise<MixedModel> {
  const name = 'points'
  const { version: _, ...manifest } = (await Bun.file(
    join(CLASSIFICATION, 'manifest.json'),
  ).json()) as Record<string, unknown>
  const file = await Bun.file(join(CLASSIFICATION, 'model.onnx')).bytes()
  const rows = Array.from({ length: POINTS }, (_, row) => [row / 9, ((row * 37) % POINTS) / 11])
  const probabilities = await ask(rows.map(([x1, x2]) => ({ x1, x2 })))
  const expected = probabilities.map(({ positive }) => positive!)
  return {
    name,
    inputs: ['x1', 'x2'],
    rows,
    fileOf: () => file,
    manifestOf: (version) => ({
      ...manifest,
      name,
      cache: false,
      classes: [`${version}-negative`, `${version}-positive`],
    }),
    versionOf(said, row) {
      if (typeof said === 'number') return undefined
      const [version, sign] = said.label.split('-')
      const positive = sign === 'positive' ? said.probability : 1 - said.probability
      return Math.abs(positive - expected[row]!) < TOLERANCE ? Number(version) : undefined
    },
  }
}

/** Two that are evaluated in place, one of them remembered, and two in the threads. */
export async function mixedModels(
  ask: Parameters<typeof points>[0],
): Promise<{ inPlace: MixedModel[]; inThreads: MixedModel[] }> {
  return {
    inPlace: [echoing('steps'), echoing('remembered', { cache: true })],
    inThreads: [echoing('forest', { further: FURTHER_TREES }), await points(ask)],
  }
}
