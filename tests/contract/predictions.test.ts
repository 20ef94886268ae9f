import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { FIXTURE_MODELS_DIR, type Harness, MODELS_DIR, openHarness } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'

const PREDICT = '/api/v1/predict'
const BATCH = '/api/v1/predict/batch'
const ROWS_MAX = 50

let harness: Harness
beforeAll(async () => {
  harness = await openHarness({ MODELS_DIR, PREDICT_ROWS_MAX: String(ROWS_MAX) })
})
afterAll(() => harness.close())

/** The fixture model has two numbers, x1 and x2. */
let fixture: Harness
beforeAll(async () => {
  fixture = await openHarness({
    PREDICT_ROWS_MAX: String(ROWS_MAX),
    PREDICT_BATCHES_MAX: '30',
  })
})
afterAll(() => fixture.close())

const points = (features: unknown) => ({ model_type: 'classification', features })
const rBody = (name: string) => Bun.file(join(import.meta.dir, 'bodies', `${name}.json`)).text()

describe('bad input', () => {
  const columns = { x1: [1, 2], x2: [3, 4] }
  testRequests(
    () => fixture,
    [
      { name: 'no token', path: PREDICT, body: points(columns), status: 401 },
      {
        name: 'truncated JSON',
        as: 'admin',
        path: PREDICT,
        body: '{"model_type": "classif',
        status: 400,
      },
      { name: 'nothing', as: 'admin', path: PREDICT, body: '', status: 400 },
      { name: '1 MB of [', as: 'admin', path: PREDICT, body: '['.repeat(1024 * 1024), status: 400 },
      {
        name: 'more than 1 MB',
        as: 'admin',
        path: PREDICT,
        body: ' '.repeat(1024 * 1024 + 1),
        status: 413,
      },
      {
        name: 'a NaN literal',
        as: 'admin',
        path: PREDICT,
        body: '{"model_type":"classification","features":{"x1":[NaN],"x2":[1]}}',
        status: 400,
      },
      {
        name: 'text',
        as: 'admin',
        path: PREDICT,
        body: 'x1=1',
        headers: { 'content-type': 'text/plain' },
        status: 415,
      },
      {
        name: 'gzip',
        as: 'admin',
        path: PREDICT,
        body: 'x',
        headers: { 'content-encoding': 'gzip' },
        status: 415,
      },
      {
        name: '1e999',
        as: 'admin',
        path: PREDICT,
        body: '{"model_type":"classification","features":{"x1":[1, 1e999],"x2":[1, 2]}}',
        status: 422,
        has: { errors: [{ pointer: '#/features/x1/1' }] },
      },
      {
        name: 'a lone surrogate',
        as: 'admin',
        path: PREDICT,
        body: String.raw`{"model_type":"classification","features":{"x1":["\udc00"],"x2":[1]}}`,
        status: 422,
        has: { errors: [{ pointer: '#/features/x1/0' }] },
      },
      {
        name: 'a number as model',
        as: 'admin',
        path: PREDICT,
        body: { model_type: 7, features: columns },
        status: 422,
        has: { errors: [{ pointer: '#/model_type' }] },
      },
      {
        name: 'a number as features',
        as: 'admin',
        path: PREDICT,
        body: points(7),
        status: 422,
        has: { errors: [{ pointer: '#/features' }] },
      },
      {
        name: 'no features',
        as: 'admin',
        path: PREDICT,
        body: { model_type: 'classification' },
        status: 422,
        has: { errors: [{ pointer: '#/features' }] },
      },
      {
        name: 'a text in a numeric column',
        as: 'admin',
        path: PREDICT,
        body: points({ x1: [1, 'two'], x2: [3, 4] }),
        status: 422,
        has: { errors: [{ pointer: '#/features/x1/1', detail: 'expected a number, got "two"' }] },
      },
      {
        name: 'a list in a numeric column of a row',
        as: 'admin',
        path: PREDICT,
        body: points([{ x1: [1, 2], x2: 1 }]),
        status: 422,
        has: { errors: [{ pointer: '#/features/0/x1', detail: 'expected a number, got a list' }] },
      },
      {
        name: 'a column too many',
        as: 'admin',
        path: PREDICT,
        body: points({ ...columns, x3: [5, 6] }),
        status: 422,
        has: { errors: [{ pointer: '#/features/x3' }] },
      },
      {
        name: 'a column too few',
        as: 'admin',
        path: PREDICT,
        body: points({ x1: [1, 2] }),
        status: 422,
        has: { errors: [{ pointer: '#/features/x2', detail: 'the column is missing' }] },
      },
      {
        name: 'an unknown key of a row',
        as: 'admin',
        path: PREDICT,
        body: points([{ x1: 1, x2: 2 }, { 'x/ü': 1 }]),
        status: 422,
        has: { errors: [{ pointer: '#/features/1/x~1%C3%BC' }] },
      },
      {
        name: 'a row that is no object',
        as: 'admin',
        path: PREDICT,
        body: points([[1, 2]]),
        status: 422,
        has: { errors: [{ pointer: '#/features/0' }] },
      },
      {
        name: 'unequal lengths',
        as: 'admin',
        path: PREDICT,
        body: points({ x1: [1, 2], x2: [3] }),
        status: 422,
        has: { errors: [{ pointer: '#/features/x2', detail: 'has 1 rows where x1 has 2' }] },
      },
      {
        name: 'a scalar beside two rows',
        as: 'admin',
        path: PREDICT,
        body: points({ x1: [1, 2], x2: 3 }),
        status: 422,
        has: { errors: [{ pointer: '#/features/x2' }] },
      },
      {
        name: 'too many rows',
        as: 'admin',
        path: PREDICT,
        body: points(Array.from({ length: ROWS_MAX + 1 }, () => ({}))),
        status: 422,
        has: {
          errors: [{ pointer: '#/features', detail: 'has 51 rows, at most 50 go in one request' }],
        },
      },
      {
        name: 'too many rows by column',
        as: 'admin',
        path: PREDICT,
        body: points({ x1: Array(51).fill(1), x2: Array(51).fill(1) }),
        status: 422,
        has: { errors: [{ pointer: '#/features' }] },
      },
      {
        name: 'as many rows as may be',
        as: 'admin',
        path: PREDICT,
        body: points(Array.from({ length: ROWS_MAX }, () => ({}))),
        status: 200,
      },
      {
        name: 'an unknown model',
        as: 'admin',
        path: PREDICT,
        body: { model_type: 'nope', features: columns },
        status: 404,
        has: { title: 'Unknown model' },
      },
      {
        name: 'a model of Object.prototype',
        as: 'admin',
        path: PREDICT,
        body: { model_type: '__proto__', features: columns },
        status: 404,
      },
      {
        name: 'a bad batch of several',
        as: 'admin',
        path: BATCH,
        body: { batches: [points(columns), points({ x1: [1] })] },
        status: 422,
        has: { errors: [{ pointer: '#/batches/1/features/x2' }] },
      },
      {
        name: 'batches with too many rows together',
        as: 'admin',
        path: BATCH,
        body: { batches: Array.from({ length: 26 }, () => points(columns)) },
        status: 422,
        has: {
          errors: [
            {
              pointer: '#/batches/25/features',
              detail: 'has 2 rows, at most 0 go in what the batches before it leave of a request',
            },
          ],
        },
      },
      {
        name: 'after all of it: a good one',
        as: 'admin',
        path: PREDICT,
        body: points(columns),
        status: 200,
      },
    ],
  )

  testRequests(
    () => harness,
    [
      {
        name: 'an unknown category',
        as: 'admin',
        path: PREDICT,
        body: points([{ island: 'Elba' }]),
        status: 422,
        has: {
          errors: [
            {
              pointer: '#/features/0/island',
              detail: 'expected one of "Biscoe", "Dream", "Torgersen", got "Elba"',
            },
          ],
        },
      },
      {
        name: 'a code for a category',
        as: 'admin',
        path: PREDICT,
        body: points([{ island: 0 }]),
        status: 422,
        has: { errors: [{ pointer: '#/features/0/island' }] },
      },
      ...[0, 25, 1.5, 'three'].map((horizon) => ({
        name: `a horizon of ${horizon}`,
        as: 'admin',
        path: PREDICT,
        body: { model_type: 'forecast', features: [{ history: [1, 2], horizon }] },
        status: 422,
        has: {
          errors: [
            { pointer: '#/features/0/horizon', detail: 'expected a whole number from 1 to 24' },
          ],
        },
      })),
      {
        name: 'a history of one value, as httr2 writes it',
        as: 'admin',
        path: PREDICT,
        body: { model_type: 'forecast', features: { history: 371.3, horizon: 1 } },
        status: 200,
      },
      {
        name: 'no history',
        as: 'admin',
        path: PREDICT,
        body: { model_type: 'forecast', features: [{ horizon: 3 }] },
        status: 422,
        has: { errors: [{ pointer: '#/features/0/history' }] },
      },
      {
        name: 'a history without a value',
        as: 'admin',
        path: PREDICT,
        body: { model_type: 'forecast', features: [{ history: [null, 'NA'] }] },
        status: 422,
        has: { errors: [{ pointer: '#/features/0/history' }] },
      },
      {
        name: 'a text in a history',
        as: 'admin',
        path: PREDICT,
        body: { model_type: 'forecast', features: [{ history: [1, 'x'] }] },
        status: 422,
        has: { errors: [{ pointer: '#/features/0/history/1' }] },
      },
    ],
  )
})

test.each([
  ['lists', '['.repeat(400_000) + ']'.repeat(400_000)],
  ['objects', '{"a":'.repeat(150_000) + '0' + '}'.repeat(150_000)],
])(
  'half a surrogate beside %s nested as deep as a body can be does not hold the others up',
  async (_, deep) => {
    const body = `{"model_type":"\\ud800","features":${deep}}`
    const startedAt = performance.now()
    const response = await fixture.request({ path: PREDICT, body, token: fixture.adminToken })
    expect([400, 422]).toContain(response.status)
    expect(performance.now() - startedAt).toBeLessThan(2000)
  },
)

test('too many batches are refused before they are looked at', async () => {
  const body = `{"batches":[${Array(300_000).fill('{}').join()}]}`
  const startedAt = performance.now()
  const response = await fixture.request({ path: BATCH, body, token: fixture.adminToken })
  expect(await response.json()).toMatchObject({ status: 422, errors: [{ pointer: '#/batches' }] })
  expect(performance.now() - startedAt).toBeLessThan(300)
})

describe('no rows', () => {
  testRequests(
    () => fixture,
    [[], { x1: [], x2: [] }].map((features) => ({
      name: JSON.stringify(features),
      as: 'admin',
      path: PREDICT,
      body: points(features),
      status: 200,
      has: { predictions: [], model_version: '1' },
    })),
  )
})

describe('bodies that R wrote', () => {
  async function predictions(on: Harness, name: string): Promise<unknown[]> {
    const response = await on.request({
      path: PREDICT,
      body: await rBody(name),
      token: on.adminToken,
    })
    const answer = (await response.json()) as { predictions: unknown[] }
    expect({ status: response.status, answer }).toMatchObject({ status: 200 })
    return answer.predictions
  }

  /** Probabilities tell more than labels: two bodies that mean the same give the same. */
  async function probabilities(on: Harness, body: unknown): Promise<unknown> {
    const response = await on.request({ path: PREDICT, body, token: on.adminToken })
    return ((await response.json()) as { probabilities: unknown }).probabilities
  }

  const meaning: Record<string, unknown> = {
    columns: [{ x1: 1.5, x2: 4 }, { x1: -0.25 }, { x2: 'Inf' }],
    missing_as_null: [{ x1: 1.5, x2: 4 }, { x1: -0.25 }, {}],
    rows: [{ x1: 1.5, x2: 4 }, { x1: -0.25 }, {}],
    rows_of_lists: [{ x1: 1.5, x2: 4 }, { x1: -0.25 }],
    no_rows: [],
    httr2_one_row: [{ x1: 1.5, x2: 4 }],
    httr2_rows: [{ x1: 1.5, x2: 4 }, { x1: -0.25 }, {}],
  }
  test.each(Object.entries(meaning))('%s', async (name, rows) => {
    expect(await probabilities(fixture, await rBody(name))).toEqual(
      await probabilities(fixture, points(rows)),
    )
  })

  test('factors and a missing one, by column and by row', async () => {
    expect(await predictions(harness, 'factors_by_column')).toEqual(['Adelie', 'Gentoo'])
    expect(await predictions(harness, 'factors_by_row')).toEqual(['Adelie', 'Gentoo'])
  })

  test('a forecast by row and by column', async () => {
    const byRow = await predictions(harness, 'forecast_by_row')
    expect(byRow).toEqual([[expect.any(Number), expect.any(Number), expect.any(Number)]])
    expect(await predictions(harness, 'forecast_by_column')).toEqual(byRow)
  })

  test.each([
    // Of a day alone nobody can tell that it stands for the end of its month.
    ['forecast_by_last_date', ['2026-05-30', '2026-06-30', '2026-07-30']],
    ['forecast_by_dates', ['2026-05-31', '2026-06-30', '2026-07-31']],
    ['forecast_by_times', ['2026-05-31', '2026-06-30', '2026-07-31']],
  ])('a forecast with dates: %s', async (name, days) => {
    const body = await rBody(name)
    const response = await harness.request({ path: PREDICT, body, token: harness.adminToken })
    expect(await response.json()).toMatchObject({
      timestamps: [days.map((day) => `${day}T00:00:00.000Z`)],
    })
  })

  test('several batches', async () => {
    const response = await fixture.request({
      path: BATCH,
      body: await rBody('batch'),
      token: fixture.adminToken,
    })
    const answer = (await response.json()) as { results: { predictions: unknown[] }[] }
    expect(answer).toEqual({
      batch_id: 'b-1',
      results: expect.any(Array),
      processed_at: new Date(fixture.clock.now()).toISOString(),
    } as never)
    expect(answer.results.map(({ predictions }) => predictions.length)).toEqual([3, 1])
  })
})

describe('answers', () => {
  test('a classification: labels, probabilities, version and time', async () => {
    const body = points({ x1: [1, -1], x2: [2, null] })
    const response = await fixture.request({ path: PREDICT, body, token: fixture.adminToken })
    const answer = (await response.json()) as {
      predictions: string[]
      probabilities: Record<string, number>[]
    }
    expect(Object.keys(answer)).toEqual([
      'predictions',
      'probabilities',
      'model_version',
      'timestamp',
    ])
    expect(answer).toMatchObject({
      model_version: '1',
      timestamp: new Date(fixture.clock.now()).toISOString(),
    })
    for (const [row, label] of answer.predictions.entries()) {
      const each = answer.probabilities[row]!
      expect(Object.values(each).reduce((sum, p) => sum + p)).toBeCloseTo(1, 12)
      expect(each[label]).toBe(Math.max(...Object.values(each)))
    }
  })

  test('a forecast of the horizon that each row asks for', async () => {
    const features = [{ history: [312, 313, 314] }, { history: [312, null, 314, null], horizon: 2 }]
    const body = { model_type: 'forecast', features }
    const response = await harness.request({ path: PREDICT, body, token: harness.adminToken })
    const { predictions } = (await response.json()) as { predictions: number[][] }
    expect(predictions.map((steps) => steps.length)).toEqual([12, 2])
  })

  test('the same features again come from the cache, in whatever form', async () => {
    const { metrics, cache } = fixture.platform
    const hits = async () =>
      (await metrics.metrics()).match(/prediction_cache_total\{.*result="hit"\} (\d+)/)?.[1]
    const token = fixture.adminToken
    await fixture.request({ path: PREDICT, body: points({ x1: [0.125], x2: [7] }), token })
    const [before, size] = [Number(await hits()), await cache.size()]
    await fixture.request({ path: PREDICT, body: points([{ x2: [7], x1: [0.125] }]), token })
    expect(Number(await hits())).toBe(before + 1)
    expect(await cache.size()).toBe(size)
    fixture.clock.advance(3_600_001)
    await fixture.request({ path: PREDICT, body: points({ x1: [0.125], x2: [7] }), token })
    expect(Number(await hits())).toBe(before + 1)
    fixture.clock.advance(-3_600_001)
  })

  test('GET /api/v1/metrics', async () => {
    const response = await harness.request({ path: '/api/v1/metrics', token: harness.adminToken })
    expect(await response.json()).toEqual({
      models_loaded: 3,
      cache_size: expect.any(Number),
      uptime: expect.any(Number),
      memory_usage: expect.any(Number),
    })
  })

  test('latency and count are measured', async () => {
    const text = await harness.platform.metrics.metrics()
    expect(text).toMatch(/prediction_count_total\{model="forecast",version="1"\} \d+/)
    expect(text).toMatch(/prediction_latency_seconds_count\{.*model="forecast".*\} \d+/)
  })
})

test('no model answers from the cache of another', async () => {
  const models = mkdtempSync(join(tmpdir(), 'quintet-models-'))
  for (const name of ['ant', 'bee']) {
    const folder = join(models, name, '1')
    cpSync(join(FIXTURE_MODELS_DIR, 'classification', '1'), folder, { recursive: true })
    const path = join(folder, 'manifest.json')
    const manifest = (await Bun.file(path).json()) as object
    writeFileSync(path, JSON.stringify({ ...manifest, name, cache: true }))
  }
  const harness = await openHarness({ MODELS_DIR: models })
  const { cache } = harness.platform
  const missed = async (model_type: string) => {
    const before = (await cache.size()) ?? 0
    const body = { model_type, features: { x1: 1, x2: 2 } }
    await harness.request({ path: PREDICT, body, token: harness.adminToken })
    return ((await cache.size()) ?? 0) > before
  }
  expect([await missed('ant'), await missed('bee'), await missed('ant')]).toEqual([
    true,
    true,
    false,
  ])
  await harness.close()
  rmSync(models, { recursive: true })
})
