import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'

import { refusal } from '../../../tests/support/refusal.ts'
import { UnreadableModel } from '../unreadable-model.ts'
import { describeOnnx } from './describe-onnx.ts'
import { type Field, message, modelOf, node, tensor, value } from './models.fixture.ts'
import { readOnnx } from './onnx-file.ts'
import { Message } from './protobuf.ts'

const FIXTURES = join(import.meta.dir, '../../../tests/fixtures/onnx')
const fixture = (name: string) => Bun.file(join(FIXTURES, name)).bytes()
const text = new TextEncoder()

function readOrRefusal(file: Uint8Array): unknown {
  try {
    return readOnnx(file)
  } catch (error) {
    return error
  }
}

/** AttributeProto.type */
const [TENSOR, GRAPH, INTS, STRINGS] = [4, 5, 7, 8]
const attribute = (name: string, type: number, ...fields: readonly Field[]): Field => [
  5,
  [[1, name], ...fields, [20, type]],
]
const labelled = (...labels: string[]) =>
  attribute('classlabels_strings', STRINGS, ...labels.map((label): Field => [9, label]))
const ML: Field = [7, 'ai.onnx.ml']

/** From `x` to `y`, by these nodes. */
const graphOf = (nodes: Uint8Array[], ...rest: readonly Field[]) =>
  modelOf(
    ...nodes.map((each): Field => [1, each]),
    [11, value('x', ['rows', 2])],
    [12, value('y', ['rows', 2])],
    ...rest,
  )
const external: Field = [
  13,
  [
    [1, 'location'],
    [2, '/etc/passwd'],
  ],
]

describe('undefined for what is no ONNX:', () => {
  test.each<[name: string, file: Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['a text', text.encode('This is a text.')],
    ['JSON', text.encode('{"learner": {}}')],
    ['a model of LightGBM', text.encode('tree\nversion=v4\n')],
    ['a picture', Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])],
    ['a pickle', Uint8Array.from([0x80, 0x04, 0x95, 0x10, 0, 0, 0, 0, 0, 0, 0])],
    ['a SavedModel, which begins alike', message([1, 1], [2, [[1, 'tags']]])],
    ['a graph without operators', message([1, 10], [7, [[2, 'graph']]])],
    ['operators without a graph', message([1, 10], [8, [[2, 18]]])],
  ])('%s', (_, file) => {
    expect(readOnnx(file)).toBeUndefined()
  })
})

describe('refused with the reason:', () => {
  test.each<[file: string, reason: RegExp]>([
    ['truncated', /The ONNX file is broken: at byte \d+ \d+ more bytes are expected, and it ends/],
    ['external-data', /The tensor "w" lies in another file/],
    ['custom-operator', /needs the operator "Shell" of "ai.onnx.contrib", which neither ONNX has/],
    ['gigabyte-declared', /The tensor "w" is to have 2 × 134217728 values, and the file has not/],
  ])('%s', async (name, reason) => {
    const file = await fixture(`hostile/${name}.onnx`)
    expect(() => readOnnx(file)).toThrow(UnreadableModel)
    expect(() => readOnnx(file)).toThrow(reason)
  })

  const hollow = tensor('w', [1000], [9, new Uint8Array(400)])
  const elsewhere = tensor('w', [1], [9, new Uint8Array(4)], external)
  const nested = (inner: Uint8Array): Field => attribute('body', GRAPH, [6, inner])
  test.each<[name: string, file: Uint8Array, reason: RegExp]>([
    [
      'the format of the runtime itself, in which nothing is checked',
      message([1, 10], [2, 'ORTM'], [7, []], [8, []]),
      /own format/,
    ],
    ['an initializer that lies elsewhere', graphOf([], [5, elsewhere]), /lies in another file/],
    [
      'an initializer that says it lies elsewhere, in more than 32 bits',
      graphOf([], [5, tensor('w', [1], [9, new Uint8Array(4)], [14, 2 ** 32 + 1])]),
      /lies in another file/,
    ],
    [
      'a tensor elsewhere in an attribute',
      graphOf([node('Constant', [], ['y'], attribute('value', TENSOR, [5, elsewhere]))]),
      /lies in another file/,
    ],
    [
      'one of several tensors in an attribute',
      graphOf([node('Constant', [], ['y'], attribute('value', 9, [10, hollow]))]),
      /is to have 1000 values/,
    ],
    [
      'a tensor elsewhere in a graph of a node of a graph of a node',
      graphOf([
        node(
          'If',
          ['x'],
          ['y'],
          nested(message([1, node('If', ['x'], ['y'], nested(message([5, elsewhere])))])),
        ),
      ]),
      /lies in another file/,
    ],
    [
      'a tensor elsewhere in one of several graphs',
      graphOf([node('If', ['x'], ['y'], attribute('body', 10, [11, message([5, elsewhere])]))]),
      /lies in another file/,
    ],
    [
      'a tensor elsewhere in what is for training',
      Buffer.concat([graphOf([]), message([20, [[1, [[5, elsewhere]]]]])]),
      /lies in another file/,
    ],
    ['fewer data than declared', graphOf([], [5, hollow]), /"w" is to have 1000 values/],
    ['sizes that are no numbers', graphOf([], [5, tensor('w', [-1, -1])]), /-1 × -1 values/],
    ['sizes below zero, and a zero', graphOf([], [5, tensor('w', [-1, 0])]), /-1 × 0 values/],
    [
      'sizes beyond all numbers',
      graphOf([], [5, tensor('w', [2 ** 40, 2 ** 40])]),
      /× 1099511627776/,
    ],
    ['a value that is not there', graphOf([], [5, tensor('w', [])]), /is to have a value/],
    [
      'too many dimensions',
      graphOf(
        [],
        [
          5,
          tensor(
            'w',
            Array.from({ length: 65 }, () => 1),
          ),
        ],
      ),
      /64 dimensions/,
    ],
    [
      'doubles for half as many floats',
      graphOf([], [5, message([1, 100], [2, 11], [8, 'w'], [9, new Uint8Array(400)])]),
      /100 values/,
    ],
    [
      'a type in more than 32 bits',
      graphOf([], [5, message([1, 100], [2, 2 ** 32 + 11], [8, 'w'], [9, new Uint8Array(400)])]),
      /100 values/,
    ],
    ['a sparse tensor', graphOf([], [15, [[3, 1000]]]), /sparse/],
    [
      'a function of its own',
      Buffer.concat([graphOf([]), message([25, [[1, 'f']]])]),
      /inline_local_functions/,
    ],
    [
      'an operator of a stranger',
      graphOf([node('Run', ['x'], ['y'], [7, 'my.company'])]),
      /"Run" of "my.company"/,
    ],
    [
      'an operator of two, of which the first is a stranger',
      graphOf([node('Run', ['x'], ['y'], [7, 'my.company'], ML)]),
      /"my.company"/,
    ],
    [
      'an operator of a stranger within a graph of a node',
      graphOf([
        node('If', ['x'], ['y'], nested(message([1, node('Run', [], [], [7, 'my.company'])]))),
      ]),
      /"my.company"/,
    ],
    [
      'a name that is a book',
      graphOf([node('a'.repeat(1e6), [], [], [7, 'b'.repeat(1e6)])]),
      /^.{0,300}$/,
    ],
    ['two graphs', message([1, 10], [7, []], [7, []], [8, []]), /model has one graph twice/],
    [
      'two tensors in one place, which runtimes merge',
      graphOf([
        node(
          'Constant',
          [],
          ['y'],
          attribute('value', TENSOR, [5, tensor('', [0])], [5, tensor('', [0])]),
        ),
      ]),
      /attribute has one tensor twice/,
    ],
    [
      'a label that is no text',
      graphOf([
        node(
          'LinearClassifier',
          ['x'],
          ['y'],
          ML,
          attribute('classlabels_strings', STRINGS, [9, Uint8Array.from([0xff])]),
        ),
      ]),
      /no UTF-8/,
    ],
  ])('%s', (_, file, reason) => {
    expect(() => readOnnx(file)).toThrow(UnreadableModel)
    expect(() => readOnnx(file)).toThrow(reason)
  })

  test('graphs in graphs, without end', () => {
    let graph = message([2, 'the innermost'])
    for (let depth = 0; depth < 2000; depth++) graph = message([1, [[5, [[6, graph]]]]])
    expect(() => readOnnx(message([1, 10], [7, graph], [8, []]))).toThrow(
      /nested more than 64 deep/,
    )
  })

  test('types in types, without end', () => {
    let type = message([1, [[1, 1]]])
    for (let depth = 0; depth < 2000; depth++) type = message([4, [[1, type]]])
    expect(() => readOnnx(graphOf([], [11, [[2, type]]]))).toThrow(/nested more than 64 deep/)
  })

  test('more nodes than can be remembered', () => {
    const nodes = new Uint8Array(2_000_002)
    for (let at = 0; at < nodes.length; at += 2) nodes[at] = 0x0a
    expect(() => readOnnx(message([1, 10], [7, nodes], [8, []]))).toThrow(/more than 1000000 nodes/)
  })

  test('a file that is cut anywhere in its graph, or before it', async () => {
    const file = await fixture('logistic-strings/model.onnx')
    const whole = new Message(file)
    while (!whole.holds(7)) whole.next()
    for (let end = 0; end < whole.from; end++) {
      const read = readOrRefusal(file.subarray(0, end))
      expect(read === undefined || read instanceof UnreadableModel).toBeTrue()
    }
    for (let end = whole.from; end < whole.to; end++) {
      expect(readOrRefusal(file.subarray(0, end))).toBeInstanceOf(UnreadableModel)
    }
    expect(readOnnx(file)).toBeDefined()
  })
})

describe('left to the runtime, which refuses it', () => {
  test('a circle of nodes', async () => {
    const { bytes } = readOnnx(await fixture('hostile/cyclic.onnx'))!
    const { message } = (await refusal(describeOnnx(bytes))) as Error
    expect(message).toMatch(/^is refused by ONNX Runtime: .*cyclic/)
  })

  test('what takes gigabytes only when it runs', async () => {
    const { bytes } = readOnnx(await fixture('hostile/gigabytes-at-run-time.onnx'))!
    expect((await describeOnnx(bytes)).outputs).toEqual([{ name: 'y', type: 'float', width: 1 }])
  })
})

describe('served', () => {
  test.each<[name: string, file: Uint8Array]>([
    ['a tensor of nothing', graphOf([], [5, tensor('w', [0, 7])])],
    ['raw data', graphOf([], [5, tensor('w', [2, 1], [9, new Uint8Array(8)])])],
    ['floats that are packed', graphOf([], [5, tensor('w', [2], [4, new Uint8Array(8)])])],
    [
      'whole numbers, a byte each',
      graphOf([], [5, message([1, 3], [2, 7], [7, 1], [7, 2], [7, 3])]),
    ],
    ['numbers of four bits', graphOf([], [5, message([1, 3], [2, 22], [9, new Uint8Array(2)])])],
    ['texts', graphOf([], [5, message([1, 2], [2, 8], [6, 'a'], [6, ''])])],
    [
      'operators of all who are known',
      graphOf(
        ['', 'ai.onnx', 'ai.onnx.ml', 'com.microsoft'].map((domain) =>
          node('Run', [], [], [7, domain]),
        ),
      ),
    ],
  ])('%s', (_, file) => {
    expect(readOnnx(file)).toEqual({ bytes: file, classes: undefined })
    expect(readOnnx(file)!.bytes).toBe(file)
  })
})

describe('classes', () => {
  const classifier = node('LinearClassifier', ['x'], ['label', 'scores'], ML, labelled('a', 'b'))
  const zipMap = node('ZipMap', ['scores'], ['y'], ML, labelled('c', 'd'))
  test.each<[name: string, file: Uint8Array, classes: string[] | undefined]>([
    [
      'of a ZipMap, whatever is before it',
      graphOf([classifier, zipMap], [12, value('label', ['rows', 1])]),
      ['c', 'd'],
    ],
    [
      'of a ZipMap after the label',
      modelOf(
        [1, classifier],
        [1, zipMap],
        [12, value('label', ['rows'])],
        [12, value('y', ['rows', 2])],
      ),
      ['c', 'd'],
    ],
    [
      'of a ZipMap that is no output',
      graphOf([classifier, node('ZipMap', ['scores'], ['z'], ML, labelled('c', 'd'))]),
      undefined,
    ],
    [
      'by way of what passes them on',
      graphOf([classifier, node('Normalizer', ['scores'], ['n'], ML), node('Cast', ['n'], ['y'])]),
      ['a', 'b'],
    ],
    [
      'whole numbers, packed and not',
      graphOf([
        node(
          'SVMClassifier',
          ['x'],
          ['y'],
          ML,
          attribute('classlabels_ints', INTS, [8, -3], [8, Uint8Array.from([7, 8])]),
        ),
      ]),
      ['-3', '7', '8'],
    ],
    [
      'beyond what a number holds',
      graphOf([
        node(
          'SVMClassifier',
          ['x'],
          ['y'],
          ML,
          attribute('classlabels_ints', INTS, [
            8,
            Uint8Array.from([0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]),
          ]),
        ),
      ]),
      ['9007199254740993'],
    ],
    [
      'in the attribute that has any',
      graphOf([
        node(
          'LinearClassifier',
          ['x'],
          ['y'],
          ML,
          attribute('classlabels_ints', INTS),
          labelled('a', 'b'),
        ),
      ]),
      ['a', 'b'],
    ],
    [
      'of none, where a node only computes',
      graphOf([classifier, node('Add', ['scores', 'scores'], ['y'])]),
      undefined,
    ],
    [
      'of a circle',
      graphOf([node('Identity', ['a'], ['y']), node('Identity', ['y'], ['a'])]),
      undefined,
    ],
    [
      'more than there may be',
      graphOf([
        node(
          'LinearClassifier',
          ['x'],
          ['y'],
          ML,
          labelled(...Array.from({ length: 10_001 }, String)),
        ),
      ]),
      undefined,
    ],
    ...(
      [
        [
          'texts',
          [
            [2, 8],
            [6, 'a'],
            [6, 'b'],
          ],
          ['a', 'b'],
        ],
        [
          'raw numbers of 64 bits',
          [
            [2, 7],
            [9, new Uint8Array(new BigInt64Array([-5n, 6n]).buffer)],
          ],
          ['-5', '6'],
        ],
        [
          'raw numbers of 32 bits',
          [
            [2, 6],
            [9, new Uint8Array(new Int32Array([-5, 6]).buffer)],
          ],
          ['-5', '6'],
        ],
        [
          'numbers',
          [
            [2, 6],
            [5, 5],
            [5, 6],
          ],
          ['5', '6'],
        ],
      ] as [string, Field[], string[]][]
    ).map(([name, data, classes]): [string, Uint8Array, string[]] => [
      `of a constant of ${name}`,
      graphOf(
        [
          node('ArrayFeatureExtractor', ['classes', 'best'], ['picked'], ML),
          node('Reshape', ['picked'], ['y']),
        ],
        [5, [[1, 2], [8, 'classes'], ...data]],
      ),
      classes,
    ]),
  ])('%s', (_, file, classes) => {
    expect(readOnnx(file)!.classes).toEqual(classes)
  })
})

describe('a ZipMap', () => {
  const zipMap = node('ZipMap', ['x'], ['y'], ML, labelled('a', 'b'))

  test('goes, and what went into it is the output', () => {
    const [identity, other] = [node('Identity', ['x'], ['scores']), value('other', ['rows', 1])]
    const zipped = node('ZipMap', ['scores'], ['y'], ML, labelled('a', 'b'))
    const file = modelOf(
      [2, 'name'],
      [1, identity],
      [1, zipped],
      [12, value('y', ['rows', 2])],
      [12, other],
    )
    const changed = modelOf([2, 'name'], [1, identity], [12, message([1, 'scores'])], [12, other])
    expect(readOnnx(file)!.bytes).toEqual(changed)
  })

  test('goes, wherever the file has its output', () => {
    const file = modelOf([12, value('y', ['rows', 2])], [2, 'name'], [1, zipMap])
    expect(readOnnx(file)!.bytes).toEqual(modelOf([12, message([1, 'x'])], [2, 'name']))
  })

  test('goes, and its output with it, if what went into it is one already', () => {
    const file = modelOf([1, zipMap], [12, value('x', ['rows', 2])], [12, value('y', ['rows', 2])])
    expect(readOnnx(file)!.bytes).toEqual(modelOf([12, value('x', ['rows', 2])]))
  })

  test('stays where it is no output', () => {
    const file = modelOf([1, zipMap], [12, value('z', ['rows', 2])])
    expect(readOnnx(file)!.bytes).toBe(file)
  })
})
