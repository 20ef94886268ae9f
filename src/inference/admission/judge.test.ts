import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { treeFixture, treeFixtures } from '../../../tests/support/uploads.ts'
import type { ModelInput } from '../manifest.ts'
import { readTreeModel } from '../trees/read-tree-model.ts'
import { judge } from './judge.ts'
import { inputsOf } from './signature.ts'
import { treeSignature } from './tree-signature.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'quintet-judge-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

/** Saved by a library, and refused with this reason. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'lightgbm-linear-tree': /linear_tree/,
  'xgboost-linear': /gblinear/,
  'xgboost-vector-leaf': /multi_output_tree/,
}

async function judged(name: string, change: (predictions: unknown[]) => void = () => {}) {
  const { file, inputs, predictions } = await treeFixture(name)
  const path = join(directory, name)
  await Bun.write(path, file)
  const examples = await examplesOf(file, inputs, predictions).catch(() => undefined)
  if (examples !== undefined) change(examples.predictions)
  return judge({ path, name: 'any', manifest: {}, examples })
}

type Cell = number | string | null

async function examplesOf(file: Uint8Array, rows: Cell[][], answers: Cell[][]) {
  const model = readTreeModel(file)!
  const signature = treeSignature(model)
  const columns = inputsOf(signature)
  const features = rows.map((row) =>
    Object.fromEntries(row.map((cell, at) => [columns[at]!.name, cellOf(columns[at]!, cell)])),
  )
  const isLabel = model.objective === 'multi:softmax'
  const predictions = answers.map((answer): unknown => {
    if (isLabel) return String(answer[0])
    return answer.length === 1 ? answer[0] : answer
  })
  return { features, predictions }
}

/** What a file does not know by name counts as missing, and so it does to its library. */
function cellOf(input: ModelInput, cell: Cell): Cell {
  if (input.type !== 'category' || cell === null) return cell
  const { categories } = input
  if (categories.includes(String(cell))) return String(cell)
  return typeof cell === 'number' ? (categories[Math.trunc(cell)] ?? null) : null
}

const taken = treeFixtures.filter((name) => REFUSED[name] === undefined)

test.each(taken)('%s is taken in, with its library’s own predictions', async (name) => {
  const verdict = await judged(name)
  expect(verdict).toMatchObject({ isAdmitted: true, manifest: { name: 'any' } })
})

test.each(Object.entries(REFUSED))('%s is refused with the reason', async (name, reason) => {
  const verdict = await judged(name)
  expect(verdict).toMatchObject({ isAdmitted: false })
  expect(JSON.stringify(verdict)).toMatch(reason)
})

describe('a prediction that differs', () => {
  test.each([
    ['lightgbm-binary', 2e-6],
    ['lightgbm-multiclass', 2e-6],
    ['lightgbm-regression', 2e-5],
    ['xgboost-tweedie', 2e-4],
  ])('of %s by %d is found', async (name, by) => {
    const verdict = await judged(name, (predictions) => {
      const [first] = predictions
      predictions[0] = Array.isArray(first)
        ? [first[0] + by, ...first.slice(1)]
        : Number(first) + by
    })
    expect(verdict).toMatchObject({
      isAdmitted: false,
      of: 'examples',
      faults: [{ path: ['predictions', 0] }],
    })
  })

  test('of numbers that are all small is found', async () => {
    const { file, inputs, predictions } = await treeFixture('lightgbm-regression')
    // Leaves a hundred million times smaller, and so is what they add up to.
    const small = new TextDecoder().decode(file).replaceAll(
      /^leaf_value=(.*)$/gm,
      (_, values: string) =>
        `leaf_value=${values
          .split(' ')
          .map((value) => Number(value) * 1e-8)
          .join(' ')}`,
    )
    const path = join(directory, 'small')
    await Bun.write(path, small)
    const scaled = predictions.map((each) => [Number(each[0]) * 1e-8])
    const examples = await examplesOf(Buffer.from(small), inputs, scaled)
    const right = await judge({ path, name: 'any', manifest: {}, examples })
    expect(right).toMatchObject({ isAdmitted: true })
    examples.predictions[0] = Number(examples.predictions[0]) + 1e-11
    expect(await judge({ path, name: 'any', manifest: {}, examples })).toMatchObject({
      of: 'examples',
      faults: [{ path: ['predictions', 0] }],
    })
  })

  test('by its label is found, also where labels are numbers', async () => {
    const { file, inputs, predictions } = await treeFixture('lightgbm-binary')
    const path = join(directory, 'labels')
    await Bun.write(path, file)
    const labels = predictions.map(([p]) => [Number(p) > 0.5 ? 1 : 0])
    const examples = await examplesOf(file, inputs, labels)
    const right = await judge({ path, name: 'any', manifest: {}, examples })
    expect(right).toMatchObject({ isAdmitted: true })
    examples.predictions[2] = 1 - Number(examples.predictions[2])
    expect(await judge({ path, name: 'any', manifest: {}, examples })).toMatchObject({
      faults: [{ path: ['predictions', 2] }],
    })
  })

  test('by its label is found', async () => {
    const verdict = await judged('xgboost-softmax', (predictions) => {
      predictions[3] = predictions[3] === '0' ? '1' : '0'
    })
    expect(verdict).toMatchObject({ faults: [{ path: ['predictions', 3] }] })
  })

  test('by a row is found', async () => {
    const verdict = await judged('lightgbm-binary', (predictions) => void predictions.pop())
    expect(JSON.stringify(verdict)).toMatch(/are \d+ where features has \d+ rows/)
  })
})

describe('ONNX', () => {
  const ONNX = join(import.meta.dir, '../../../tests/fixtures/onnx')
  const names = readdirSync(ONNX).filter((name) => name !== 'hostile')

  test.each(names)('%s is taken in, with its library’s own predictions', async (name) => {
    const folder = join(ONNX, name)
    const { inputs, rows, predictions, classes } = (await Bun.file(
      join(folder, 'expected.json'),
    ).json()) as {
      inputs: ModelInput[]
      rows: Cell[][]
      predictions: unknown[]
      classes?: string[]
    }
    const features = rows.map((row) =>
      Object.fromEntries(row.map((cell, at) => [inputs[at]!.name, cell])),
    )
    const said = predictions.map((each) =>
      Array.isArray(each) && each.length === 1 ? each[0] : each,
    )
    const judgeWith = (manifest: Record<string, unknown>, answers: unknown[]) =>
      judge({
        path: join(folder, 'model.onnx'),
        name: 'any',
        manifest,
        examples: { features, predictions: answers },
      })
    const verdict = await judgeWith({ inputs }, said)
    expect(verdict).toMatchObject({ isAdmitted: true })
    if (classes !== undefined) expect(verdict).toMatchObject({ manifest: { classes } })
    const [first] = said
    const other = Array.isArray(first) ? first.toReversed() : Number(first) + 1
    expect(await judgeWith({ inputs }, [other, ...said.slice(1)])).toMatchObject({
      of: 'examples',
      faults: [{ path: ['predictions', 0] }],
    })
  })

  test('whose classes the manifest names otherwise is refused', async () => {
    const path = join(ONNX, 'logistic-strings', 'model.onnx')
    const manifest = { classes: ['middle', 'low', 'hoch é'] }
    const verdict = await judge({ path, name: 'any', manifest, examples: undefined })
    expect(verdict).toMatchObject({ of: 'manifest', faults: [{ path: ['classes'] }] })
    expect(JSON.stringify(verdict)).toMatch(/are not those of the model, in its order/)
  })

  test('whose classes are numbers may have them named, and not exchanged', async () => {
    const path = join(ONNX, 'logistic-binary', 'model.onnx')
    const judgeAs = (classes: string[]) =>
      judge({ path, name: 'any', manifest: { classes }, examples: undefined })
    expect(await judgeAs(['no', 'yes'])).toMatchObject({ isAdmitted: true })
    expect(await judgeAs(['1', '0'])).toMatchObject({ faults: [{ path: ['classes'] }] })
  })

  test('of texts, with nothing said of them, asks for their categories', async () => {
    const path = join(ONNX, 'pipeline', 'model.onnx')
    const verdict = await judge({ path, name: 'any', manifest: {}, examples: undefined })
    expect(JSON.stringify(verdict)).toMatch(
      /port\\" takes text, so its categories have to be given/,
    )
  })

  test.each([
    ['custom-operator', /operator .*Shell.* of .*ai.onnx.contrib/],
    ['cyclic', /not acyclic/],
    ['external-data', /lies in another file/],
    ['gigabyte-declared', /to have 2 × 134217728 values, and the file has not as many/],
    ['truncated', /is broken: at byte \d+ \d+ more bytes are expected/],
  ])('that is hostile (%s) is refused with the reason', async (name, reason) => {
    const path = join(ONNX, 'hostile', `${name}.onnx`)
    const verdict = await judge({ path, name: 'any', manifest: {}, examples: undefined })
    expect(verdict).toMatchObject({ isAdmitted: false, of: 'model' })
    expect(JSON.stringify(verdict)).toMatch(reason)
  })
})

describe('a manifest', () => {
  const judgeWith = async (name: string, manifest: Record<string, unknown>) => {
    const path = join(directory, name)
    await Bun.write(path, (await treeFixture(name)).file)
    return judge({ path, name: 'any', manifest, examples: undefined })
  }
  const pandas = async () => {
    const verdict = await judgeWith('lightgbm-pandas', {})
    if (!verdict.isAdmitted) throw new Error('it was')
    return verdict.manifest.inputs
  }

  test('gets the names of features and categories from the file', async () => {
    expect((await pandas()).find(({ name }) => name === 'island')).toEqual({
      name: 'island',
      type: 'category',
      categories: ['Biscoe', 'Dream', 'Torgersen', 'a "b", c', 'é'],
    })
  })

  test('may list the inputs in any order: that of the file counts', async () => {
    const inputs = await pandas()
    const verdict = await judgeWith('lightgbm-pandas', { inputs: inputs.toReversed() })
    expect(verdict).toMatchObject({ isAdmitted: true, manifest: { inputs } })
  })

  test('with other categories than the file’s is refused', async () => {
    const inputs = (await pandas()).map((input) =>
      input.name === 'island' && input.type === 'category'
        ? { ...input, categories: input.categories.toReversed() }
        : input,
    )
    expect(JSON.stringify(await judgeWith('lightgbm-pandas', { inputs }))).toMatch(
      /are not those of the model/,
    )
  })

  test('may say what the file does not, and what the server decides counts for nothing', async () => {
    const given = { version: '99', file: '../../x', title: 'Any', cache: true, max_batch_rows: 4 }
    expect(await judgeWith('lightgbm-binary', given)).toMatchObject({
      isAdmitted: true,
      manifest: { version: '1', file: 'model.txt', title: 'Any', cache: true, max_batch_rows: 4 },
    })
  })
})
