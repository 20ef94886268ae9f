import { describe, expect, spyOn, test } from 'bun:test'
import { join } from 'node:path'

import { InferenceSession } from 'onnxruntime-node'

import { refusal } from '../../../tests/support/refusal.ts'
import type { ModelInput } from '../manifest.ts'
import { type Field, message, modelOf, node, value } from './models.fixture.ts'
import { openOnnxSession } from './onnx-session.ts'

const FIXTURES = join(import.meta.dir, '../../../tests/fixtures')
const path = join(FIXTURES, 'models/classification/1/model.onnx')

/** TensorProto.DataType */
const [FLOAT, UINT8, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE] = [1, 2, 6, 7, 8, 9, 10, 11]

const number = (name: string): ModelInput => ({ name, type: 'number' })
const series = (name: string, length: number): ModelInput => ({ name, type: 'series', length })
const category = (name: string, ...categories: string[]): ModelInput => ({
  name,
  type: 'category',
  categories,
})

type Taken = readonly [name: string, type: number, sizes: readonly (number | string)[]]

const whole = (name: string, value: number): Field => [
  5,
  [
    [1, name],
    [3, value],
    [20, 2],
  ],
]

/** A model that returns all that it takes, in its order, as `y`. */
function echo(...taken: Taken[]): Uint8Array {
  const names = taken.map(([name]) => name)
  return modelOf(
    ...taken.map(([name, type, sizes]): Field => [11, value(name, sizes, type)]),
    ...names.map((name): Field => [1, node('Cast', [name], [`${name}!`], whole('to', DOUBLE))]),
    [
      1,
      node(
        'Concat',
        names.map((name) => `${name}!`),
        ['y'],
        whole('axis', 1),
      ),
    ],
    [12, value('y', ['rows', ''], DOUBLE)],
  )
}

const reasonOf = async (promise: Promise<unknown>) => ((await refusal(promise)) as Error).message

async function answer(
  model: Uint8Array,
  inputs: ModelInput[],
  rows: number[][],
): Promise<number[][]> {
  const width = rows[0]!.length
  const session = await openOnnxSession({ model, inputs, outputWidth: width })
  try {
    const answers = await session.predict(rows.length, Float64Array.from(rows.flat()))
    return rows.map((_, row) => [...answers.subarray(row * width, (row + 1) * width)])
  } finally {
    await session.release()
  }
}

describe('columns go', () => {
  const ROWS = [
    [1, 2, 3, 4],
    [5, 6, 7, 8],
  ]
  const one = ['rows', 1]
  const letters = ['a', 'b', 'c', 'd'].map(number)
  test.each<[name: string, taken: Taken[], inputs: ModelInput[], answers: number[][]]>([
    ['into the only input there is', [['x', FLOAT, ['rows', 4]]], letters, ROWS],
    ['into one of doubles', [['x', DOUBLE, ['rows', 4]]], letters, ROWS],
    ['into one of whole numbers', [['x', INT64, ['rows', 4]]], letters, ROWS],
    ['into one that leaves its width open', [['x', FLOAT, ['rows', 'columns']]], letters, ROWS],
    [
      'in their order',
      [
        ['x', FLOAT, one],
        ['y1', INT64, ['rows', 2]],
        ['z', INT32, one],
      ],
      letters,
      ROWS,
    ],
    [
      'one each where the width is open',
      ['w', 'x', 'y1', 'z'].map((name) => [name, FLOAT, ['', '']]),
      letters,
      ROWS,
    ],
    [
      'by name',
      ['d', 'b', 'c', 'a'].map((name) => [name, FLOAT, one]),
      letters,
      [
        [4, 2, 3, 1],
        [8, 6, 7, 5],
      ],
    ],
    [
      'by name, as sklearn-onnx writes it',
      ['_1st', 'é_x', 'length__cm_', 'a'].map((name) => [name, FLOAT, one]),
      ['a', 'length (cm)', 'é-x', '1st'].map(number),
      [
        [4, 3, 2, 1],
        [8, 7, 6, 5],
      ],
    ],
    [
      'by name, though several would be written as one',
      ['c', 'd', 'a-b', 'a b'].map((name) => [name, FLOAT, one]),
      ['a b', 'a-b', 'c', 'd'].map(number),
      [
        [3, 4, 2, 1],
        [7, 8, 6, 5],
      ],
    ],
    [
      'in their order where one is written as several would be',
      [
        ['a_b', FLOAT, ['rows', 2]],
        ['d', FLOAT, one],
        ['c', FLOAT, one],
      ],
      ['a b', 'a-b', 'c', 'd'].map(number),
      ROWS,
    ],
    [
      'in their order where several would be written as one',
      ['a_b', 'a_b1', 'd', 'c'].map((name) => [name, FLOAT, one]),
      ['a b', 'a-b', 'c', 'd'].map(number),
      ROWS,
    ],
    [
      'in their order where not all names are the same',
      ['d', 'b', 'c', 'e'].map((name) => [name, FLOAT, one]),
      letters,
      ROWS,
    ],
    [
      'by name, a series with all its values',
      [
        ['b', INT32, one],
        ['s', DOUBLE, ['rows', 3]],
      ],
      [series('s', 3), number('b')],
      [
        [4, 1, 2, 3],
        [8, 5, 6, 7],
      ],
    ],
  ])('%s', async (_, taken, inputs, answers) => {
    expect(await answer(echo(...taken), inputs, ROWS)).toEqual(answers)
  })

  test('as a list where the model takes no table', async () => {
    const model = modelOf(
      [11, value('x', ['rows'])],
      [1, node('Identity', ['x'], ['y'])],
      [12, value('y', ['rows'])],
    )
    expect(await answer(model, [number('x')], [[1], [2], [3]])).toEqual([[1], [2], [3]])
  })

  test('as truth where the model takes such', async () => {
    const inputs = [category('b', 'no', 'yes'), number('c')]
    const model = echo(['x', BOOL, ['rows', 1]], ['z', BOOL, ['rows', 1]])
    expect(
      await answer(model, inputs, [
        [1, 0],
        [0, 1],
      ]),
    ).toEqual([
      [1, 0],
      [0, 1],
    ])
  })

  test('as text where the model takes such, and nothing as a text of no length', async () => {
    const model = modelOf(
      [11, value('x', ['rows', 2], STRING)],
      [
        1,
        node(
          'LabelEncoder',
          ['x'],
          ['y'],
          [7, 'ai.onnx.ml'],
          [
            5,
            [
              [1, 'keys_strings'],
              [9, 'a'],
              [9, 'é'],
              [9, ''],
              [20, 8],
            ],
          ],
          [
            5,
            [
              [1, 'values_floats'],
              [7, Uint8Array.from(new Uint8Array(new Float32Array([10, 20, 30]).buffer))],
              [20, 6],
            ],
          ],
        ),
      ],
      [12, value('y', ['rows', 2])],
    )
    const inputs = [category('p', 'é', 'a'), category('q', 'a', 'é')]
    expect(
      await answer(model, inputs, [
        [0, 0],
        [1, 1],
        [NaN, 0],
      ]),
    ).toEqual([
      [20, 10],
      [10, 20],
      [30, 10],
    ])
  })
})

describe('a value is refused', () => {
  test.each<[name: string, type: number, input: ModelInput, value: number, reason: string]>([
    [
      'that is missing, as a whole number',
      INT64,
      number('age'),
      Number.NaN,
      'age is missing, where the model takes only whole numbers',
    ],
    [
      'that is missing, as one of 32 bits',
      INT32,
      number('age'),
      Number.NaN,
      'age is missing, where the model takes only whole numbers',
    ],
    [
      'that is missing, as truth',
      BOOL,
      category('flag', 'no', 'yes'),
      Number.NaN,
      'flag is missing, where the model takes only 0 and 1',
    ],
    [
      'with a fraction',
      INT64,
      number('age'),
      2.5,
      'age is 2.5, where the model takes only whole numbers',
    ],
    ['without end', INT64, number('age'), Number.POSITIVE_INFINITY, 'age is Infinity'],
    ['beyond 53 bits', INT64, number('age'), 2 ** 53, 'age is 9007199254740992'],
    ['beyond 32 bits', INT32, number('age'), 2 ** 31, 'age is 2147483648'],
    ['below 32 bits', INT32, number('age'), -(2 ** 31) - 1, 'age is -2147483649'],
    [
      'that is neither true nor false',
      BOOL,
      number('flag'),
      2,
      'flag is 2, where the model takes only 0 and 1',
    ],
  ])('%s', async (_, type, input, value, reason) => {
    const model = echo(['first', FLOAT, ['rows', 1]], ['second', type, ['rows', 1]])
    const asked = answer(
      model,
      [number('other'), input],
      [
        [1, 1],
        [1, value],
      ],
    )
    expect(await reasonOf(asked)).toContain(reason)
    // And what fits is not.
    expect(await answer(model, [number('other'), input], [[NaN, 1]])).toEqual([[NaN, 1]])
  })
})

describe('a model is refused that', () => {
  const x: Field = [11, value('x', ['rows', 2])]
  const gives = (...fields: Field[]) =>
    modelOf(
      x,
      [1, node('Identity', ['x'], ['y'])],
      [1, node('Cast', ['x'], ['label'], whole('to', INT64))],
      ...fields,
    )
  const both = [number('a'), number('b')]
  test.each<
    [
      name: string,
      model: Uint8Array | string,
      inputs: ModelInput[],
      outputWidth: number,
      reason: string,
    ]
  >([
    [
      'takes more columns',
      path,
      both.slice(1),
      2,
      'takes rows of 2 where the manifest has 1 columns',
    ],
    [
      'takes fewer columns',
      path,
      [...both, number('c')],
      2,
      'takes rows of 2 where the manifest has 3 columns',
    ],
    [
      'takes more of a name',
      echo(['a', FLOAT, ['rows', 2]]),
      [number('a')],
      2,
      'takes 2 values as a where the manifest has 1',
    ],
    [
      'takes text for a number',
      echo(['x', STRING, ['rows', 2]]),
      [category('a', '1'), number('b')],
      2,
      'takes text as x where the manifest has b as numbers',
    ],
    [
      'takes text for a series',
      echo(['x', STRING, ['rows', 2]]),
      [series('s', 2)],
      2,
      'takes text as x where the manifest has s as numbers',
    ],
    [
      'takes numbers of half the size',
      echo(['x', FLOAT16, ['rows', 2]]),
      both,
      2,
      'takes float16 as x where one of float32, float64, int32, int64, bool, string is expected',
    ],
    ['takes bytes', echo(['x', UINT8, ['rows', 2]]), both, 2, 'takes uint8 as x where'],
    [
      'takes pictures',
      modelOf(
        [11, value('x', ['rows', 2, 2])],
        [1, node('Identity', ['x'], ['y'])],
        [12, value('y', ['rows', 2, 2])],
      ),
      both,
      2,
      'takes 3 dimensions as x where rows and columns are expected',
    ],
    [
      'takes one row at a time',
      echo(['x', FLOAT, [1, 2]]),
      both,
      2,
      'takes 1 rows at a time where any number is expected',
    ],
    [
      'returns more',
      gives([12, value('y', ['rows', 2])]),
      both,
      1,
      'returns y (float32, rows × 2) where the manifest has 1 numbers a row',
    ],
    [
      'returns labels alone',
      gives([12, value('label', ['rows', 2], INT64)]),
      both,
      2,
      'returns label (int64, rows × 2) where',
    ],
    ['nobody can run', echo(['x', 99, ['rows', 2]]), both, 2, 'is refused by ONNX Runtime: '],
    [
      'is none',
      new TextEncoder().encode('This is a text.'),
      both,
      2,
      'is refused by ONNX Runtime: ',
    ],
    ['is not there', join(FIXTURES, 'none.onnx'), both, 2, 'is refused by ONNX Runtime: '],
  ])('%s', async (_, model, inputs, outputWidth, reason) => {
    expect(await reasonOf(openOnnxSession({ model, inputs, outputWidth }))).toContain(reason)
  })

  test('does not fit, and gives its memory back', async () => {
    const { create } = InferenceSession
    const sessions: InferenceSession[] = []
    const spy = spyOn(InferenceSession, 'create').mockImplementation((async (model: string) => {
      const session = await create(model)
      spyOn(session, 'release')
      sessions.push(session)
      return session
    }) as typeof create)
    const opened = openOnnxSession({ model: path, inputs: [], outputWidth: 1 })
    expect(await reasonOf(opened)).toContain('takes rows of 2')
    spy.mockRestore()
    expect(sessions).toHaveLength(1)
    expect(sessions[0]!.release).toHaveBeenCalledTimes(1)
  })
})

describe('the answers are', () => {
  const ROWS = [
    [1, 2, 3, 4, 5, 6],
    [7, 8, 9, 10, 11, 12],
  ]
  const inputs = [series('x', 6)]
  /** From `x` [rows, 6], by `Reshape` to what is asked. */
  const reshaped = (name: string, sizes: number[], type = FLOAT): Field[] => [
    [
      5,
      message(
        [1, sizes.length],
        [2, INT64],
        [8, `${name} sizes`],
        ...sizes.map((size): Field => [7, size]),
      ),
    ],
    [1, node('Reshape', ['x', `${name} sizes`], [`${name}?`])],
    [1, node('Cast', [`${name}?`], [name], whole('to', type))],
  ]
  const open = (name: string, sizes: (number | string)[], type = FLOAT): Field => [
    12,
    value(name, sizes, type),
  ]
  const model = (...fields: Field[]) => modelOf([11, value('x', ['rows', 6])], ...fields)
  const picked = async (file: Uint8Array, outputWidth: number, rows = ROWS) => {
    const session = await openOnnxSession({ model: file, inputs, outputWidth })
    try {
      return [...(await session.predict(rows.length, Float64Array.from(rows.flat())))]
    } finally {
      await session.release()
    }
  }
  const all = ROWS.flat()

  test('the first floats that are as wide as asked, behind labels and others', async () => {
    const file = model(
      ...reshaped('label', [-1, 6], INT64),
      ...reshaped('narrow', [-1, 3]),
      ...reshaped('wide', [-1, 6], DOUBLE),
      open('label', ['rows', 6], INT64),
      open('narrow', ['more', 3]),
      open('wide', ['rows', 6], DOUBLE),
    )
    expect(await picked(file, 6)).toEqual(all)
  })

  test('floats that leave their width open, where none has the right one', async () => {
    const file = model(
      ...reshaped('open', [0, -1]),
      ...reshaped('narrow', [-1, 3]),
      open('narrow', ['more', 3]),
      open('open', ['rows', 'columns']),
    )
    expect(await picked(file, 6)).toEqual(all)
  })

  test('in any arrangement, as long as there are enough for a row', async () => {
    const file = model(...reshaped('y', [-1, 3, 2]), open('y', ['rows', 3, 2]))
    expect(await picked(file, 6)).toEqual(all)
  })

  test('one a row where the model returns a list', async () => {
    const file = model(...reshaped('sums', [-1]), open('sums', ['rows']))
    expect(await reasonOf(picked(file, 1))).toContain(
      'returns 12 values for 2 rows where the manifest has 1 a row',
    )
  })

  test('as many as there are rows, and not the other way round', async () => {
    const file = model(...reshaped('y', [6, -1]), open('y', ['', '']))
    expect(await reasonOf(picked(file, 6))).toContain('returns 12 values for 2 rows where')
  })
})

test('a model is opened by its path, or by what is in it', async () => {
  const inputs = [number('a'), number('b')]
  const row = Float64Array.of(1, 2)
  const [one, other] = await Promise.all(
    [path, await Bun.file(path).bytes()].map(async (model) => {
      const session = await openOnnxSession({ model, inputs, outputWidth: 2 })
      const answers = await session.predict(1, row)
      await session.release()
      return answers
    }),
  )
  expect(one).toEqual(other)
  expect(one).toHaveLength(2)
})
