import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { hostileExpressions } from '../../src/data/expressions/hostile.fixture.ts'
import { type Harness, openHarness } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'

const PROCESS = '/api/v1/process/parquet'
const TABLES: Record<string, string> = {
  sales:
    'day,shop,revenue\n2026-03-01,Bern,12.5\n2026-03-01,Chur,7\n2026-03-02,Bern,31\n2026-03-03,Chur,\n',
  shops: 'shop,canton,day\nBern,BE,1\nChur,GR,2\nArosa,GR,3\n',
  prices: 'shop,since,price\nBern,2026-02-01,1\nBern,2026-03-02,2\nChur,2026-03-02,3\n',
  points: 'n,x1,x2\n1,0.5,1.5\n2,-3,2\n3,4,-1\n',
  many: `m\n${Array.from({ length: 2000 }, (_, at) => at).join('\n')}\n`,
  more: 'shop,revenue,note\nBern,1,x\n',
}

let harness: Harness
let ada: string
let eve: string
beforeAll(async () => {
  harness = await openHarness({ DATA_QUERY_TIMEOUT_MS: '5000' })
  for (const username of ['ada', 'eve']) await harness.addAccount({ username, role: 'editor' })
  ada = await harness.logIn('ada')
  for (const [name, body] of Object.entries(TABLES)) {
    const headers = { 'content-type': 'text/csv' }
    const path = `/api/v1/datasets?name=${name}`
    expect((await harness.request({ path, body, headers, token: ada })).status).toBe(201)
  }
  eve = await harness.logIn('eve')
  const headers = { 'content-type': 'text/csv' }
  await harness.request({
    path: '/api/v1/datasets?name=hers',
    body: 'a\n1\n',
    headers,
    token: eve,
  })
})
afterAll(() => harness.close())

type Step = Record<string, unknown>

async function process(operations: Step[], rest: object = {}, path = PROCESS) {
  const body = { file_path: 'sales', operations, ...rest }
  const answer = await harness.request({ path, body, token: ada })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

/** In an order, so that the rows of what has none can be compared. */
const byText = (rows: unknown[]) =>
  rows.map((row) => JSON.stringify(row)).toSorted((a, b) => (a < b ? -1 : 1))

const bern = (day: string, revenue: number) => ({ day: `2026-03-0${day}`, shop: 'Bern', revenue })
const chur = (day: string, revenue: number | null) => ({
  day: `2026-03-0${day}`,
  shop: 'Chur',
  revenue,
})

/** What steps make of the four rows of `sales`. */
const steps: [name: string, operations: Step[], rows: object[]][] = [
  ['nothing', [], [bern('1', 12.5), chur('1', 7), bern('2', 31), chur('3', null)]],
  ['filter', [{ type: 'filter', condition: 'revenue > 10' }], [bern('1', 12.5), bern('2', 31)]],
  [
    'filter, as R writes it',
    [{ type: 'filter', condition: "shop %in% c('Chur') & is.na(revenue)" }],
    [chur('3', null)],
  ],
  [
    'mutate, of which the second sees the first',
    [
      { type: 'filter', condition: "shop == 'Bern'" },
      { type: 'mutate', expression: { double: 'revenue * 2', revenue: 'double + 1' } },
    ],
    [
      { ...bern('1', 26), double: 25 },
      { ...bern('2', 63), double: 62 },
    ],
  ],
  [
    'mutate that swaps nothing: each sees those before it',
    [
      { type: 'limit', rows: 1 },
      { type: 'mutate', expression: ['revenue = revenue + 1', 'revenue = revenue * 2'] },
    ],
    [bern('1', 27)],
  ],
  [
    'aggregate',
    [
      {
        type: 'aggregate',
        group_by: 'shop',
        metrics: ['n = count(*)', 'sum(revenue)', 'm = mean(revenue)'],
      },
    ],
    [
      { shop: 'Bern', n: 2, 'sum(revenue)': 43.5, m: 21.75 },
      { shop: 'Chur', n: 2, 'sum(revenue)': 7, m: 7 },
    ],
  ],
  [
    'aggregate of all',
    [{ type: 'aggregate', metrics: { days: 'n_distinct(day)' } }],
    [{ days: 3 }],
  ],
  [
    'select, in an order and by other names',
    [
      { type: 'limit', rows: 1 },
      { type: 'select', columns: { takings: 'revenue', shop: 'shop' } },
    ],
    [{ takings: 12.5, shop: 'Bern' }],
  ],
  [
    'select all but',
    [
      { type: 'limit', rows: 1 },
      { type: 'select', except: ['day', 'SHOP'] },
    ],
    [{ revenue: 12.5 }],
  ],
  [
    'rename',
    [
      { type: 'limit', rows: 1 },
      { type: 'rename', columns: { revenue: 'day', day: 'date' } },
    ],
    [{ date: '2026-03-01', shop: 'Bern', day: 12.5 }],
  ],
  [
    'sort, and what comes first of it',
    [
      { type: 'sort', by: ['-shop', { column: 'revenue', descending: true, nulls: 'first' }] },
      { type: 'limit', rows: 2, offset: 1 },
    ],
    [chur('1', 7), bern('2', 31)],
  ],
  ['distinct', [{ type: 'distinct', columns: 'shop' }], [{ shop: 'Bern' }, { shop: 'Chur' }]],
  [
    'distinct of whole rows',
    [
      { type: 'union', datasets: ['sales'] },
      { type: 'distinct' },
      { type: 'aggregate', metrics: 'n = count(*)' },
    ],
    [{ n: 4 }],
  ],
  [
    'deduplicate',
    [{ type: 'deduplicate', keys: ['shop'], order_by: ['-day'] }],
    [bern('2', 31), chur('3', null)],
  ],
  [
    'union, by the names of columns',
    [
      { type: 'limit', rows: 1 },
      { type: 'union', datasets: ['more'] },
    ],
    [
      { ...bern('1', 12.5), note: null },
      { day: null, shop: 'Bern', revenue: 1, note: 'x' },
    ],
  ],
  [
    'union of what differs',
    [
      { type: 'union', datasets: ['sales'], distinct: true },
      { type: 'aggregate', metrics: 'n = count(*)' },
    ],
    [{ n: 4 }],
  ],
  [
    'join, as the contract has it',
    [
      { type: 'limit', rows: 2 },
      { type: 'join', join_path: 'shops', keys: ['shop'] },
    ],
    [
      { ...bern('1', 12.5), canton: 'BE', day_right: 1 },
      { ...chur('1', 7), canton: 'GR', day_right: 2 },
    ],
  ],
  [
    'join, full, with keys of both',
    [
      { type: 'filter', condition: "shop = 'Chur' AND revenue IS NOT NULL" },
      { type: 'join', dataset: 'shops', keys: { shop: 'shop' }, how: 'full', suffix: '_of_shop' },
      { type: 'select', columns: ['shop', 'revenue', 'canton'] },
    ],
    [
      { shop: 'Chur', revenue: 7, canton: 'GR' },
      { shop: 'Bern', revenue: null, canton: 'BE' },
      { shop: 'Arosa', revenue: null, canton: 'GR' },
    ],
  ],
  [
    'join, right',
    [
      { type: 'join', dataset: 'shops', keys: 'shop', how: 'right' },
      { type: 'filter', condition: 'revenue IS NULL' },
      { type: 'select', columns: ['shop'] },
    ],
    [{ shop: 'Chur' }, { shop: 'Arosa' }],
  ],
  [
    'join, inner',
    [
      { type: 'join', dataset: 'more', keys: ['shop'], how: 'inner' },
      { type: 'select', columns: ['day', 'revenue_right', 'note'] },
    ],
    [
      { day: '2026-03-01', revenue_right: 1, note: 'x' },
      { day: '2026-03-02', revenue_right: 1, note: 'x' },
    ],
  ],
  [
    'join, semi',
    [{ type: 'join', dataset: 'more', keys: ['shop'], how: 'semi' }],
    [bern('1', 12.5), bern('2', 31)],
  ],
  [
    'join, anti',
    [{ type: 'join', dataset: 'more', keys: ['shop'], how: 'anti' }],
    [chur('1', 7), chur('3', null)],
  ],
  [
    'join, cross',
    [
      { type: 'limit', rows: 1 },
      { type: 'join', dataset: 'more', how: 'cross' },
    ],
    [{ ...bern('1', 12.5), shop_right: 'Bern', revenue_right: 1, note: 'x' }],
  ],
  [
    'join, as of',
    [
      {
        type: 'join',
        dataset: 'prices',
        how: 'asof',
        keys: ['shop'],
        nearest: { column: 'day', of: 'since' },
      },
      { type: 'select', columns: ['shop', 'day', 'price'] },
    ],
    [
      { shop: 'Bern', day: '2026-03-01', price: 1 },
      { shop: 'Chur', day: '2026-03-01', price: null },
      { shop: 'Bern', day: '2026-03-02', price: 2 },
      { shop: 'Chur', day: '2026-03-03', price: 3 },
    ],
  ],
  [
    'join, as of what comes next',
    [
      { type: 'filter', condition: "day = DATE '2026-03-01'" },
      {
        type: 'join',
        dataset: 'prices',
        how: 'asof',
        keys: ['shop'],
        nearest: { column: 'day', of: 'since', direction: 'forward' },
      },
      { type: 'select', columns: ['shop', 'price'] },
    ],
    [
      { shop: 'Bern', price: 2 },
      { shop: 'Chur', price: 3 },
    ],
  ],
  [
    'pivot',
    [
      {
        type: 'pivot',
        on: 'shop',
        values: ['Bern', 'Chur', "O'Brien"],
        using: 'sum(revenue)',
        group_by: 'day',
      },
    ],
    [
      { day: '2026-03-01', Bern: 12.5, Chur: 7, "O'Brien": null },
      { day: '2026-03-02', Bern: 31, Chur: null, "O'Brien": null },
      { day: '2026-03-03', Bern: null, Chur: null, "O'Brien": null },
    ],
  ],
  [
    'pivot, by all other columns',
    [{ type: 'pivot', on: 'shop', values: ['Chur'], using: 'count(revenue)' }],
    [
      { day: '2026-03-01', Chur: 1 },
      { day: '2026-03-02', Chur: 0 },
      { day: '2026-03-03', Chur: 0 },
    ],
  ],
  [
    'unpivot',
    [
      { type: 'filter', condition: "day = DATE '2026-03-03'" },
      { type: 'mutate', expression: 'visits = 5.0::DOUBLE' },
      {
        type: 'unpivot',
        columns: ['revenue', 'visits'],
        name_to: 'what',
        value_to: 'n',
        keep_nulls: true,
      },
    ],
    [
      { day: '2026-03-03', shop: 'Chur', what: 'revenue', n: null },
      { day: '2026-03-03', shop: 'Chur', what: 'visits', n: 5 },
    ],
  ],
  [
    'fill with a value',
    [
      { type: 'fill', columns: ['revenue'], value: 0 },
      { type: 'filter', condition: 'revenue = 0' },
    ],
    [chur('3', 0)],
  ],
  [
    'fill forward',
    [
      { type: 'fill', columns: 'revenue', method: 'forward', order_by: 'day', group_by: 'shop' },
      { type: 'filter', condition: "day = DATE '2026-03-03'" },
    ],
    [chur('3', 7)],
  ],
  [
    'fill backward',
    [
      { type: 'mutate', expression: 'revenue = if_else(revenue > 20, NULL, revenue)' },
      { type: 'fill', columns: 'revenue', method: 'backward', order_by: ['-day', '-shop'] },
      { type: 'filter', condition: "day = DATE '2026-03-02'" },
    ],
    [bern('2', 7)],
  ],
  [
    'cast',
    [
      { type: 'filter', condition: "shop = 'Bern'" },
      { type: 'cast', columns: { revenue: 'integer', shop: 'DOUBLE' }, on_error: 'null' },
    ],
    [
      { day: '2026-03-01', shop: null, revenue: 12 },
      { day: '2026-03-02', shop: null, revenue: 31 },
    ],
  ],
  [
    'sample',
    [
      { type: 'sample', rows: 3, seed: 1 },
      { type: 'aggregate', metrics: 'n = n()' },
    ],
    [{ n: 3 }],
  ],
  [
    'sample of all',
    [
      { type: 'sample', share: 1 },
      { type: 'aggregate', metrics: 'n = n()' },
    ],
    [{ n: 4 }],
  ],
  [
    'window',
    [
      { type: 'window', expression: 'so_far = sum(revenue) OVER (PARTITION BY shop ORDER BY day)' },
      { type: 'filter', condition: "shop = 'Bern'" },
    ],
    [
      { ...bern('1', 12.5), so_far: 12.5 },
      { ...bern('2', 31), so_far: 43.5 },
    ],
  ],
]

describe('a step', () => {
  test.each(steps.map((each) => [each[0], each] as const))(
    '%s',
    async (_, [, operations, rows]) => {
      const whole = await process(operations, { format: 'json' })
      expect(whole.body).toMatchObject({ rows: rows.length })
      expect(byText(whole.body['data'] as unknown[])).toEqual(byText(rows))

      // What is said of it beforehand is so.
      const dry = await process(operations, {}, `${PROCESS}?dry_run`)
      expect(dry.body).toMatchObject({ schema: whole.body['columns'] })
      const names = (whole.body['columns'] as { name: string }[]).map(({ name }) => name)
      expect(Object.keys(dry.body['lineage'] as object).toSorted()).toEqual(names.toSorted())
      const [sql, second] = dry.body['statements'] as string[]
      expect(second).toBeUndefined()
      const answer = await harness.request({ path: '/api/v1/query', body: { sql }, token: ada })
      const asked = (await answer.json()) as { data: unknown[] }
      expect(byText(asked.data)).toEqual(byText(rows))
    },
  )
})

test('the answer counts all rows and shows the first ten', async () => {
  const many = await process([
    { type: 'join', dataset: 'sales', how: 'cross' },
    { type: 'sort', by: 'revenue' },
  ])
  expect(many).toMatchObject({ status: 200, body: { rows: 16, columns: 6 } })
  expect(many.body['sample']).toHaveLength(10)
  expect(many.body['processing_time']).toBeGreaterThan(0)
  expect(many.body['schema']).toContainEqual({ name: 'revenue_right', type: 'DOUBLE' })
})

test('rows come in the form that is wanted', async () => {
  const body = { file_path: 'sales', operations: [{ type: 'limit', rows: 1 }] }
  const headers = { accept: 'text/csv' }
  const answer = await harness.request({ path: PROCESS, body, headers, token: ada })
  expect(await answer.text()).toBe('day,shop,revenue\n2026-03-01,Bern,12.5\n')
})

test('lineage goes through every step to the datasets', async () => {
  const { body } = await process(
    [
      { type: 'rename', columns: { revenue: 'takings' } },
      { type: 'mutate', expression: 'share = takings / dayofmonth(day)' },
      { type: 'join', dataset: 'shops', keys: ['shop'], how: 'full' },
      { type: 'aggregate', group_by: ['shop'], metrics: ['s = max(share)', 'c = min(canton)'] },
    ],
    {},
    `${PROCESS}?dry_run=true`,
  )
  expect(body['lineage']).toEqual({
    shop: [
      { dataset: 'sales', column: 'shop' },
      { dataset: 'shops', column: 'shop' },
    ],
    s: [
      { dataset: 'sales', column: 'revenue' },
      { dataset: 'sales', column: 'day' },
    ],
    c: [{ dataset: 'shops', column: 'canton' }],
  })
})

test('parameters are bound, and versions pinned', async () => {
  const headers = { 'content-type': 'text/csv' }
  const path = '/api/v1/datasets?name=sales&mode=append'
  const row = 'day,shop,revenue\n2026-03-04,Bern,99\n'
  await harness.request({ path, body: row, headers, token: ada })
  const operations = [
    { type: 'filter', condition: 'revenue > $least OR shop = $shop' },
    { type: 'aggregate', metrics: 'n = n()' },
  ]
  const parameters = { least: 20, shop: "' OR 1 = 1 --" }
  expect((await process(operations, { parameters })).body['sample']).toEqual([{ n: 2 }])
  const before = await process(operations, { parameters, versions: { sales: 1 } })
  expect(before.body['sample']).toEqual([{ n: 1 }])
  await harness.request({ method: 'DELETE', path: '/api/v1/datasets/sales/versions/2', token: ada })
})

describe('predict', () => {
  const predict = { type: 'predict', model: 'classification' }
  const points = { file_path: 'points' }

  test('puts what a model says beside the rows, and steps go on from there', async () => {
    const { body } = await process([predict], { ...points, format: 'json' })
    const rows = body['data'] as Record<string, unknown>[]
    const answer = await harness.request({
      path: '/api/v1/predict',
      body: { model_type: 'classification', features: rows.map(({ x1, x2 }) => ({ x1, x2 })) },
      token: ada,
    })
    const { predictions, probabilities } = (await answer.json()) as {
      predictions: string[]
      probabilities: Record<string, number>[]
    }
    const name = Object.keys(rows[0]!).find((each) => typeof rows[0]![each] === 'string')
    expect(rows.map((row) => row[name!])).toEqual(predictions)
    const [label] = Object.keys(probabilities[0]!)
    expect(rows.map((row) => row[`probability.${label}`])).toEqual(
      probabilities.map((row) => row[label!]),
    )

    const further = [
      { type: 'sort', by: '-n' },
      { ...predict, prefix: 'said ' },
      { type: 'filter', condition: 'n < 3' },
      { type: 'select', columns: ['n', `said ${name}`] },
    ]
    const after = await process(further, points)
    expect(after.body).toMatchObject({
      rows: 2,
      sample: [2, 1].map((n) => ({ n, [`said ${name}`]: predictions[n - 1] })),
    })
    const dry = await process(further, points, `${PROCESS}?dry_run`)
    expect(dry.body['statements']).toHaveLength(2)
    expect(dry.body['schema']).toEqual([
      { name: 'n', type: 'BIGINT' },
      { name: `said ${name}`, type: 'VARCHAR' },
    ])
    expect(dry.body['lineage']).toEqual({
      n: [{ dataset: 'points', column: 'n' }],
      [`said ${name}`]: ['x1', 'x2'].map((column) => ({ dataset: 'points', column })),
    })
  })

  test('of many rows keeps each with its own', async () => {
    const operations = [
      { type: 'join', dataset: 'many', how: 'cross' },
      { type: 'mutate', expression: { x1: 'm % 7 - 3.0', x2: 'n - 2.0' } },
      predict,
    ]
    const named = await process([predict], { ...points, format: 'json' })
    const [row] = named.body['data'] as Record<string, unknown>[]
    const label = Object.keys(row!).find((each) => typeof row![each] === 'string')
    const counting = {
      type: 'aggregate',
      group_by: ['x1', 'x2'],
      metrics: { classes: `count(DISTINCT "${label}")`, n: 'n()' },
    }
    const { body } = await process([...operations, counting], { ...points, format: 'json' })
    const rows = body['data'] as { classes: number; n: number }[]
    expect(rows.length).toBe(21)
    expect(rows.every(({ classes }) => classes === 1)).toBe(true)
    expect(rows.reduce((sum, { n }) => sum + n, 0)).toBe(6000)
  })

  test.each([
    [{ model: 'none' }, '#/operations/0/model', /no model "none"/],
    [{}, '#/operations/0', /needs a column \w+/],
    [{ inputs: { x3: 'shop' } }, '#/operations/0/inputs', /no input x3/],
    [{ inputs: { x1: 'shopp' } }, '#/operations/0/inputs', /no column shopp. Is it shop/],
  ])('%p is refused', async (rest, pointer, detail) => {
    const { status, body } = await process([{ ...predict, ...rest }])
    expect(status).toBe(422)
    const [error] = body['errors'] as { pointer: string; detail: string }[]
    expect(error!.pointer).toStartWith(pointer)
    expect(error!.detail).toMatch(detail)
  })
})

const refusals: [step: Step, pointer: string, detail: RegExp, position?: number][] = [
  [{ type: 'drop' }, '#/operations/0/type', /filter/],
  [{ type: 'filter' }, '#/operations/0/condition', /./],
  [{ type: 'filter', condition: 'revenu > 1' }, '#/operations/0/condition', /Is it revenue/, 1],
  [{ type: 'filter', condition: '1 + shopp' }, '#/operations/0/condition', /Is it shop\?/, 5],
  [{ type: 'filter', condition: 'revenue >' }, '#/operations/0/condition', /ends too early/, 10],
  [{ type: 'filter', condition: 'sum(revenue) > 1' }, '#/operations/0/condition', /many rows/],
  [{ type: 'mutate', expression: 'revenue * 2' }, '#/operations/0/expression', /name = expr/],
  [{ type: 'mutate', expression: 'a = b' }, '#/operations/0/expression', /no column b/, 5],
  [{ type: 'mutate', expression: {} }, '#/operations/0/expression', /no expression/],
  [
    { type: 'mutate', expression: { a: '1', b: "getenv('HOME')" } },
    '#/operations/0/expression/b',
    /no function getenv/,
  ],
  [{ type: 'window', expression: 'a = 1; DROP TABLE x' }, '#/operations/0/expression', /no ;/],
  [{ type: 'aggregate', metrics: [] }, '#/operations/0/metrics', /./],
  [{ type: 'aggregate', group_by: ['x'], metrics: 'n()' }, '#/operations/0/group_by/0', /column x/],
  [{ type: 'aggregate', metrics: ['n()', 'n()'] }, '#/operations/0/metrics/1', /Two columns/],
  [{ type: 'aggregate', metrics: 'revenue' }, '#/operations/0/metrics', /of each row/],
  [{ type: 'select' }, '#/operations/0', /columns, or except/],
  [{ type: 'select', columns: { a: 'day', A: 'shop' } }, '#/operations/0/columns', /Two columns/],
  [{ type: 'select', except: ['day', 'shop', 'revenue'] }, '#/operations/0/except', /No column/],
  [{ type: 'rename', columns: { day: 'SHOP' } }, '#/operations/0/columns', /Two columns/],
  [{ type: 'sort', by: ['-days'] }, '#/operations/0/by/0', /Is it day/],
  [{ type: 'limit', rows: -1 }, '#/operations/0/rows', /./],
  [{ type: 'limit', rows: 1.5 }, '#/operations/0/rows', /./],
  [{ type: 'deduplicate', keys: ['shop'] }, '#/operations/0/order_by', /./],
  [{ type: 'join', keys: ['shop'] }, '#/operations/0', /dataset, or join_path/],
  [{ type: 'join', dataset: 'shops' }, '#/operations/0', /keys/],
  [{ type: 'join', dataset: 'shops', keys: ['x'] }, '#/operations/0/keys/0', /no column x/],
  [
    { type: 'join', dataset: 'shops', keys: { shop: 'shopp' } },
    '#/operations/0/keys/shop',
    /dataset has no column shopp/,
  ],
  [{ type: 'join', dataset: 'shops', keys: ['shop'], how: 'asof' }, '#/operations/0', /nearest/],
  [{ type: 'join', dataset: '/etc/passwd', keys: ['x'] }, '#/operations/0/dataset', /lower-case/],
  [{ type: 'join', join_path: '../sales', keys: ['x'] }, '#/operations/0/join_path', /lower-case/],
  [
    { type: 'pivot', on: 'shop', values: ['a', 'A'], using: 'sum(revenue)' },
    '#/operations/0/values',
    /Two columns/,
  ],
  [
    { type: 'pivot', on: 'shop', values: ['a'], using: 'revenue' },
    '#/operations/0/using',
    /of each row/,
  ],
  [{ type: 'unpivot', columns: ['revenue'], name_to: 'day' }, '#/operations/0/name_to', /already/],
  [{ type: 'unpivot', columns: ['day', 'revenue'] }, '#', /./],
  [{ type: 'fill', columns: ['revenue'] }, '#/operations/0', /value, or method/],
  [{ type: 'fill', columns: ['revenue'], method: 'forward' }, '#/operations/0', /order_by/],
  [{ type: 'fill', columns: ['revenue'], value: 'x' }, '#', /DOUBLE/],
  [{ type: 'cast', columns: { day: 'INT); DROP' } }, '#/operations/0/columns/day', /type/],
  [{ type: 'cast', columns: { shop: 'INTEGER' } }, '#', /Could not convert/],
  [{ type: 'sample' }, '#/operations/0', /rows, or share/],
  [{ type: 'sample', share: 0 }, '#/operations/0/share', /./],
]

describe('a step that does not fit', () => {
  test.each(refusals.map((each) => [JSON.stringify(each[0]), each] as const))(
    '%s',
    async (_, [step, pointer, detail, position]) => {
      const { status, body } = await process([step])
      expect(status).toBe(422)
      const text = JSON.stringify(body)
      expect(text).not.toContain('/parquet_scan')
      expect(text).not.toMatch(/\/(?:tmp|work|data|home|root)\b/)
      if (pointer === '#') {
        expect(String(body['detail'])).toMatch(detail)
        return
      }
      const [error] = body['errors'] as { pointer: string; detail: string; position?: number }[]
      expect(error!.pointer).toStartWith(pointer)
      expect(error!.detail).toMatch(detail)
      if (position !== undefined) expect(error!.position).toBe(position)
    },
  )
})

describe('a hostile expression', () => {
  test.each(hostileExpressions.map((each) => [each[0], each] as const))(
    '%s',
    async (_, [text, use]) => {
      const step =
        use === 'row'
          ? { type: 'filter', condition: text }
          : use === 'aggregate'
            ? { type: 'aggregate', metrics: { x: text } }
            : { type: 'window', expression: { x: text } }
      const { status, body } = await process([step])
      expect(status).toBe(422)
      expect(JSON.stringify(body)).not.toMatch(/root:|\/(?:tmp|work|data|home|root)\b/)
    },
  )
})

const operations = [{ type: 'limit', rows: 1 }]
testRequests(
  () => harness,
  [
    { name: 'nobody', path: PROCESS, body: { file_path: 'sales', operations }, status: 401 },
    {
      name: 'somebody else’s',
      as: 'eve',
      path: PROCESS,
      body: { file_path: 'sales', operations },
      status: 404,
    },
    {
      name: 'a join with somebody else’s',
      as: 'eve',
      path: PROCESS,
      body: { file_path: 'hers', operations: [{ type: 'union', datasets: ['sales'] }] },
      status: 404,
      mustNotContain: ['revenue'],
    },
    {
      name: 'a path of the server',
      as: 'ada',
      path: PROCESS,
      body: { file_path: '/etc/passwd', operations },
      status: 422,
    },
    {
      name: 'no steps',
      as: 'ada',
      path: PROCESS,
      body: { file_path: 'sales' },
      status: 422,
    },
    {
      name: 'too many steps',
      as: 'ada',
      path: PROCESS,
      body: { file_path: 'sales', operations: Array(101).fill(operations[0]) },
      status: 422,
    },
  ],
  () => ({ ada, eve }),
)
