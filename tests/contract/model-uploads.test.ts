import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import { FIXTURE_MODELS_DIR, type Harness, openHarness } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'
import { treeFixture, upload, uploadOf } from '../support/uploads.ts'

const MODELS = '/api/v1/models'
const MODEL_BYTES_MAX = 2_000_000
const EXAMPLES_BYTES_MAX = 100_000
const QUOTA_BYTES = 3_300_000

const binary = await treeFixture('lightgbm-binary')
const text = new TextDecoder().decode(binary.file)
const NAMED = { name: 'churn' }

let harness: Harness
let ada: string
let viewer: string
beforeAll(async () => {
  harness = await openHarness({
    MODEL_BYTES_MAX: String(MODEL_BYTES_MAX),
    MODEL_EXAMPLES_BYTES_MAX: String(EXAMPLES_BYTES_MAX),
    MODELS_PER_OWNER_BYTES_MAX: String(QUOTA_BYTES),
    MODEL_ADMISSION_TIMEOUT_MS: '20000',
  })
  await harness.addAccount({ username: 'ada', role: 'editor' })
  await harness.addAccount({ username: 'viewer' })
  ada = await harness.logIn('ada')
  viewer = await harness.logIn('viewer')
})
afterAll(() => harness.close())

const tokens = () => ({ ada, viewer })
const rowOf = async (
  name: string,
  parts: Parameters<typeof uploadOf>[0],
  rest: Partial<Row> & Pick<Row, 'status'>,
  query?: string,
): Promise<Row> => ({ name, as: 'ada', ...(await uploadOf(parts, query)), ...rest })

/** A tree that is a list. */
function deepTree(splits: number): string {
  const list = (value: (at: number) => number | string, length: number) =>
    Array.from({ length }, (_, at) => value(at)).join(' ')
  return [
    'tree',
    'version=v4',
    'num_class=1',
    'num_tree_per_iteration=1',
    'label_index=0',
    'max_feature_idx=0',
    'objective=regression',
    'feature_names=Column_0',
    'feature_infos=[0:1]',
    '',
    'Tree=0',
    `num_leaves=${splits + 1}`,
    'num_cat=0',
    `split_feature=${list(() => 0, splits)}`,
    `split_gain=${list(() => 1, splits)}`,
    `threshold=${list((at) => at, splits)}`,
    `decision_type=${list(() => 2, splits)}`,
    `left_child=${list((at) => ~at, splits)}`,
    `right_child=${list((at) => (at + 1 < splits ? at + 1 : ~splits), splits)}`,
    `leaf_value=${list(() => 1, splits + 1)}`,
    `leaf_count=${list(() => 1, splits + 1)}`,
    `internal_count=${list(() => 2, splits)}`,
    '',
    'end of trees',
    '',
  ].join('\n')
}

const raw = (
  name: string,
  body: string | ReadableStream,
  rest: Partial<Row> & Pick<Row, 'status'>,
): Row => ({
  name,
  as: 'ada',
  method: 'POST',
  path: `${MODELS}?name=churn`,
  headers: { 'content-type': 'application/octet-stream' },
  body,
  ...rest,
})
const bytes = (content: Uint8Array<ArrayBuffer>) => new Blob([content]).stream()

const refusals: Row[] = [
  raw('who has not said who they are', text, { as: '', status: 401 }),
  raw('who may only predict', text, { as: 'viewer', status: 403, contains: ['models:write'] }),
  raw('a form, as curl sends what it was told nothing of', text, {
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    status: 415,
    contains: ['application/octet-stream'],
  }),
  raw('no name', text, { path: MODELS, status: 422, contains: ['#/name', 'is missing'] }),
  ...['', 'Churn', '-a', '../etc', 'a'.repeat(65)].map((name) =>
    raw(`the name ${JSON.stringify(name.slice(0, 10))}`, text, {
      path: `${MODELS}?name=${encodeURIComponent(name)}`,
      status: 422,
      contains: ['#/name'],
    }),
  ),
  raw('a query that there is not', text, {
    path: `${MODELS}?name=churn&role=admin`,
    status: 422,
    contains: ['#/query/role'],
  }),
  raw('a team right that there is not', text, {
    path: `${MODELS}?name=churn&team=own`,
    status: 422,
    contains: ['#/query/team'],
  }),
  raw('an empty file', '', { status: 422, contains: ['#/model: The file is empty'] }),
  raw('a text', 'tree of life', { status: 422, contains: ['no model that is known here'] }),
  raw('random bytes', bytes(crypto.getRandomValues(new Uint8Array(20_000))), {
    status: 422,
    contains: ['#/model: '],
  }),
  raw('what breaks off', text.slice(0, text.length / 2), {
    status: 422,
    contains: ['it has no \\"end of trees\\"'],
  }),
  raw('JSON that is no model', '{"learner": 1}', { status: 422, contains: ['#/model: '] }),
  raw('a list of ten thousand lists', '{"a":' + '['.repeat(10_000), {
    status: 422,
    contains: ['begins as JSON and is none'],
  }),
  raw('a gzip bomb', bytes(Bun.gzipSync(new Uint8Array(100_000_000))), {
    status: 422,
    contains: ['compressed by gzip'],
  }),
  raw('a body that says it is compressed', text, {
    headers: { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' },
    status: 415,
  }),
  raw('a tree that is 10,000 splits deep', deepTree(10_000), {
    status: 422,
    contains: ['deeper than 1000 splits'],
  }),
  raw('a file that is too large', 'x'.repeat(MODEL_BYTES_MAX + 1), {
    status: 413,
    contains: [`at most ${MODEL_BYTES_MAX} bytes`],
  }),
  await rowOf(
    'a part that is too large',
    { model: 'x'.repeat(MODEL_BYTES_MAX + 1), manifest: NAMED },
    {
      status: 413,
      contains: [`at most ${MODEL_BYTES_MAX} bytes`],
    },
  ),
  await rowOf(
    'a manifest that is too large',
    { model: text, manifest: { ...NAMED, title: 'x'.repeat(EXAMPLES_BYTES_MAX) } },
    {
      status: 422,
      contains: ['#/manifest', `more than ${EXAMPLES_BYTES_MAX} bytes`],
    },
  ),
  await rowOf('no file', { manifest: NAMED }, { status: 422, contains: ['#/model: is missing'] }),
  await rowOf(
    'a part that there is not',
    { model: text, manifest: NAMED, owner_id: 'x' },
    {
      status: 422,
      contains: ['#/owner_id', 'expected model, manifest and examples'],
    },
  ),
  await rowOf(
    'a manifest that is no JSON',
    { model: text, manifest: '{' },
    {
      status: 422,
      contains: ['#/manifest: is not valid JSON'],
    },
  ),
  await rowOf(
    'a manifest that is a list',
    { model: text, manifest: [] },
    {
      status: 422,
      contains: ['#/manifest: is no object'],
    },
  ),
  await rowOf(
    'what no manifest has',
    { model: text, manifest: { ...NAMED, owner_id: 'x' } },
    {
      status: 422,
      contains: ['#/manifest', 'owner_id'],
    },
  ),
  await rowOf(
    'another kind than the file',
    { model: text, manifest: { ...NAMED, kind: 'regression' } },
    {
      status: 422,
      contains: ['#/manifest/kind: is regression where the file is of a classification'],
    },
  ),
  await rowOf(
    'a class too many',
    { model: text, manifest: { ...NAMED, classes: ['a', 'b', 'c'] } },
    {
      status: 422,
      contains: ['#/manifest/classes: means 3 values a row where the model answers 2'],
    },
  ),
  await rowOf(
    'an input too few',
    { model: text, manifest: { ...NAMED, inputs: [{ name: 'a', type: 'number' }] } },
    {
      status: 422,
      contains: ['#/manifest/inputs/0/name: the model has no feature'],
    },
  ),
  await rowOf(
    'an example that does not fit',
    { model: text, manifest: { ...NAMED, example: { age: 3 } } },
    { status: 422, contains: ['#/manifest/example/age: the model has no such column'] },
  ),
  await rowOf(
    'examples without predictions',
    { model: text, manifest: NAMED, examples: { features: [] } },
    {
      status: 422,
      contains: ['#/examples/predictions'],
    },
  ),
  await rowOf(
    'examples of other columns',
    { model: text, manifest: NAMED, examples: { features: [{ age: 3 }], predictions: [0.5] } },
    {
      status: 422,
      contains: ['#/examples/features/0/age: the model has no such column'],
    },
  ),
  await rowOf(
    'predictions that are none',
    { model: text, manifest: NAMED, examples: { features: [{}], predictions: ['perhaps'] } },
    {
      status: 422,
      contains: ['#/examples/predictions/0: expected one of 0, 1'],
    },
  ),
  await rowOf(
    'a multipart body without a boundary',
    { model: text },
    {
      headers: { 'content-type': 'multipart/form-data; charset=utf-8' },
      status: 400,
    },
  ),
  {
    name: 'a multipart body that breaks off',
    as: 'ada',
    method: 'POST',
    path: MODELS,
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
    body: '--x\r\ncontent-disposition: form-data; name="model"; filename="m"\r\n\r\ntree\n',
    status: 400,
    contains: ['broken off'],
  },
  {
    name: 'a multipart body of eleven parts',
    as: 'ada',
    method: 'POST',
    path: MODELS,
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
    body: `${Array.from({ length: 11 }, (_, at) => `--x\r\ncontent-disposition: form-data; name="p${at}"\r\n\r\n1\r\n`).join('')}--x--\r\n`,
    status: 422,
    contains: ['#/p0'],
  },
]

describe('refused is', () => {
  testRequests(() => harness, refusals, tokens)

  test('with nothing left behind', async () => {
    const directory = harness.platform.config.DATA_DIR
    expect(readdirSync(join(directory, 'uploads'))).toEqual([])
    const stored = await harness.platform.storage.list({ prefix: 'models/' })
    // That of the folder of models.
    expect(stored.files).toHaveLength(1)
    expect(existsSync(join(FIXTURE_MODELS_DIR, 'classification', '1', 'model.onnx'))).toBe(true)
  })
})

describe('an upload', () => {
  const rowsOf = (names: readonly string[], rows: readonly (readonly unknown[])[]) =>
    rows.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at]])))
  const features = rowsOf(binaryNames(), binary.inputs)
  const predictions = binary.predictions.map(([p]) => p)

  test('serves at once, under a number, with what the file says of itself', async () => {
    const { status, body, location } = await upload(
      harness,
      {
        model: binary.file,
        manifest: { name: 'first', classes: ['stays', 'leaves'] },
        examples: { features, predictions },
      },
      { token: ada },
    )
    expect([status, location]).toEqual([201, '/api/v1/models/first/versions/1'])
    expect(body).toMatchObject({
      version: 1,
      format: 'lightgbm',
      is_loaded: true,
      examples: predictions.length,
    })
    const predicted = await harness.request({
      path: '/api/v1/predict',
      body: { model_type: 'first', features: features.slice(0, 3) },
      token: ada,
    })
    const shown = await harness.request({ path: `${MODELS}/first`, token: ada })
    const card = (await shown.json()) as Record<string, unknown>
    expect(card).toMatchObject({ classes: ['stays', 'leaves'] })
    // What came along to be replayed was somebody's data.
    expect(card['example']).toBeUndefined()
    expect(await predicted.json()).toMatchObject({
      probabilities: predictions.slice(0, 3).map((p) => ({ leaves: expect.closeTo(Number(p), 9) })),
      model_version: '1',
    })
    await harness.published()
    expect(harness.events.at(-1)).toMatchObject({
      type: 'models.version_added',
      data: { name: 'first', version: 1, actor_id: expect.any(String) },
    })
  })

  test('is its owner’s alone, unless it says otherwise', async () => {
    const ask = (token: string, name: string) =>
      harness.request({
        path: '/api/v1/predict',
        body: { model_type: name, features: features.slice(0, 1) },
        token,
      })
    await upload(harness, { model: text }, { token: ada, query: '?name=shared&team=read' })
    expect([(await ask(viewer, 'first')).status, (await ask(viewer, 'shared')).status]).toEqual([
      404, 200,
    ])
    const eve = await harness
      .addAccount({ username: 'eve', role: 'editor' })
      .then(() => harness.logIn('eve'))
    const again = (name: string) =>
      upload(harness, { model: text }, { token: eve, query: `?name=${name}` })
    expect(await again('first')).toMatchObject({
      status: 409,
      body: { detail: 'The name first is taken.' },
    })
    expect(await again('shared')).toMatchObject({ status: 403 })
    const card = await harness.request({ path: `${MODELS}/shared`, token: viewer })
    expect(await card.json()).toMatchObject({ owner: { kind: 'user', name: 'ada' } })
  })

  test('of what the newest version is makes no other; any difference does', async () => {
    const again = (manifest: object) =>
      upload(harness, { model: text, manifest: { name: 'again', ...manifest } }, { token: ada })
    const answers = [
      await again({}),
      await again({}),
      await again({ title: 'Again' }),
      await again({}),
    ]
    expect(answers.map(({ status, body }) => [status, body['version']])).toEqual([
      [201, 1],
      [200, 1],
      [201, 2],
      [201, 3],
    ])
    const stored = await harness.platform.storage.list({ prefix: 'models/' })
    // One of the folder, first, shared, and three of these.
    expect(stored.files).toHaveLength(6)
  })

  test('whose predictions differ is refused, and the worst row named', async () => {
    const wrong = predictions.map((p, at) =>
      at === 5 ? Number(p) + 0.01 : at === 9 ? Number(p) + 0.2 : p,
    )
    const { status, body } = await upload(
      harness,
      {
        model: binary.file,
        manifest: { name: 'wrong' },
        examples: { features, predictions: wrong },
      },
      { token: ada },
    )
    expect(status).toBe(422)
    expect(String(body['detail'])).toMatch(
      /^#\/examples\/predictions\/9: the library said .* where the server says .* \(the worst of 2 that differ\)$/,
    )
    expect((await harness.request({ path: `${MODELS}/wrong`, token: ada })).status).toBe(404)
  })

  test('of several numbers a row answers each by its name', async () => {
    const quantiles = await treeFixture('xgboost-quantiles')
    const outputs = ['low', 'middle', 'high'].map((name) => ({ name, type: 'number' }))
    const { learner } = JSON.parse(new TextDecoder().decode(quantiles.file))
    const names = learner.feature_names as string[]
    const examples = {
      features: rowsOf(names, quantiles.inputs),
      predictions: quantiles.predictions,
    }
    const added = await upload(
      harness,
      { model: quantiles.file, manifest: { name: 'quantiles', outputs }, examples },
      { token: ada },
    )
    expect(added).toMatchObject({ status: 201, body: { examples: examples.predictions.length } })
    const ask = async (path: string, body: unknown, accept?: string) => {
      const headers = accept === undefined ? undefined : { accept }
      return (await harness.request({ path, body, token: ada, headers })).text()
    }
    const [first] = examples.features
    const predicted = JSON.parse(
      await ask('/api/v1/predict', { model_type: 'quantiles', features: [first] }),
    )
    expect(predicted.predictions).toEqual([
      [expect.any(Number), expect.any(Number), expect.any(Number)],
    ])
    const [low, middle, high] = predicted.predictions[0]
    expect(JSON.parse(await ask(`${MODELS}/quantiles/predict`, [first]))).toEqual([
      { low, middle, high },
    ])
    expect(await ask(`${MODELS}/quantiles/predict`, [first], 'text/csv')).toBe(
      `low,middle,high\r\n${low},${middle},${high}\r\n`,
    )
    const inputs = [
      { name: 'features', datatype: 'FP64', shape: [1, names.length], data: quantiles.inputs[0] },
    ]
    const inferred = JSON.parse(await ask('/v2/models/quantiles/infer', { inputs }))
    expect(
      inferred.outputs.map(({ name, data }: { name: string; data: number[] }) => [name, ...data]),
    ).toEqual([
      ['low', low],
      ['middle', middle],
      ['high', high],
    ])
  })

  test('of a model that takes whole numbers refuses others before it is asked', async () => {
    const folder = join(import.meta.dir, '../fixtures/onnx/every-type')
    const { inputs, rows } = (await Bun.file(join(folder, 'expected.json')).json()) as {
      inputs: { name: string; type: string }[]
      rows: unknown[][]
    }
    const model = await Bun.file(join(folder, 'model.onnx')).bytes()
    const added = await upload(
      harness,
      { model, manifest: { name: 'types', inputs } },
      { token: ada },
    )
    expect(added).toMatchObject({ status: 201, body: { format: 'onnx' } })
    const card = await harness.request({ path: `${MODELS}/types`, token: ada })
    const { inputs: shown } = (await card.json()) as {
      inputs: { name: string; integer?: boolean }[]
    }
    const whole = shown.filter(({ integer }) => integer).map(({ name }) => name)
    expect(whole.length).toBeGreaterThan(1)
    const [features] = rowsOf(
      inputs.map(({ name }) => name),
      rows,
    )
    const ask = async (changed: Record<string, unknown>) => {
      const body = { model_type: 'types', features: [{ ...features, ...changed }] }
      return harness.request({ path: '/api/v1/predict', body, token: ada })
    }
    expect((await ask({})).status).toBe(200)
    for (const value of [null, 1.5, 'x']) {
      const answer = await ask({ [whole[0]!]: value })
      expect([answer.status, await answer.text()]).toEqual([
        422,
        expect.stringContaining('expected a whole number'),
      ])
    }
  })

  test('beyond the quota of its owner is refused, until versions are removed', async () => {
    const padded = (at: number) => `${text}\n# ${'x'.repeat(900_000)}${at}`
    const add = (at: number) =>
      upload(harness, { model: padded(at) }, { token: ada, query: '?name=large' })
    const statuses = [await add(1), await add(2), await add(3), await add(4)].map(
      ({ status }) => status,
    )
    expect(statuses).toEqual([201, 201, 201, 413])
    const remove = (version: number) =>
      harness.request({ method: 'DELETE', path: `${MODELS}/large/versions/${version}`, token: ada })
    expect([(await remove(3)).status, (await remove(1)).status]).toEqual([409, 204])
    expect(await add(4)).toMatchObject({ status: 201, body: { version: 4 } })
    // Who owns others is not concerned.
    expect(await upload(harness, { model: padded(1) }, { query: '?name=of-admin' })).toMatchObject({
      status: 201,
    })
  })
})

function binaryNames(): string[] {
  const [, names = ''] = /^feature_names=(.*)$/m.exec(text)!
  return names.split(' ')
}
