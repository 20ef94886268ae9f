import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { FIXTURE_MODELS_DIR, type Harness, MODELS_DIR, openHarness } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'

const POINTS = '/v2/models/classification/infer'
const DIAMONDS = '/v2/models/regression/infer'
const FORECAST = '/v2/models/forecast/infer'
const JSON_LENGTH = 'inference-header-content-length'
const ROWS_MAX = 50

/** Two numbers in, one of two classes out, by ONNX. */
let fixture: Harness
/** The shipped ones. */
let shipped: Harness
let outsider: string
beforeAll(async () => {
  fixture = await openHarness({
    MODELS_DIR: FIXTURE_MODELS_DIR,
    PREDICT_ROWS_MAX: String(ROWS_MAX),
  })
  shipped = await openHarness({ MODELS_DIR })
  await fixture.addAccount({ username: 'outsider' })
  outsider = await fixture.logIn('outsider')
  await fixture.request({
    method: 'PUT',
    path: '/api/v1/grants/model/classification',
    body: { team: 'none', principals: [] },
    token: fixture.adminToken,
  })
})
afterAll(async () => {
  await fixture.close()
  await shipped.close()
})

interface Output {
  name: string
  datatype: string
  shape: number[]
  data: unknown[]
}
interface Answer {
  model_name: string
  model_version: string
  id?: string
  outputs: Output[]
}

const x = (name: string, data: unknown[], more: object = {}) => ({
  name,
  datatype: 'FP64',
  shape: [data.length, 1],
  data,
  ...more,
})
const two = [x('x1', [1, 6]), x('x2', [2, 6])]

async function infer(body: object, path = POINTS, at = fixture): Promise<Answer> {
  const response = await at.request({ path, body, token: at.adminToken })
  const text = await response.text()
  expect({ status: response.status, text }).toEqual({ status: 200, text: expect.any(String) })
  return JSON.parse(text) as Answer
}
const outputOf = ({ outputs }: Answer, name: string) =>
  outputs.find((output) => output.name === name)!

describe('refused, each by an error in one sentence', () => {
  const refused = (name: string, body: unknown, status: number, error: string | RegExp): Row => ({
    name,
    as: 'admin',
    path: POINTS,
    method: 'POST',
    body,
    status,
    ownError: error,
  })
  const matrix = (shape: number[], data: unknown[]) => ({
    inputs: [{ name: 'features', datatype: 'FP64', shape, data }],
  })
  testRequests(
    () => fixture,
    [
      { ...refused('no token', { inputs: two }, 401, /./), as: '' },
      {
        ...refused('a model that is none', { inputs: two }, 404, 'no model "nothing"'),
        path: '/v2/models/nothing/infer',
      },
      {
        ...refused(
          'a model that one may not use',
          { inputs: two },
          404,
          'no model "classification"',
        ),
        as: 'outsider',
      },
      {
        ...refused('another version', { inputs: two }, 404, 'no version 7'),
        path: '/v2/models/classification/versions/7/infer',
      },
      { ...refused('an address that is none', {}, 404, 'There is no /v2/nope'), path: '/v2/nope' },
      {
        ...refused('another method', undefined, 405, 'answers POST'),
        path: POINTS,
        method: 'GET',
      },
      refused('no JSON', '{"inputs":', 400, 'not valid JSON'),
      refused('no inputs', { inputs: [] }, 400, 'no inputs'),
      refused('an unknown member', { inputs: two, role: 'admin' }, 400, 'role'),
      refused('a column too few', { inputs: [two[0]] }, 400, 'x2'),
      refused('a column that is none', { inputs: [...two, x('x3', [1, 2])] }, 400, 'x3'),
      refused('a column twice', { inputs: [...two, two[0]] }, 400, 'stands twice'),
      refused('other numbers of rows', { inputs: [x('x1', [1]), two[1]] }, 400, '2 rows where'),
      refused(
        'rows without end, of no values',
        matrix([2 ** 31, 0], []),
        400,
        'at most 50 go in one request',
      ),
      refused(
        'too few values',
        { inputs: [x('x1', [1], { shape: [2, 1] }), two[1]] },
        400,
        '1 values',
      ),
      refused(
        'another nesting',
        { inputs: [x('x1', [[1], [2, 3]], { shape: [2, 1] }), two[1]] },
        400,
        'not nested',
      ),
      refused('a text in FP64', { inputs: [x('x1', ['1', 2]), two[1]] }, 400, 'Value 0 of "x1"'),
      refused(
        'a fraction in INT32',
        { inputs: [x('x1', [1.5, 2], { datatype: 'INT32' }), two[1]] },
        400,
        'no INT32',
      ),
      refused(
        '300 in UINT8',
        { inputs: [x('x1', [300, 2], { datatype: 'UINT8' }), two[1]] },
        400,
        'no UINT8',
      ),
      refused(
        '2^53 in INT64',
        { inputs: [x('x1', [2 ** 53, 2], { datatype: 'INT64' }), two[1]] },
        400,
        'no INT64',
      ),
      refused(
        'a datatype that is none',
        { inputs: [x('x1', [1, 2], { datatype: 'FP8' }), two[1]] },
        400,
        'datatype',
      ),
      refused(
        'BYTES where numbers are',
        { inputs: [x('x1', ['1', '2'], { datatype: 'BYTES' }), two[1]] },
        400,
        'x1',
      ),
      refused(
        'a shape of a billion',
        { inputs: [x('x1', [1, 2], { shape: [1e9, 1] }), two[1]] },
        400,
        '1000000000',
      ),
      refused(
        'a shape beyond all numbers',
        { inputs: [x('x1', [1], { shape: [1e15, 1e15] })] },
        400,
        'would have',
      ),
      refused('a shape below zero', { inputs: [x('x1', [1], { shape: [-1, 1] })] }, 400, 'shape'),
      refused('no shape', { inputs: [x('x1', [1], { shape: [] })] }, 400, '0 dimensions'),
      refused(
        'nine dimensions',
        { inputs: [x('x1', [1], { shape: Array(9).fill(1) })] },
        400,
        '9 dimensions',
      ),
      refused('a matrix of another width', matrix([1, 3], [1, 2, 3]), 400, 'not numbers [rows, 2]'),
      refused(
        'an output that is none',
        { inputs: two, outputs: [{ name: 'y' }] },
        400,
        'no output "y"',
      ),
      refused(
        'a priority that is none',
        { inputs: two, parameters: { priority: -1 } },
        400,
        'priority',
      ),
      refused(
        'too many rows',
        { inputs: [x('x1', Array(ROWS_MAX + 1).fill(1)), x('x2', Array(ROWS_MAX + 1).fill(1))] },
        400,
        `at most ${ROWS_MAX}`,
      ),
      {
        ...refused(
          'a length of the JSON beyond the body',
          { inputs: two },
          400,
          'Inference-Header',
        ),
        headers: { [JSON_LENGTH]: '99999' },
      },
      {
        ...refused('a length that is none', { inputs: two }, 400, 'Inference-Header'),
        headers: { [JSON_LENGTH]: 'x' },
      },
      refused(
        'bytes that are not there',
        {
          inputs: [
            { name: 'x1', datatype: 'FP64', shape: [1], parameters: { binary_data_size: 8 } },
          ],
        },
        400,
        '0 are left',
      ),
      refused(
        'both data and bytes',
        { inputs: [x('x1', [1, 2], { parameters: { binary_data_size: 0 } })] },
        400,
        'both',
      ),
    ],
    () => ({ outsider }),
  )
})

describe('a model is told of', () => {
  test('by its tensors', async () => {
    const path = '/v2/models/classification'
    for (const each of [path, `${path}/versions/1`]) {
      const response = await fixture.request({ path: each, token: fixture.adminToken })
      expect(await response.json()).toEqual({
        name: 'classification',
        versions: ['1'],
        platform: 'onnx_onnxv1',
        inputs: [
          { name: 'x1', datatype: 'FP64', shape: [-1, 1] },
          { name: 'x2', datatype: 'FP64', shape: [-1, 1] },
        ],
        outputs: [
          { name: 'class', datatype: 'BYTES', shape: [-1, 1] },
          { name: 'probabilities', datatype: 'FP64', shape: [-1, 2] },
        ],
      })
    }
  })

  testRequests(
    () => fixture,
    [
      { name: 'live, to everybody', path: '/v2/health/live', status: 200, has: { live: true } },
      { name: 'ready, to everybody', path: '/v2/health/ready', status: 200, has: { ready: true } },
      {
        name: 'what the server is',
        path: '/v2',
        status: 200,
        has: { name: 'quintet', extensions: expect.arrayContaining(['binary_tensor_data']) },
      },
      {
        name: 'ready, a model',
        as: 'admin',
        path: '/v2/models/classification/ready',
        status: 200,
        has: { name: 'classification', ready: true },
      },
      {
        name: 'not to who may not use it',
        as: 'outsider',
        path: '/v2/models/classification/ready',
        status: 404,
        ownError: 'no model "classification"',
      },
      {
        name: 'in no list of who may not use it',
        as: 'outsider',
        path: '/v2/repository/index',
        method: 'POST',
        body: {},
        status: 200,
        mustNotContain: ['classification'],
      },
    ],
    () => ({ outsider }),
  )

  test('in the index of the repository', async () => {
    const path = '/v2/repository/index'
    for (const body of [{}, { ready: true }, undefined]) {
      const response = await fixture.request({
        method: 'POST',
        path,
        body,
        token: fixture.adminToken,
      })
      expect(await response.json()).toEqual([
        { name: 'classification', version: '1', state: 'READY', reason: '' },
      ])
    }
  })
})

describe('the same is answered', () => {
  test('as by /api/v1/predict, whatever form the rows have', async () => {
    const predicted = await fixture.request({
      path: '/api/v1/predict',
      body: { model_type: 'classification', features: { x1: [1, 6], x2: [2, 6] } },
      token: fixture.adminToken,
    })
    const { predictions, probabilities } = (await predicted.json()) as {
      predictions: string[]
      probabilities: Record<string, number>[]
    }
    const rows = [1, 2, 6, 6]
    const matrix = { name: 'features', datatype: 'FP64', shape: [2, 2] }
    for (const inputs of [
      two,
      two.toReversed(),
      [x('x1', [[1], [6]], { shape: [2, 1] }), x('x2', [2, 6], { shape: [2] })],
      [x('x1', [1, 6], { datatype: 'UINT8' }), x('x2', [2, 6], { datatype: 'INT64' })],
      [{ ...matrix, data: rows }],
      [
        {
          ...matrix,
          data: [
            [1, 2],
            [6, 6],
          ],
        },
      ],
      [{ ...matrix, datatype: 'FP32', data: rows }],
    ]) {
      const answer = await infer({ id: 'a1', inputs })
      expect(answer).toMatchObject({ model_name: 'classification', model_version: '1', id: 'a1' })
      expect(outputOf(answer, 'class').data).toEqual(predictions)
      expect(outputOf(answer, 'probabilities')).toMatchObject({ datatype: 'FP64', shape: [2, 2] })
      expect(outputOf(answer, 'probabilities').data).toEqual(
        probabilities.flatMap((each) => Object.values(each)),
      )
    }
  })

  test('of the outputs that are asked for, and with the best classes', async () => {
    const outputs = [{ name: 'class', parameters: { classification: 1 } }]
    const answer = await infer({ inputs: two, outputs })
    expect(answer.outputs).toHaveLength(1)
    expect(answer).not.toHaveProperty('id')
    expect(answer.outputs[0]).toMatchObject({ name: 'class', datatype: 'BYTES', shape: [2, 1] })
    expect(answer.outputs[0]!.data).toEqual([
      expect.stringMatching(/^0\.\d+:0:negative$/),
      expect.stringMatching(/^0\.\d+:1:positive$/),
    ])
    const all = await infer({
      inputs: two,
      outputs: [{ name: 'probabilities', parameters: { classification: 9 } }],
    })
    expect(all.outputs[0]!.shape).toEqual([2, 2])
  })

  test('with null for what is missing, and categories by name', async () => {
    const numbers = { carat: 0.31, depth: null, table: 55, x: 4.35, y: 4.37, z: 2.68 }
    const categories = { cut: 'Ideal', color: 'E', clarity: 'SI1' }
    const inputs = [
      ...Object.entries(numbers).map(([name, value]) => x(name, [value])),
      ...Object.entries(categories).map(([name, value]) => x(name, [value], { datatype: 'BYTES' })),
    ]
    const answer = await infer({ inputs }, DIAMONDS, shipped)
    const predicted = await shipped.request({
      path: '/api/v1/predict',
      body: { model_type: 'regression', features: [{ ...numbers, ...categories }] },
      token: shipped.adminToken,
    })
    const { predictions } = (await predicted.json()) as { predictions: number[] }
    expect(outputOf(answer, 'price')).toEqual({
      name: 'price',
      datatype: 'FP64',
      shape: [1, 1],
      data: predictions,
    })
  })

  test.each([null, ''])('with %j for a category that is missing', async (missing) => {
    const penguin = {
      bill_length_mm: 46.5,
      bill_depth_mm: 14.8,
      flipper_length_mm: 217,
      body_mass_g: 5200,
    }
    const inputs = [
      ...Object.entries(penguin).map(([name, value]) => x(name, [value])),
      x('island', ['Biscoe'], { datatype: 'BYTES' }),
      x('sex', [missing], { datatype: 'BYTES' }),
    ]
    const answer = await infer({ inputs }, POINTS, shipped)
    const predicted = await shipped.request({
      path: '/api/v1/predict',
      body: {
        model_type: 'classification',
        features: [{ ...penguin, island: 'Biscoe', sex: null }],
      },
      token: shipped.adminToken,
    })
    const { probabilities } = (await predicted.json()) as { probabilities: object[] }
    expect(outputOf(answer, 'probabilities').data).toEqual(Object.values(probabilities[0]!))
  })

  test('over the horizon of a forecast, with its intervals', async () => {
    const history = Array.from({ length: 36 }, (_, month) => 370 + month / 6)
    const inputs = [
      x('history', [...history, ...history.map((value) => value + 1)], { shape: [2, 36] }),
    ]
    const answer = await infer({ inputs }, FORECAST, shipped)
    expect(answer.outputs.map(({ name }) => name)).toEqual([
      'co2',
      'co2_lower_80',
      'co2_upper_80',
      'co2_lower_95',
      'co2_upper_95',
    ])
    const predicted = await shipped.request({
      path: '/api/v1/predict',
      body: {
        model_type: 'forecast',
        features: { history: [history, history.map((value) => value + 1)], horizon: 24 },
      },
      token: shipped.adminToken,
    })
    const { predictions, intervals } = (await predicted.json()) as {
      predictions: number[][]
      intervals: { lower: number[]; upper: number[] }[][]
    }
    const bounds = [0, 1].flatMap((level) =>
      (['lower', 'upper'] as const).map((bound) => intervals.flatMap((row) => row[level]![bound])),
    )
    expect(answer.outputs.map(({ data }) => data)).toEqual([predictions.flat(), ...bounds])
    for (const { datatype, shape } of answer.outputs) {
      expect({ datatype, shape }).toEqual({ datatype: 'FP64', shape: [2, 24] })
    }
    const one = [{ name: 'co2_upper_95' }]
    const alone = await infer({ inputs, outputs: one }, FORECAST, shipped)
    expect(alone.outputs).toEqual([outputOf(answer, 'co2_upper_95')])
    const told = await shipped.request({ path: '/v2/models/forecast', token: shipped.adminToken })
    expect(await told.json()).toMatchObject({
      outputs: answer.outputs.map(({ name }) => ({ name, datatype: 'FP64', shape: [-1, 24] })),
    })
  })

  test('with the times of a forecast, where the request tells of some', async () => {
    const history = x('history', [370, 371, 372, 371, 372, 373], { shape: [2, 3] })
    const last = (data: unknown[], more: object = {}) =>
      x('last_timestamp', data, { datatype: 'BYTES', shape: [2], ...more })
    const days = ['2026-01-01', '2026-01-02', '2026-01-03']
    const epochs = [...days, ...days].map((day) => Date.parse(day) / 1000)
    const timesOf = async (tensor: object) => {
      const answer = await infer({ inputs: [history, tensor] }, FORECAST, shipped)
      const { datatype, shape, data } = outputOf(answer, 'timestamps')
      expect({ datatype, shape }).toEqual({ datatype: 'BYTES', shape: [2, 24] })
      expect(answer.outputs).toHaveLength(6)
      return [data[0], data[1], data[24]]
    }
    const monthly = ['2026-02-28', '2026-03-31', '2026-03-28'].map((day) => `${day}T00:00:00.000Z`)
    const daily = ['2026-01-04', '2026-01-05', '2026-01-04'].map((day) => `${day}T00:00:00.000Z`)
    expect(await timesOf(last(['2026-01-31', '2026-02-28']))).toEqual(monthly)
    expect(await timesOf(last(['2026-01-31', '2026-02-28'], { shape: [2, 1] }))).toEqual(monthly)
    const all = { datatype: 'BYTES', shape: [2, 3] }
    expect(await timesOf(x('timestamps', [...days, ...days], all))).toEqual(daily)
    expect(await timesOf(x('timestamps', epochs, { datatype: 'INT64', shape: [2, 3] }))).toEqual(
      daily,
    )
    const outputs = [{ name: 'timestamps' }]
    const request = { inputs: [history, last(['2026-01-31', '2026-02-28'])], outputs }
    expect((await infer(request, FORECAST, shipped)).outputs).toHaveLength(1)
  })

  const forecast = (name: string, tensor: object[], outputs: object[], error: string): Row => ({
    name,
    as: 'admin',
    path: FORECAST,
    body: { inputs: [x('history', [370, 371, 372], { shape: [1, 3] }), ...tensor], outputs },
    status: 400,
    ownError: error,
  })
  testRequests(
    () => shipped,
    [
      forecast(
        'but no time that is none',
        [x('last_timestamp', ['soon'], { datatype: 'BYTES' })],
        [{ name: 'co2' }],
        '#/last_timestamp/0: expected a time such as',
      ),
      forecast(
        'but no times that are not regular',
        [
          x('timestamps', ['2026-01-01', '2026-01-02', '2026-01-04'], {
            datatype: 'BYTES',
            shape: [1, 3],
          }),
        ],
        [{ name: 'co2' }],
        '#/timestamps/0/2: expected 2026-01-03T00:00:00.000Z',
      ),
      forecast('but no times of none', [], [{ name: 'timestamps' }], 'no output "timestamps"'),
    ],
  )

  test('within the time that the request allows, and before others', async () => {
    const parameters = { timeout: 5_000_000, priority: 1 }
    expect((await infer({ inputs: two, parameters })).outputs).toHaveLength(2)
  })
})

test('counts and times are told, of each model and of all', async () => {
  const stats = async (path: string) => {
    const response = await fixture.request({ path, token: fixture.adminToken })
    return (await response.json()) as {
      model_stats: {
        inference_count: number
        execution_count: number
        last_inference: number
        inference_stats: Record<string, { count: number; ns: number }>
        batch_stats: { batch_size: number; compute_infer: { count: number; ns: number } }[]
      }[]
    }
  }
  const path = '/v2/models/classification/stats'
  const [before] = (await stats(path)).model_stats
  // New rows, which no cache knows.
  await infer({ inputs: [x('x1', [1.25, 3.5, 2.75]), x('x2', [0.125, 0.25, 0.5])] })
  const [after] = (await stats(path)).model_stats
  expect(after!.inference_count - before!.inference_count).toBe(3)
  expect(after!.execution_count - before!.execution_count).toBe(1)
  expect(after!.inference_stats['success']!.count - before!.inference_stats['success']!.count).toBe(
    1,
  )
  expect(after!.inference_stats['compute_infer']!.ns).toBeGreaterThan(
    before!.inference_stats['compute_infer']!.ns,
  )
  expect(after!.last_inference).toBeGreaterThan(0)
  expect(after!.batch_stats.find(({ batch_size }) => batch_size === 3)!.compute_infer.count).toBe(1)
  expect((await stats('/v2/models/stats')).model_stats).toEqual([after!])
  const metrics = await fixture.request({ path: '/metrics', token: fixture.adminToken })
  const text = await metrics.text()
  for (const name of ['prediction_queue_seconds_count', 'prediction_compute_seconds_count']) {
    expect(text).toMatch(new RegExp(`${name}\\{model="classification",version="1"\\} [1-9]`))
  }
})
