import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { MODELS_DIR, type Harness, openHarness } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'

const DIAMONDS = '/api/v1/models/regression/predict'
const PENGUINS = '/api/v1/models/classification/predict'
const CO2 = '/api/v1/models/forecast/predict'
const STREAM_BYTES_MAX = 2_000_000

const CSV = 'text/csv'
const NDJSON = 'application/x-ndjson'
const PLAIN_JSON = 'application/json'

const HEADER = 'carat,depth,table,x,y,z,cut,color,clarity'
const CELLS = '0.31,61.5,55,4.35,4.37,2.68,Ideal,E,SI1'
const diamond = {
  carat: 0.31,
  depth: 61.5,
  table: 55,
  x: 4.35,
  y: 4.37,
  z: 2.68,
  cut: 'Ideal',
  color: 'E',
  clarity: 'SI1',
}

let harness: Harness
let outsider: string
beforeAll(async () => {
  harness = await openHarness({
    MODELS_DIR,
    PREDICT_STREAM_BYTES_MAX: String(STREAM_BYTES_MAX),
    BODY_BYTES_MAX: '10000',
  })
  await harness.addAccount({ username: 'outsider' })
  outsider = await harness.logIn('outsider')
  await harness.request({
    method: 'PUT',
    path: '/api/v1/grants/model/classification',
    body: { team: 'none', principals: [] },
    token: harness.adminToken,
  })
})
afterAll(() => harness.close())

const ask = (path: string, body: string, type: string, accept?: string) =>
  harness.request({
    path,
    body,
    token: harness.adminToken,
    headers: { 'content-type': type, ...(accept === undefined ? {} : { accept }) },
  })
async function answered(...asked: Parameters<typeof ask>): Promise<string> {
  const response = await ask(...asked)
  const text = await response.text()
  expect({ status: response.status, text }).toEqual({ status: 200, text: expect.any(String) })
  return text
}
/** What the same row is by /api/v1/predict. */
async function price(row: object): Promise<number> {
  const response = await harness.request({
    path: '/api/v1/predict',
    body: { model_type: 'regression', features: [row] },
    token: harness.adminToken,
  })
  return ((await response.json()) as { predictions: number[] }).predictions[0]!
}

describe('refused', () => {
  const refused = (name: string, body: string, type: string, status: number, detail?: string) =>
    ({
      name,
      as: 'admin',
      path: DIAMONDS,
      body,
      headers: { 'content-type': type },
      status,
      ...(detail === undefined ? {} : { has: { detail: expect.stringContaining(detail) } }),
    }) satisfies Row
  testRequests(
    () => harness,
    [
      { ...refused('no token', CELLS, CSV, 401), as: '' },
      { ...refused('no model', CELLS, CSV, 404), path: '/api/v1/models/nothing/predict' },
      {
        ...refused('a model that one may not use', CELLS, CSV, 404, 'no model "classification"'),
        path: PENGUINS,
        as: 'outsider',
      },
      refused('another type', CELLS, 'application/xml', 415, 'text/csv'),
      {
        ...refused('an answer of another type', `${HEADER}\n${CELLS}`, CSV, 406, 'text/csv'),
        headers: { 'content-type': CSV, accept: 'image/png' },
      },
      { ...refused('an unknown query', CELLS, CSV, 422), path: `${DIAMONDS}?include=everything` },
      refused('a table without a column', 'carat\n1\n', CSV, 422, 'no column "depth"'),
      refused('a column twice', `${HEADER},carat\n${CELLS},1\n`, CSV, 422, '"carat" stands twice'),
      refused('a row with too few cells', `${HEADER}\n1,2\n`, CSV, 422, 'Row 1'),
      refused('a quote that is not closed', `${HEADER}\n"${CELLS}\n`, CSV, 422, 'CSV'),
      refused(
        'a cell that is no number',
        `${HEADER}\n${CELLS.replace('0.31', 'much')}\n`,
        CSV,
        422,
        '#/0/carat',
      ),
      refused(
        'a category that is none',
        `${HEADER}\n${CELLS}\n${CELLS.replace('Ideal', 'Bad')}\n`,
        CSV,
        422,
        '#/1/cut',
      ),
      {
        ...refused(
          'a time that is none, in a row of a forecast',
          '{"history":[1]}\n{"history":[1],"last_timestamp":"soon"}\n',
          NDJSON,
          422,
          '#/1/last_timestamp: expected a time such as',
        ),
        path: CO2,
      },
      { ...refused('a series as a cell', 'history\n1\n', CSV, 422, 'send NDJSON'), path: CO2 },
      refused('a line that is no JSON', `${JSON.stringify(diamond)}\n{`, NDJSON, 422, 'Row 2'),
      refused('a line that is no row', `${JSON.stringify(diamond)}\n[1]\n`, NDJSON, 422, '#/1'),
      refused('a line with a column that is none', '{"carats":1}\n', NDJSON, 422, '#/0/carats'),
      refused('a line without an end', `"${'x'.repeat(1_100_000)}`, NDJSON, 422, 'longer than'),
      refused('JSON that is none', '[', PLAIN_JSON, 400),
      refused('JSON that is no list', '{}', PLAIN_JSON, 422, 'list of rows'),
      refused(
        'JSON that is too long',
        `[${JSON.stringify(diamond)}${' '.repeat(10_000)}]`,
        PLAIN_JSON,
        413,
        'NDJSON and CSV may have more',
      ),
      refused('a table that is too long', `${HEADER}\n${' '.repeat(STREAM_BYTES_MAX)}`, CSV, 413),
    ],
    () => ({ outsider }),
  )
})

test('a header of a hundred thousand columns is refused at once', async () => {
  const columns = Array.from({ length: 100_000 }, (_, at) => `c${at}`).join(',')
  const startedAt = performance.now()
  const answer = await ask(DIAMONDS, `${HEADER},${columns}\n`, CSV)
  expect([answer.status, await answer.text()]).toEqual([
    422,
    expect.stringContaining('more than 20000 columns'),
  ])
  // It took most of a minute once.
  expect(performance.now() - startedAt).toBeLessThan(5_000)
})

describe('a table', () => {
  test('is answered in the form that it has, or that is preferred', async () => {
    const expected = await price(diamond)
    const sent = {
      [CSV]: `${HEADER}\n${CELLS}\n`,
      [NDJSON]: `${JSON.stringify(diamond)}\n`,
      [PLAIN_JSON]: JSON.stringify([diamond]),
    }
    const wanted = {
      [CSV]: `price\r\n${expected}\r\n`,
      [NDJSON]: `{"price":${expected}}\n`,
      [PLAIN_JSON]: `[{"price":${expected}}]\n`,
    }
    for (const [type, body] of Object.entries(sent)) {
      expect(await answered(DIAMONDS, body, type)).toBe(wanted[type as keyof typeof wanted])
      for (const [accept, text] of Object.entries(wanted)) {
        expect(await answered(DIAMONDS, body, type, accept)).toBe(text)
        const answer = await ask(DIAMONDS, body, type, `${accept};q=0.9, image/png, */*;q=0.1`)
        expect(answer.headers.get('content-type')).toStartWith(accept)
        await answer.text()
      }
      expect(await answered(DIAMONDS, body, type, '*/*')).toBe(wanted[type as keyof typeof wanted])
    }
  })

  test('of classes has their probabilities, and of a forecast its steps', async () => {
    const header = 'bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,island,sex'
    const body = `${header}\n39.1,18.7,181,3750,Torgersen,NA\n46.5,14.8,217,5200,Biscoe,\n`
    const [columns, first, second] = (await answered(PENGUINS, body, CSV)).split('\r\n')
    expect(columns).toBe('species,probability.Adelie,probability.Chinstrap,probability.Gentoo')
    expect(first).toMatch(/^Adelie,0\.\d+,/)
    expect(second).toMatch(/^Gentoo,/)
    const rows = JSON.parse(await answered(PENGUINS, body, CSV, PLAIN_JSON)) as object[]
    expect(rows).toMatchObject([
      { species: 'Adelie', probabilities: { Adelie: expect.any(Number) } },
      { species: 'Gentoo' },
    ])

    const history = { history: [371.3, 372.1, 372.8], horizon: 2 }
    const numbers = [expect.any(Number), expect.any(Number)]
    const steps = await answered(CO2, `${JSON.stringify(history)}\n`, NDJSON)
    expect(JSON.parse(steps)).toEqual({
      co2: numbers,
      intervals: [0.8, 0.95].map((level) => ({ level, lower: numbers, upper: numbers })),
    } as never)
    const table = await answered(CO2, `${JSON.stringify(history)}\n`, NDJSON, CSV)
    expect(table.split('\r\n')[0]).toStartWith('co2.1,co2.2,')
    expect(table.split('\r\n')[1]).toMatch(/^[\d.]+,[\d.]+,{46}(,[\d.]+,[\d.]+,{22}){4}$/)
  })

  test('of a forecast has the times of its steps, where a row tells when its history was', async () => {
    const history = { history: [371.3, 372.1, 372.8], horizon: 2 }
    const rows = [
      { ...history, last_timestamp: '2026-01-31' },
      history,
      { ...history, timestamps: ['2026-01-01', '2026-01-02', '2026-01-03'] },
    ]
    const body = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
    const timestamps = ['2026-02-28T00:00:00.000Z', '2026-03-31T00:00:00.000Z']
    const daily = ['2026-01-04T00:00:00.000Z', '2026-01-05T00:00:00.000Z']
    const lines = (await answered(CO2, body, NDJSON)).trim().split('\n')
    const objects = lines.map(
      (line) => JSON.parse(line) as { timestamps?: string[]; co2: number[] },
    )
    expect(objects.map((each) => each.timestamps)).toEqual([timestamps, undefined, daily])
    expect(JSON.parse(await answered(CO2, JSON.stringify(rows), PLAIN_JSON))).toEqual(objects)
    const asSent = await answered(`${CO2}?include=inputs`, body, NDJSON)
    expect(JSON.parse(asSent.split('\n')[0]!)).toEqual({ ...rows[0], ...objects[0] })

    const [header = '', ...cells] = (await answered(CO2, body, NDJSON, CSV)).trim().split('\r\n')
    const columns = header.split(',')
    expect(columns).toHaveLength(24 * 6)
    for (const [at, name] of [
      'co2',
      'co2.timestamp',
      'co2.lower_80',
      'co2.upper_80',
      'co2.lower_95',
      'co2.upper_95',
    ].entries()) {
      expect(columns[24 * at]).toBe(`${name}.1`)
      expect(columns[24 * at + 23]).toBe(`${name}.24`)
    }
    const cellsAt = (row: number, name: string) => cells[row]!.split(',')[columns.indexOf(name)]
    expect(cellsAt(0, 'co2.timestamp.2')).toBe(timestamps[1])
    expect(cellsAt(0, 'co2.timestamp.3')).toBe('')
    expect(cellsAt(1, 'co2.timestamp.1')).toBe('')
    expect(cellsAt(2, 'co2.timestamp.1')).toBe(daily[0])
    expect(Number(cellsAt(0, 'co2.lower_80.2'))).toBeLessThan(objects[0]!.co2[1]!)
    expect(Number(cellsAt(0, 'co2.upper_95.2'))).toBeGreaterThan(
      Number(cellsAt(0, 'co2.upper_80.2')),
    )
  })

  test('has what was sent before it, where that is wanted, and what is not for the model too', async () => {
    const expected = await price(diamond)
    const body = `id,${HEADER},note\r\n7,${CELLS},"a ""b"", c"\r\n`
    const path = `${DIAMONDS}?include=inputs`
    expect(await answered(path, body, CSV)).toBe(
      `id,${HEADER},note,price\r\n7,${CELLS},"a ""b"", c",${expected}\r\n`,
    )
    expect(await answered(DIAMONDS, body, CSV)).toBe(`price\r\n${expected}\r\n`)
    const rows = await answered(path, `${JSON.stringify(diamond)}\n`, NDJSON)
    expect(JSON.parse(rows)).toEqual({ ...diamond, price: expected })
    const asTable = await answered(path, `${JSON.stringify(diamond)}\n`, NDJSON, CSV)
    expect(asTable).toBe(`${HEADER},price\r\n${CELLS},${expected}\r\n`)
  })

  test('keeps what is not for the model also where each row names its columns', async () => {
    const expected = await price(diamond)
    const row = { id: 7, ...diamond, price: 326 }
    const path = `${DIAMONDS}?include=inputs`
    const beside = { ...row, 'predicted.price': expected }
    expect(JSON.parse(await answered(path, JSON.stringify(row), NDJSON))).toEqual(beside)
    expect(JSON.parse(await answered(path, JSON.stringify([row]), PLAIN_JSON))).toEqual([beside])
    expect(await answered(path, JSON.stringify(row), NDJSON, CSV)).toBe(
      `id,${HEADER},price,predicted.price\r\n7,${CELLS},326,${expected}\r\n`,
    )
    expect(JSON.parse(await answered(DIAMONDS, JSON.stringify(row), NDJSON))).toEqual({
      price: expected,
    })
    // Of a row that lacks an input another name may be meant for it.
    const { carat, ...rest } = diamond
    const response = await ask(path, JSON.stringify({ ...rest, carrat: carat }), NDJSON)
    expect(response.status).toBe(422)
    expect(await response.text()).toContain('carrat')
  })

  test('may have truth values where the model takes numbers', async () => {
    const cellsOf = (truth: string, lie: string) => CELLS.replace('0.31,61.5', `${truth},${lie}`)
    const numbers = await answered(DIAMONDS, `${HEADER}\n${cellsOf('1', '0')}\n`, CSV)
    for (const [truth, lie] of [
      ['TRUE', 'FALSE'],
      ['True', 'False'],
      ['true', 'false'],
    ] as const) {
      expect(await answered(DIAMONDS, `${HEADER}\n${cellsOf(truth, lie)}\n`, CSV)).toBe(numbers)
    }
    const row = JSON.stringify({ ...diamond, carat: true, depth: false })
    expect(await answered(DIAMONDS, row, NDJSON, CSV)).toBe(numbers)
  })

  test('may lack values, have a mark at its beginning, columns in any order, and no row', async () => {
    const expected = await price({ ...diamond, depth: null, cut: null })
    const columns = HEADER.split(',').toReversed()
    const cells = CELLS.replace('61.5', 'NA').replace('Ideal', '').split(',').toReversed()
    const body = `\uFEFF${columns.join()}\n\n${cells.join()}\n`
    expect(await answered(DIAMONDS, body, CSV)).toBe(`price\r\n${expected}\r\n`)
    expect(await answered(DIAMONDS, `${HEADER}\n`, CSV)).toBe('price\r\n')
    expect(await answered(DIAMONDS, '', NDJSON)).toBe('')
    expect(await answered(DIAMONDS, '[]', PLAIN_JSON)).toBe('[]\n')
  })
})

/** A body that tells how much of it was read. */
function streamed(lines: (at: number) => string | undefined) {
  const read = { lines: 0 }
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await Bun.sleep(0)
      const line = lines(read.lines)
      if (line === undefined) return controller.close()
      read.lines += 1
      controller.enqueue(Buffer.from(line))
    },
  })
  return { body, read }
}

describe('a long table', () => {
  const line = `${JSON.stringify(diamond)}\n`

  test('is answered while it is still being sent', async () => {
    const { body, read } = streamed((at) => (at < 3000 ? line : undefined))
    const answer = await harness.request({
      path: DIAMONDS,
      body,
      token: harness.adminToken,
      headers: { 'content-type': NDJSON },
    })
    const readAtFirst = read.lines
    expect(answer.status).toBe(200)
    expect((await answer.text()).split('\n')).toHaveLength(3001)
    expect(readAtFirst).toBeLessThan(2000)
    expect(read.lines).toBe(3000)
  })

  test('is broken off at a fault behind the first rows, and no bug is in the log', async () => {
    const { body } = streamed((at) => (at < 2000 ? line : at === 2000 ? '{\n' : undefined))
    const before = harness.lines.length
    const answer = await harness.request({
      path: DIAMONDS,
      body,
      token: harness.adminToken,
      headers: { 'content-type': NDJSON },
    })
    expect(answer.status).toBe(200)
    expect(await answer.text().catch(() => 'broken off')).toBe('broken off')
    expect(harness.lines.slice(before).filter((each) => each.includes('bug'))).toEqual([])
  })

  test('is not read to its end for who has gone', async () => {
    const { body, read } = streamed(() => line)
    const answer = await harness.request({
      path: DIAMONDS,
      body,
      token: harness.adminToken,
      headers: { 'content-type': NDJSON },
    })
    await answer.body!.cancel()
    const soonAfter = read.lines
    await Bun.sleep(50)
    expect(read.lines - soonAfter).toBeLessThan(50)
  })
})
