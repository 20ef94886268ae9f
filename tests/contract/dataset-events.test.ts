import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { type Harness, openHarness } from '../support/harness.ts'
import { until } from '../support/until.ts'

const HOUR_MS = 3_600_000
const NDJSON = 'application/x-ndjson'

let harness: Harness
const tokens: Record<string, string> = {}
async function open(settings: Record<string, string> = {}): Promise<void> {
  harness = await openHarness(settings)
  await harness.addAccount({ username: 'ada', role: 'editor' })
  await harness.addAccount({ username: 'eve', role: 'editor' })
  await harness.addAccount({ username: 'vic', role: 'viewer' })
  await logIn()
}
async function logIn(): Promise<void> {
  for (const username of ['ada', 'eve', 'vic']) tokens[username] = await harness.logIn(username)
}
beforeEach(() => open())
afterEach(() => harness.close())

async function send(name: string, body: string, { as = 'ada', type = NDJSON } = {}) {
  const response = await harness.request({
    path: `/api/v1/datasets/${name}/events`,
    body,
    headers: { 'content-type': type },
    token: tokens[as]!,
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

async function get(path: string) {
  const response = await harness.request({
    path: `/api/v1/datasets/${path}`,
    token: tokens['ada']!,
  })
  return (await response.json()) as Record<string, unknown>
}

async function rowsOf(name: string): Promise<unknown> {
  const sql = `SELECT * FROM ${name} ORDER BY ALL`
  const asked = { path: '/api/v1/query', body: { sql }, token: tokens['ada']! }
  const response = await harness.request(asked)
  return ((await response.json()) as { data: unknown }).data
}

const filesOf = async () =>
  (await harness.platform.storage.list({ prefix: 'datasets/' })).files.length

describe('events', () => {
  test('make a dataset, and join its open version', async () => {
    expect(await send('clicks', '{"n":1,"who":"a"}\n{"n":2,"who":"b"}\n')).toEqual({
      status: 200,
      body: { rows: 2, version: 1 },
    })
    expect(await send('clicks', '{"n":3,"who":null}')).toMatchObject({ body: { version: 1 } })
    expect(await get('clicks')).toMatchObject({
      owner: { name: 'ada' },
      newest: {
        version: 1,
        origin: 'events',
        rows: 3,
        columns: [
          { name: 'n', type: 'BIGINT' },
          { name: 'who', type: 'VARCHAR' },
        ],
      },
    })
    expect(await rowsOf('clicks')).toEqual([
      { n: 1, who: 'a' },
      { n: 2, who: 'b' },
      { n: 3, who: null },
    ])
    await harness.published()
    const added = harness.events.filter(({ type }) => type === 'datasets.version_added')
    expect(added).toHaveLength(1)
  })

  test('that come at the same time are written together, and none is lost', async () => {
    const all = Array.from({ length: 200 }, (_, at) => send('together', `{"n":${at}}`))
    const answers = await Promise.all(all)
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    const rows = (await rowsOf('together')) as { n: number }[]
    expect(rows.map(({ n }) => n)).toEqual(Array.from({ length: 200 }, (_, at) => at))
    expect(await filesOf()).toBeLessThan(20)
  })

  test('are seen by exports that were made before them', async () => {
    await send('seen', '{"n":1}')
    const path = '/api/v1/datasets/seen/export.csv'
    const read = async () => (await harness.request({ path, token: tokens['ada']! })).text()
    expect(await read()).toBe('n\n1\n')
    await send('seen', '{"n":2}')
    expect(await read()).toBe('n\n1\n2\n')
  })

  test('that do not fit are refused alone', async () => {
    await send('typed', '{"n":1,"day":"2026-01-02"}')
    const [good, bad, other] = await Promise.all([
      send('typed', '{"n":2}'),
      send('typed', '{"n":"many"}\n{"n":4}'),
      send('typed', '{"n":3,"more":true}'),
    ])
    expect([good.status, bad.status, other.status]).toEqual([200, 422, 200])
    expect(await rowsOf('typed')).toEqual([
      { n: 1, day: '2026-01-02', more: null },
      { n: 2, day: null, more: null },
      { n: 3, day: null, more: true },
    ])
  })

  test('may be CloudEvents', async () => {
    const event = { specversion: '1.0', id: '1', source: '/shop', type: 'sale' }
    const one = JSON.stringify({ ...event, data: { revenue: 12.5 } })
    expect(await send('cloud', one, { type: 'application/cloudevents+json' })).toMatchObject({
      status: 200,
      body: { rows: 1 },
    })
    const two = JSON.stringify([
      { ...event, id: '2', data: { revenue: 7 } },
      { ...event, id: '3' },
    ])
    const type = 'application/cloudevents-batch+json; charset=utf-8'
    expect(await send('cloud', two, { type })).toMatchObject({ body: { rows: 2, version: 1 } })
    expect(await rowsOf('cloud')).toMatchObject([
      { id: '1', type: 'sale', data: { revenue: 12.5 } },
      { id: '2', data: { revenue: 7 } },
      { id: '3', data: null },
    ])
    const lacking = JSON.stringify([event, { ...event, source: '' }])
    expect(await send('cloud', lacking, { type })).toMatchObject({
      status: 422,
      body: { detail: expect.stringMatching(/^Event 2 is none: source/) },
    })
  })

  test.each([
    ['no line', '', NDJSON, 422, 'no row'],
    ['no JSON', '{"n":1}\n{n:2}', NDJSON, 422, 'Line 2 is not valid JSON'],
    ['no object', '[1]', NDJSON, 422, 'Line 1 is no JSON object'],
    ['no type that is known', '{"n":1}', 'text/csv', 415, 'x-ndjson'],
    ['no event', '3', 'application/cloudevents+json', 422, 'Event 1 is none'],
    ['no array', '{}', 'application/cloudevents-batch+json', 422, 'no array'],
  ])('that are %s are refused', async (_, body, type, status, detail) => {
    const answer = await send('refused', body, { type })
    expect(answer.status).toBe(status)
    expect(String(answer.body['detail'])).toContain(detail)
    expect((await send('refused', '{"n":1}')).body).toMatchObject({ version: 1 })
  })

  test('are for who may write', async () => {
    await send('mine', '{"n":1}')
    expect((await send('mine', '{"n":2}', { as: 'vic' })).status).toBe(403)
    expect((await send('mine', '{"n":2}', { as: 'eve' })).status).toBe(409)
    expect((await send('Mine', '{"n":2}')).status).toBe(404)
    expect(await rowsOf('mine')).toEqual([{ n: 1 }])
  })

  test('go behind what somebody uploads meanwhile', async () => {
    await send('mixed', '{"n":1}')
    const path = '/api/v1/datasets?name=mixed&mode=append'
    const headers = { 'content-type': 'text/csv' }
    const upload = { path, body: 'n\n2\n', headers, token: tokens['ada']! }
    const [sent, uploaded] = await Promise.all([
      Promise.all(Array.from({ length: 20 }, (_, at) => send('mixed', `{"n":${at + 10}}`))),
      harness.request(upload),
    ])
    expect(sent.every(({ status }) => status === 200)).toBe(true)
    expect([201, 409]).toContain(uploaded.status)
    const rows = (await rowsOf('mixed')) as unknown[]
    expect(rows).toHaveLength(uploaded.status === 201 ? 22 : 21)
  })
})

describe('an open version', () => {
  test('is closed after an hour, with its files put together', async () => {
    await send('hourly', '{"n":1}')
    await send('hourly', '{"n":2}')
    expect(await filesOf()).toBe(2)
    harness.clock.advance(HOUR_MS + 60_000)
    await logIn()
    await until(async () => (await filesOf()) === 1)
    expect(await rowsOf('hourly')).toEqual([{ n: 1 }, { n: 2 }])
    expect(await get('hourly')).toMatchObject({ newest: { version: 1, rows: 2 } })
    expect(await send('hourly', '{"n":3}')).toMatchObject({ body: { version: 2 } })
    expect(await get('hourly/versions/1')).toMatchObject({ rows: 2 })
    expect(await rowsOf('hourly')).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
  })

  test('is closed when it has many files', async () => {
    for (let n = 0; n < 32; n += 1) await send('many', `{"n":${n}}`)
    expect(await filesOf()).toBe(32)
    harness.clock.advance(60_000)
    await until(async () => (await filesOf()) === 1, 10_000)
    expect((await rowsOf('many')) as unknown[]).toHaveLength(32)
  }, 30_000)
})

describe('limits', () => {
  test('DATASET_EVENTS_BYTES_MAX is what a body may have', async () => {
    await harness.close()
    await open({ DATASET_EVENTS_BYTES_MAX: '100' })
    expect((await send('small', `{"text":"${'x'.repeat(100)}"}`)).status).toBe(413)
    expect((await send('small', '{"text":"x"}')).status).toBe(200)
  })

  test('DATASET_EVENTS_PENDING_BYTES_MAX is what may wait', async () => {
    await harness.close()
    await open({ DATASET_EVENTS_PENDING_BYTES_MAX: '100', DATASET_EVENTS_WAIT_MS: '300' })
    const line = `{"text":"${'x'.repeat(50)}"}`
    const sent = await Promise.all([send('waiting', line), send('waiting', line)])
    // Whichever came first.
    expect(sent.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 503])
    expect((await send('waiting', line)).status).toBe(200)
  })
})
