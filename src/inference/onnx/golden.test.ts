import { describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { type ModelInput, widthOf } from '../manifest.ts'
import { describeOnnx, type OnnxDescription } from './describe-onnx.ts'
import { type Field, modelOf, node, value } from './models.fixture.ts'
import { readOnnx } from './onnx-file.ts'
import { openOnnxSession } from './onnx-session.ts'

/** What scikit-learn itself says: scripts/onnx_fixtures.py. */
const FIXTURES = join(import.meta.dir, '../../../tests/fixtures/onnx')

interface Expected {
  inputs: ModelInput[]
  rows: (number | string | null)[][]
  predictions: number[][]
  /** Of a classification. */
  classes?: string[]
}

async function open(name: string): Promise<{ file: Uint8Array; expected: Expected }> {
  const folder = join(FIXTURES, name)
  const file = await Bun.file(join(folder, 'model.onnx')).bytes()
  return { file, expected: (await Bun.file(join(folder, 'expected.json')).json()) as Expected }
}

/** Rows as they come to a model: a category as its position. */
function encode({ inputs, rows }: Expected): Float64Array {
  const owners = inputs.flatMap((input) => Array.from({ length: widthOf(input) }, () => input))
  return Float64Array.from(
    rows.flatMap((row) =>
      row.map((cell, column) => {
        const owner = owners[column]!
        if (cell === null) return Number.NaN
        return owner.type === 'category' ? owner.categories.indexOf(String(cell)) : Number(cell)
      }),
    ),
  )
}

const predict = async (model: Uint8Array, expected: Expected): Promise<Float64Array> => {
  const { inputs, rows, predictions } = expected
  const outputWidth = predictions[0]!.length
  const session = await openOnnxSession({ model, inputs, outputWidth })
  const answers = await session.predict(rows.length, encode(expected))
  await session.release()
  return answers
}

/** The worst of all values: probabilities by how much they are off, others in shares of what is larger than one. */
function worst(actual: Float64Array, { predictions, classes }: Expected): number {
  const expected = predictions.flat()
  expect(actual.length).toBe(expected.length)
  const shareOf = (value: number) => (classes === undefined ? Math.max(1, Math.abs(value)) : 1)
  return Math.max(...expected.map((value, at) => Math.abs(actual[at]! - value) / shareOf(value)))
}

const names = readdirSync(FIXTURES)
  .filter((name) => name !== 'hostile')
  .toSorted()

test('there are at least 12 models', () => {
  expect(names.length).toBeGreaterThanOrEqual(12)
})

describe.each(names)('%s', (name) => {
  test('says what scikit-learn says', async () => {
    const { file, expected } = await open(name)
    const answers = await predict(readOnnx(file)!.bytes, expected)
    expect(worst(answers, expected)).toBeLessThan(expected.classes === undefined ? 1e-5 : 1e-6)
  })

  test('tells its classes in the order of its probabilities, or that there are none', async () => {
    const { file, expected } = await open(name)
    expect(readOnnx(file)!.classes).toEqual(expected.classes)
  })

  test('says for one row what it says for many', async () => {
    const { file, expected } = await open(name)
    const { bytes } = readOnnx(file)!
    const together = await predict(bytes, expected)
    const alone = await predict(bytes, { ...expected, rows: expected.rows.slice(3, 4) })
    const { length } = alone
    for (const [at, value] of alone.entries())
      expect(value).toBeCloseTo(together[3 * length + at]!, 6)
  })

  test('is left as it is where it has no ZipMap', async () => {
    const { file } = await open(name)
    const { bytes } = readOnnx(file)!
    expect(Buffer.from(file).includes('ZipMap')).toBe(bytes !== file)
    expect(Buffer.from(bytes).includes('ZipMap')).toBeFalse()
  })
})

describe('a model describes itself', () => {
  test.each<[name: string, description: OnnxDescription]>([
    [
      'pipeline',
      {
        inputs: [
          { name: 'age', type: 'float', width: 1 },
          { name: 'sibling_count', type: 'integer', width: 1 },
          { name: 'port', type: 'string', width: 1 },
          { name: 'fare', type: 'float', width: 1 },
          { name: 'sex', type: 'string', width: 1 },
        ],
        outputs: [
          { name: 'output_label', type: 'string', width: 1 },
          { name: 'probabilities', type: 'float', width: 2 },
        ],
      },
    ],
    [
      'every-type',
      {
        inputs: [
          { name: 'small', type: 'float', width: 2 },
          { name: 'large', type: 'float', width: 1 },
          { name: 'count', type: 'integer', width: 1 },
          { name: 'step', type: 'integer', width: 1 },
          { name: 'flag', type: 'boolean', width: 1 },
          { name: 'word', type: 'string', width: 1 },
        ],
        outputs: [
          { name: 'rounded', type: 'integer', width: 1 },
          { name: 'answer', type: 'float', width: 1 },
        ],
      },
    ],
    [
      'forest',
      {
        inputs: [{ name: 'X', type: 'float', width: 4 }],
        outputs: [
          { name: 'output_label', type: 'string', width: 1 },
          { name: 'probabilities', type: 'float', width: undefined },
        ],
      },
    ],
  ])('%s', async (name, description) => {
    const { file } = await open(name)
    expect(await describeOnnx(readOnnx(file)!.bytes)).toEqual(description)
  })

  test('but for outputs that are no tensors, or of nothing that is served', async () => {
    const { file } = await open('forest')
    expect((await describeOnnx(file)).outputs.map(({ name }) => name)).toEqual(['output_label'])
    const toHalf: Field = [
      5,
      [
        [1, 'to'],
        [3, 10],
        [20, 2],
      ],
    ]
    const halves = modelOf(
      [11, value('x', ['rows', 2])],
      [1, node('Cast', ['x'], ['y'], toHalf)],
      [12, value('y', ['rows', 2], 10)],
    )
    expect((await describeOnnx(halves)).outputs).toEqual([])
  })
})
