import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type Harness, MODELS_DIR, openHarness } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'

const PREDICT = '/api/v1/predict'
const history = [312, 313, 314]

let harness: Harness
let models: string
beforeAll(async () => {
  models = mkdtempSync(join(tmpdir(), 'quintet-models-'))
  const shipped = join(MODELS_DIR, 'forecast', '1')
  const manifest = (await Bun.file(join(shipped, 'manifest.json')).json()) as object
  function addModel(name: string, changes: object) {
    cpSync(shipped, join(models, name, '1'), { recursive: true })
    writeFileSync(
      join(models, name, '1', 'manifest.json'),
      JSON.stringify({ ...manifest, name, ...changes }),
    )
  }
  addModel('forecast', {})
  addModel('yearly', { frequency: 'year' })
  // What was a forecast before there were times and intervals; all columns of the file as its steps.
  const horizon = { default: 12, max: 120 }
  addModel('plain', { frequency: undefined, intervals: undefined, horizon })
  cpSync(join(MODELS_DIR, 'regression'), join(models, 'regression'), { recursive: true })
  harness = await openHarness({ MODELS_DIR: models })
})
afterAll(async () => {
  await harness.close()
  rmSync(models, { recursive: true })
})

interface Answer {
  predictions: number[][]
  timestamps?: (string[] | null)[]
  intervals?: { level: number; lower: number[]; upper: number[] }[][]
}

async function forecast(features: unknown, model_type = 'forecast'): Promise<Answer> {
  const body = { model_type, features }
  const response = await harness.request({ path: PREDICT, body, token: harness.adminToken })
  const text = await response.text()
  expect({ status: response.status, text }).toEqual({ status: 200, text: expect.any(String) })
  return JSON.parse(text) as Answer
}
const daysOf = ({ timestamps }: Answer) =>
  timestamps?.map((row) => row?.map((time) => time.replace('T00:00:00.000Z', '')) ?? null)

describe('refused, naming the place', () => {
  const refused = (name: string, features: unknown, pointer: string, detail: unknown): Row => ({
    name,
    as: 'admin',
    path: PREDICT,
    body: { model_type: 'forecast', features },
    status: 422,
    has: { errors: [{ pointer: `#/features/${pointer}`, detail }] },
  })
  const saying = (text: string): unknown => expect.stringContaining(text)
  const row = (more: object) => [{ history }, { history, ...more }]
  const months = ['2026-01-31', '2026-02-28', '2026-03-31']
  testRequests(
    () => harness,
    [
      refused(
        'a last timestamp that is none',
        row({ last_timestamp: 'soon' }),
        '1/last_timestamp',
        saying('expected a time such as "2026-01-31"'),
      ),
      refused(
        'the 30th of February',
        row({ last_timestamp: '2026-02-30' }),
        '1/last_timestamp',
        saying('got "2026-02-30"'),
      ),
      refused(
        'the year 275761',
        row({ last_timestamp: 8.64e15 + 8.64e10 }),
        '1/last_timestamp',
        saying('from the year 1 to 9999'),
      ),
      refused(
        'a number that no time is',
        [{ history, last_timestamp: 1e300 }],
        '0/last_timestamp',
        saying('from the year 1 to 9999'),
      ),
      refused(
        'a day as R counts them',
        row({ last_timestamp: 20_484 }),
        '1/last_timestamp',
        saying('write a year or a day as text'),
      ),
      refused(
        'two last timestamps of a row',
        row({ last_timestamp: months }),
        '1/last_timestamp',
        saying('got a list'),
      ),
      refused(
        'a horizon that reaches beyond all years',
        row({ last_timestamp: '9999-06-01' }),
        '1/last_timestamp',
        'the horizon reaches beyond the year 9999',
      ),
      refused(
        'both',
        row({ last_timestamp: months[2], timestamps: months }),
        '1/last_timestamp',
        'expected either it or timestamps, not both',
      ),
      refused(
        'fewer times than values',
        row({ timestamps: months.slice(1) }),
        '1/timestamps',
        'has 2 times where there are 3 values',
      ),
      refused(
        'times for a history of one, as a scalar',
        [{ history: 312, timestamps: months }],
        '0/timestamps',
        'has 3 times where there are 1 values',
      ),
      refused(
        'a time that is none among others',
        row({ timestamps: [months[0], 'NA', months[2]] }),
        '1/timestamps/1',
        saying('got "NA"'),
      ),
      refused(
        'a time that is missing',
        row({ timestamps: [months[0], null, months[2]] }),
        '1/timestamps/1',
        saying('got nothing'),
      ),
      refused(
        'a month left out',
        row({ timestamps: ['2026-01-01', '2026-02-01', '2026-04-01'] }),
        '1/timestamps/2',
        'expected 2026-03-01T00:00:00.000Z, as regularly as those before',
      ),
      refused(
        'the same time twice',
        row({ timestamps: [months[0], months[1], months[1]] }),
        '1/timestamps/2',
        'expected a time after the one before',
      ),
      refused(
        'times whose continuation reaches beyond all years',
        row({ timestamps: ['1000-01-01', '4000-01-01', '7000-01-01'] }),
        '1/timestamps/2',
        'the horizon reaches beyond the year 9999',
      ),
      refused(
        'times that are an object',
        row({ timestamps: { first: 1 } }),
        '1/timestamps',
        saying('has 1 times where'),
      ),
      refused('a member of another name', row({ last_time: months[2] }), '1/last_time', saying('')),
      refused(
        'by column: a scalar that is none',
        { history: [history, history], last_timestamp: 'soon' },
        'last_timestamp',
        saying('expected a time such as'),
      ),
      refused(
        'by column: one that is none',
        { history: [history, history], last_timestamp: [months[2], 'soon'] },
        'last_timestamp/1',
        saying('expected a time such as'),
      ),
      refused(
        'by column: another number of rows',
        { history: [history, history], last_timestamp: months },
        'last_timestamp',
        'has 3 rows, expected 2',
      ),
      refused(
        'by column: another number of lists of times',
        { history: [history, history], timestamps: [months, months, months] },
        'timestamps',
        'has 3 rows, expected 2',
      ),
      refused(
        'by column: times that all rows share',
        { history, timestamps: [months[0], months[1], 'soon'] },
        'timestamps/2',
        saying('expected a time such as'),
      ),
      refused(
        'by column: times of one row',
        { history: [history, history], timestamps: [months, [months[0], months[1], 'soon']] },
        'timestamps/1/2',
        saying('expected a time such as'),
      ),
      refused(
        'by column: the only list of times',
        { history: [history], timestamps: [[months[0], months[1], 'soon']] },
        'timestamps/0/2',
        saying('expected a time such as'),
      ),
      {
        ...refused('by a model that is no forecast', '', '', ''),
        body: { model_type: 'regression', features: [{ carat: 1, timestamps: months }] },
        has: {
          errors: [{ pointer: '#/features/0/timestamps', detail: 'the model has no such column' }],
        },
      },
    ],
  )
})

describe('times', () => {
  test('are not answered where none are given, or none can follow', async () => {
    for (const features of [
      [{ history }],
      { history },
      [{ history, last_timestamp: null, timestamps: null }],
      [{ history, last_timestamp: {} }],
    ]) {
      expect(await forecast(features)).not.toHaveProperty('timestamps')
    }
    expect(await forecast([{ history, last_timestamp: '2026-01-31' }], 'plain')).not.toHaveProperty(
      'timestamps',
    )
    expect(
      await forecast([{ history: 312, timestamps: '2026-01-31' }], 'plain'),
    ).not.toHaveProperty('timestamps')
  })

  test.each([
    '2026-01-31',
    '2026-01-31 00:00:00',
    '2026-01-31T00:00:00Z',
    '2026-01-31T01:00:00+01:00',
    1_769_817_600,
    1_769_817_600_000,
  ])('follow the last one, by the frequency of the model: %j', async (last_timestamp) => {
    const days = [['2026-02-28', '2026-03-31', '2026-04-30']]
    const one = { history, horizon: 3, last_timestamp }
    expect(daysOf(await forecast([one]))).toEqual(days)
    expect(daysOf(await forecast([{ ...one, last_timestamp: [last_timestamp] }]))).toEqual(days)
    expect(daysOf(await forecast(one))).toEqual(days)
    expect(daysOf(await forecast({ ...one, history: [history] }))).toEqual(days)
  })

  test('follow the times of the history, as they are spaced', async () => {
    const following = async (timestamps: unknown[]) =>
      daysOf(await forecast([{ history, timestamps, horizon: 2 }]))?.[0]
    for (const [timestamps, days] of [
      ['2026-01-31 2026-02-28 2026-03-31', '2026-04-30 2026-05-31'],
      ['2025-12-31 2026-01-31 2026-02-28', '2026-03-31 2026-04-30'],
      ['2025-07-01 2025-10-01 2026-01-01', '2026-04-01 2026-07-01'],
      ['2022-02-28 2023-02-28 2024-02-29', '2025-02-28 2026-02-28'],
      ['2026-02-26 2026-02-27 2026-02-28', '2026-03-01 2026-03-02'],
      ['2026-01-05 2026-01-12 2026-01-19', '2026-01-26 2026-02-02'],
    ] as const) {
      expect(await following(timestamps.split(' '))).toEqual(days.split(' '))
      const epochs = timestamps.split(' ').map((day) => Date.parse(day) / 1000)
      expect(await following(epochs)).toEqual(days.split(' '))
    }
    expect(await following([1_767_225_600, 1_767_227_400, 1_767_229_200])).toEqual([
      '2026-01-01T01:30:00.000Z',
      '2026-01-01T02:00:00.000Z',
    ])
    expect(
      daysOf(await forecast([{ history: 312, timestamps: '2026-01-31', horizon: 1 }])),
    ).toEqual([['2026-02-28']])
    const leap = [{ history, last_timestamp: '2024-02-29', horizon: 4 }]
    expect(daysOf(await forecast(leap, 'yearly'))).toEqual([
      ['2025-02-28', '2026-02-28', '2027-02-28', '2028-02-29'],
    ])
  })

  test('are of each row its own, as long as its predictions, and null where it tells of none', async () => {
    const rows = [
      { history, last_timestamp: '2026-01-31', horizon: 2 },
      { history },
      { history, timestamps: ['2026-01-01', '2026-01-02', '2026-01-03'], horizon: 1 },
    ]
    const answer = await forecast(rows)
    expect(daysOf(answer)).toEqual([['2026-02-28', '2026-03-31'], null, ['2026-01-04']])
    expect(answer.predictions.map((steps) => steps.length)).toEqual([2, 12, 1])
    const byColumn = await forecast({
      history: [history, history, history],
      horizon: [2, 12, 1],
      last_timestamp: ['2026-01-31', null, '2026-01-03'],
    })
    expect(daysOf(byColumn)).toEqual([['2026-02-28', '2026-03-31'], null, ['2026-02-03']])
    const listed = await forecast({
      history: [history, history],
      horizon: 1,
      timestamps: [null, ['2026-01-01', '2026-01-02', '2026-01-03']],
    })
    expect(daysOf(listed)).toEqual([null, ['2026-01-04']])
  })

  test('are shared by the rows where they are given once', async () => {
    const both = { history: [history, history], horizon: [1, 2] }
    const times = ['2026-01-01', '2026-01-02', '2026-01-03']
    for (const shared of [
      { timestamps: times },
      { timestamps: [times] },
      { timestamps: times.map((day) => Date.parse(day)) },
    ]) {
      expect(daysOf(await forecast({ ...both, ...shared }))).toEqual([
        ['2026-01-04'],
        ['2026-01-04', '2026-01-05'],
      ])
    }
    for (const last_timestamp of ['2026-01-31', ['2026-01-31']]) {
      expect(daysOf(await forecast({ ...both, last_timestamp }))).toEqual([
        ['2026-02-28'],
        ['2026-02-28', '2026-03-31'],
      ])
    }
  })

  test('of a history that is longer than the model looks back are of all its values', async () => {
    const long = Array.from({ length: 40 }, (_, at) => 312 + at / 6)
    const timestamps = long.map((_, at) => new Date(Date.UTC(2020, at, 1)).toISOString())
    expect(daysOf(await forecast([{ history: long, timestamps, horizon: 1 }]))).toEqual([
      ['2023-05-01'],
    ])
  })

  test('change nothing of what is predicted, also from the cache', async () => {
    const [bare, dated, later] = [
      await forecast([{ history }]),
      await forecast([{ history, last_timestamp: '2026-01-31' }]),
      await forecast([{ history, last_timestamp: '2027-01-31' }]),
    ]
    expect(dated.predictions).toEqual(bare.predictions)
    expect(dated.timestamps?.[0]?.[0]).toBe('2026-02-28T00:00:00.000Z')
    expect(later.timestamps?.[0]?.[0]).toBe('2027-02-28T00:00:00.000Z')
  })
})

describe('intervals', () => {
  test('are answered of each row over its horizon, the narrower within the wider', async () => {
    const { predictions, intervals } = await forecast([
      { history },
      { history: [312, null, 314], horizon: 2 },
    ])
    expect(intervals?.map((row) => row.map(({ level }) => level))).toEqual([
      [0.8, 0.95],
      [0.8, 0.95],
    ])
    for (const [row, steps] of predictions.entries()) {
      const [narrow, wide] = intervals![row]!
      for (const list of [narrow!.lower, narrow!.upper, wide!.lower, wide!.upper]) {
        expect(list).toHaveLength(steps.length)
      }
      for (const [step, value] of steps.entries()) {
        const bounds = [
          wide!.lower[step]!,
          narrow!.lower[step]!,
          value,
          narrow!.upper[step]!,
          wide!.upper[step]!,
        ]
        expect(bounds).toEqual(bounds.toSorted((a, b) => a - b))
        expect(wide!.upper[step]! - wide!.lower[step]!).toBeGreaterThan(0.1)
      }
    }
  })

  test('are wider where less of the history is known', async () => {
    const long = Array.from({ length: 36 }, (_, at) => 312 + at / 6)
    const widths = (await forecast([{ history: long }, { history }])).intervals!.map(
      ([narrow]) => narrow!.upper[5]! - narrow!.lower[5]!,
    )
    expect(widths[1]).toBeGreaterThan(2 * widths[0]!)
  })

  test('are of no model without them, which answers as it always did', async () => {
    expect(await forecast([{ history, horizon: 3 }], 'plain')).toEqual({
      predictions: [[expect.any(Number), expect.any(Number), expect.any(Number)]],
      model_version: '1',
      timestamp: new Date(harness.clock.now()).toISOString(),
    } as never)
  })

  test('and the frequency are told with the model', async () => {
    const path = '/api/v1/models/forecast'
    const response = await harness.request({ path, token: harness.adminToken })
    expect(await response.json()).toMatchObject({
      frequency: 'month',
      intervals: [0.8, 0.95],
      metrics: { coverage_of_80_percent_intervals: expect.any(Number) },
    })
  })
})

test('a batch answers times and intervals too, and names the place of a fault', async () => {
  const path = '/api/v1/predict/batch'
  const features = [{ history, last_timestamp: '2026-01-31', horizon: 1 }]
  const body = { batches: [{ model_type: 'forecast', features }] }
  const result = {
    timestamps: [['2026-02-28T00:00:00.000Z']],
    intervals: [[{ level: 0.8 }, { level: 0.95 }]],
  }
  const token = harness.adminToken
  const answer = await harness.request({ path, body, token })
  expect(await answer.json()).toMatchObject({ results: [result] })
  const wrong = [{ model_type: 'forecast', features: [{ history, last_timestamp: 'soon' }] }]
  const refusal = await harness.request({ path, body: { batches: wrong }, token })
  expect(await refusal.json()).toMatchObject({
    status: 422,
    errors: [{ pointer: '#/batches/0/features/0/last_timestamp' }],
  })
})
