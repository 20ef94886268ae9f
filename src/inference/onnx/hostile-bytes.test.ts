import { describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { UnreadableModel } from '../unreadable-model.ts'
import { message, modelOf, node } from './models.fixture.ts'
import { readOnnx } from './onnx-file.ts'

const FIXTURES = join(import.meta.dir, '../../../tests/fixtures/onnx')

/** Numbers below `limit`, the same in each run. */
function createRandom(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

/** A file is read, is none, or is refused in words; nothing else comes of it. */
function outcomeOf(file: Uint8Array): 'read' | 'none' | 'refused' {
  try {
    return readOnnx(file) === undefined ? 'none' : 'read'
  } catch (error) {
    if (error instanceof UnreadableModel) return 'refused'
    throw error
  }
}

test('random bytes are no model, or are refused', () => {
  const random = createRandom(1)
  for (let round = 0; round < 20_000; round++) {
    const file = Uint8Array.from({ length: random(200) }, () => random(256))
    // Half of them begin as a model does.
    if (round % 2 === 0) file.set([0x08, 0x0a, 0x3a, 0x40].slice(0, file.length))
    expect(outcomeOf(file)).not.toBe('read')
  }
})

test('models with bytes that are others, gone or there twice are read, none, or refused', async () => {
  const random = createRandom(2)
  const models = await Promise.all(
    readdirSync(FIXTURES, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.onnx'))
      .toSorted()
      .map((path) => Bun.file(join(FIXTURES, path)).bytes()),
  )
  const counts = { read: 0, none: 0, refused: 0 }
  for (let round = 0; round < 20_000; round++) {
    const model = models[round % models.length]!
    const [at, length] = [random(model.length), random(12)]
    const changed = [
      () => [model.subarray(0, at), [random(256)], model.subarray(at + 1)],
      () => [model.subarray(0, at), model.subarray(at + length)],
      () => [model.subarray(0, at + length), model.subarray(at)],
      () => [
        model.subarray(0, at),
        Array.from({ length }, () => 0xff),
        model.subarray(at + length),
      ],
    ][random(4)]!()
    counts[outcomeOf(Buffer.concat(changed.map((part) => Uint8Array.from(part))))] += 1
  }
  expect(counts.read).toBeGreaterThan(1000)
  expect(counts.refused).toBeGreaterThan(1000)
})

/** A step for each byte takes a fraction of it, one for each pair of bytes hours. */
const MILLISECONDS_MAX = 3000
const SIZE = 4_000_000

const repeated = (part: Uint8Array, size = SIZE) =>
  Buffer.alloc(Math.floor(size / part.length) * part.length, part)

describe('what is as large as it is senseless takes no longer than to read it:', () => {
  const inGraph = (content: Uint8Array) => message([1, 10], [7, content], [8, []])
  const ML = [7, 'ai.onnx.ml'] as const
  const classifier = (attribute: Uint8Array) =>
    modelOf([1, node('SVMClassifier', ['x'], ['y'], ML, [5, attribute])], [12, [[1, 'y']]])
  test.each<[name: string, file: () => Uint8Array]>([
    ['nodes of nothing', () => inGraph(repeated(message([1, []])))],
    ['nodes with a name', () => inGraph(repeated(message([1, [[3, 'a name']]]), SIZE / 2))],
    ['fields that nobody knows', () => inGraph(repeated(Uint8Array.from([0x98, 0x06, 1])))],
    ['varints that are longer than they must be', () => inGraph(repeated(message([30, -1])))],
    ['inputs of a node', () => inGraph(message([1, repeated(message([1, '']))]))],
    [
      'outputs of a node',
      () =>
        inGraph(message([1, Buffer.concat([message([4, 'Cast']), repeated(message([2, 'y']))])])),
    ],
    [
      'a node that has itself as input',
      () => modelOf([1, repeated(message([1, 'y'], [2, 'y'], [4, 'Cast']))], [12, [[1, 'y']]]),
    ],
    [
      'nodes in a row',
      () => inGraph(repeated(message([1, node('Cast', ['y'], ['y'])], [12, [[1, 'y']]]))),
    ],
    [
      'nodes that pick out of a constant',
      () =>
        inGraph(
          repeated(
            message(
              [1, node('ArrayFeatureExtractor', ['y'], ['y'], ML)],
              [
                5,
                [
                  [8, 'y'],
                  [1, 0],
                ],
              ],
              [12, [[1, 'y']]],
            ),
          ),
        ),
    ],
    [
      'ZipMaps',
      () => inGraph(repeated(message([1, node('ZipMap', ['x'], ['y'])], [12, [[1, 'y']]]))),
    ],
    ['dimensions', () => inGraph(message([5, repeated(message([1, 1]))]))],
    [
      'dimensions that are packed',
      () => inGraph(message([5, [[1, repeated(Uint8Array.from([1]))]]])),
    ],
    [
      'floats of an attribute',
      () => inGraph(message([1, [[5, repeated(Uint8Array.from([0x3d, 0, 0, 0, 0]))]]])),
    ],
    [
      'labels',
      () =>
        classifier(Buffer.concat([message([1, 'classlabels_ints']), repeated(message([8, 7]))])),
    ],
    [
      'labels that are packed',
      () => classifier(message([1, 'classlabels_ints'], [8, repeated(Uint8Array.from([7]))])),
    ],
    [
      'outputs of one classifier, which names no class',
      () => {
        const attributes = repeated(message([5, [[1, 'a']]]), SIZE / 4)
        const silent = Buffer.concat([node('SVMClassifier', ['x'], ['y'], ML), attributes])
        return inGraph(
          Buffer.concat([message([1, silent]), repeated(message([12, [[1, 'y']]]), SIZE / 4)]),
        )
      },
    ],
    ['a text', () => inGraph(message([1, [[4, 'x'.repeat(SIZE)]]]))],
    ['domains', () => inGraph(message([1, repeated(message([7, '']))]))],
    [
      'one graph within the other',
      () => {
        let graph: Uint8Array = repeated(message([1, []]), SIZE / 2)
        for (let depth = 0; depth < 20; depth++) graph = message([1, [[5, [[6, graph]]]]])
        return inGraph(graph)
      },
    ],
  ])('%s', (_, file) => {
    const bytes = file()
    expect(bytes.length).toBeGreaterThan(SIZE / 3)
    const from = performance.now()
    outcomeOf(bytes)
    expect(performance.now() - from).toBeLessThan(MILLISECONDS_MAX)
  })
})
