import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { JobRefused } from '../../src/platform/jobs/jobs.ts'
import { type Harness, openHarness } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'
import { until } from '../support/until.ts'

const JOBS = '/api/v1/jobs'
const BATCH = '/api/v1/predict/batch'
const points = { model_type: 'classification', features: { x1: [1, 2], x2: [2, 3] } }
const patiently = { prefer: 'respond-async' }

interface JobDocument {
  id: string
  state: string
  result_url: string | null
  owner_id: string
}

let harness: Harness
let ada: string
let eve: string
let predictKey: string
let [done, waiting]: string[] = []
beforeAll(async () => {
  harness = await openHarness({
    JOBS_UNFINISHED_MAX: '3',
    // Who has not said who they are has no jobs.
    ANONYMOUS_SCOPES: 'jobs:read',
  })
  harness.platform.jobs.handle('failing', {
    run: async () => {
      throw new JobRefused('it was refused')
    },
  })
  const adaId = await harness.addAccount({ username: 'ada' })
  await harness.addAccount({ username: 'eve' })
  ada = await harness.logIn('ada')
  eve = await harness.logIn('eve')
  const key = { name: 'k', scopes: ['predict'] }
  const made = await harness.request({ path: '/api/v1/api-keys', body: key, token: ada })
  predictKey = ((await made.json()) as { key: string }).key
  done = await order(ada)
  await untilState(ada, done, 'done')
  waiting = await harness.platform.database.write((tx) =>
    harness.platform.jobs.enqueue(tx, { type: 'nobody does it', payload: {}, ownerId: adaId }),
  )
})
afterAll(() => harness.close())

const get = async (token: string, path: string) => (await harness.request({ path, token })).json()

async function order(token: string, body: unknown = { batch_id: 7, batches: [points, points] }) {
  const response = await harness.request({ path: BATCH, token, headers: patiently, body })
  const { id } = (await response.json()) as { id: string }
  expect(response.status).toBe(202)
  expect(response.headers.get('location')).toBe(`${JOBS}/${id}`)
  expect(response.headers.get('preference-applied')).toBe('respond-async')
  return id
}

async function untilState(token: string, id: string, state: string): Promise<JobDocument> {
  let job: JobDocument | undefined
  await until(async () => {
    job = (await get(token, `${JOBS}/${id}`)) as JobDocument
    return job.state === state
  })
  return job!
}

describe('refusals', () => {
  testRequests(
    () => harness,
    [
      { name: 'no token', path: JOBS, status: 401 },
      {
        name: 'a key without the scope',
        get as() {
          return predictKey
        },
        path: JOBS,
        status: 403,
      },
      {
        name: 'a job of its owner, to a key without the scope',
        get as() {
          return predictKey
        },
        get path() {
          return `${JOBS}/${done}`
        },
        status: 403,
        mustNotContain: ['signature'],
      },
      ...['DELETE', 'POST'].map((method) => ({
        name: `a change to it, to such a key: ${method}`,
        method,
        get as() {
          return predictKey
        },
        get path() {
          return `${JOBS}/${done}${method === 'POST' ? '/replay' : ''}`
        },
        status: 403,
      })),
      { name: 'an id with U+0000', as: 'ada', path: `${JOBS}/a%00b`, status: 404 },
      { name: 'a cursor with U+0000', as: 'ada', path: `${JOBS}?before=%00`, status: 422 },
      { name: 'no such job', as: 'admin', path: `${JOBS}/none`, status: 404 },
      {
        name: 'a limit that is none',
        as: 'ada',
        path: `${JOBS}?limit=0`,
        status: 422,
        contains: ['expected a whole number from 1 to 100'],
      },
      {
        name: 'a limit too high',
        as: 'ada',
        path: `${JOBS}?limit=101`,
        status: 422,
        contains: ['expected a whole number from 1 to 100'],
      },
      { name: 'an unknown filter', as: 'ada', path: `${JOBS}?state=done`, status: 422 },
      {
        name: 'an order that does not fit is refused at once',
        as: 'ada',
        path: BATCH,
        headers: patiently,
        body: { batches: [points, { ...points, features: { x1: [1] } }] },
        status: 422,
        has: { errors: [{ pointer: '#/batches/1/features/x2' }] },
      },
      {
        name: 'an order for a model that there is not',
        as: 'ada',
        path: BATCH,
        headers: patiently,
        body: { batches: [{ ...points, model_type: 'none' }] },
        status: 404,
      },
    ],
    () => ({ ada, eve }),
  )

  test.each(['GET', 'DELETE'])('another’s job does not exist for me: %s', async (method) => {
    const response = await harness.request({ method, path: `${JOBS}/${waiting}`, token: eve })
    expect(response.status).toBe(404)
    expect(await response.text()).not.toContain('nobody does it')
  })

  test('a job that has not failed can not be replayed', async () => {
    const path = `${JOBS}/${done}/replay`
    expect((await harness.request({ method: 'POST', path, token: ada })).status).toBe(409)
    expect((await harness.request({ method: 'POST', path, token: eve })).status).toBe(404)
  })

  test('of unfinished jobs an account has at most so many', async () => {
    const { jobs, database } = harness.platform
    const ownerId = await harness.addAccount({ username: 'grace' })
    const token = await harness.logIn('grace')
    for (let n = 0; n < 3; n++) {
      await database.write((tx) => jobs.enqueue(tx, { type: 'stays', payload: {}, ownerId }))
    }
    const body = { batches: [points] }
    const response = await harness.request({ path: BATCH, token, headers: patiently, body })
    expect(response.status).toBe(429)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await response.json()).toMatchObject({
      detail: expect.stringContaining('At most 3 jobs'),
    })
  })
})

describe('a batch that nobody waits for', () => {
  test('becomes a file, which is the answer that waiting would have got', async () => {
    const job = await untilState(ada, done!, 'done')
    expect(job).toMatchObject({ type: 'predictions.batch', progress: 1, attempt: 1, error: null })
    const { pathname, search } = new URL(job.result_url!)
    const file = await harness.request({ path: `${pathname}${search}` })
    expect(file.status).toBe(200)
    const body = { batch_id: 7, batches: [points, points] }
    const waited = await harness.request({ path: BATCH, token: ada, body })
    expect(await file.json()).toEqual(await waited.json())
  })

  test('is told of as events while it goes on', async () => {
    const seen = harness.events.length
    const id = await order(eve)
    await untilState(eve, id, 'done')
    const ownerId = (await untilState(eve, id, 'done')).owner_id
    const told = harness.events
      .slice(seen)
      .flatMap(({ type, data }) => (type === 'jobs.updated' && data.id === id ? [data] : []))
    const update = { id, type: 'predictions.batch', owner_id: ownerId }
    expect(told).toEqual([
      { ...update, state: 'active', progress: 0 },
      { ...update, state: 'done', progress: 1 },
    ])
  })

  test.each([
    ['respond-async, wait=10', 202],
    ['return=minimal, Respond-Async', 202],
    ['respond-asynchronously', 200],
    ['wait=10', 200],
  ])('Prefer: %s answers %d', async (prefer, status) => {
    const body = { batches: [points] }
    const response = await harness.request({ path: BATCH, token: eve, headers: { prefer }, body })
    expect(response.status).toBe(status)
  })

  test('whoever may not see jobs waits', async () => {
    const order = {
      path: BATCH,
      token: predictKey,
      headers: patiently,
      body: { batches: [points] },
    }
    const response = await harness.request(order)
    expect(response.status).toBe(200)
    expect(response.headers.has('preference-applied')).toBe(false)
  })

  test('whoever has no account waits', async () => {
    const open = await openHarness({ ANONYMOUS_SCOPES: 'predict' })
    const body = { batches: [points] }
    const response = await open.request({ path: BATCH, headers: patiently, body })
    expect(response.status).toBe(200)
    await open.close()
  })
})

describe('a list', () => {
  const idsOf = async (token: string, query = '') => {
    const { jobs, next } = (await get(token, `${JOBS}${query}`)) as {
      jobs: JobDocument[]
      next: string | null
    }
    return { ids: jobs.map(({ id }) => id), next }
  }

  test('has mine, the newest first, page by page', async () => {
    expect(await idsOf(ada)).toEqual({ ids: [waiting!, done!], next: null })
    const first = await idsOf(ada, '?limit=1')
    expect(first).toEqual({ ids: [waiting!], next: waiting! })
    expect(await idsOf(ada, `?limit=1&before=${first.next}`)).toEqual({ ids: [done!], next: null })
  })

  test('has everybody’s for an administrator', async () => {
    expect((await idsOf(harness.adminToken, '?limit=100')).ids).toEqual(
      expect.arrayContaining([waiting!, done!]),
    )
  })
})

describe('deleting', () => {
  const remove = (token: string, id: string) =>
    harness.request({ method: 'DELETE', path: `${JOBS}/${id}`, token })

  test('cancels what waits', async () => {
    const response = await remove(ada, waiting!)
    expect(response.status).toBe(202)
    expect(await response.json()).toMatchObject({ id: waiting, state: 'cancelled' })
  })

  test('forgets what has ended, with its file', async () => {
    const id = await order(ada)
    const { result_url } = await untilState(ada, id, 'done')
    expect((await remove(ada, id)).status).toBe(204)
    expect((await remove(ada, id)).status).toBe(404)
    const { pathname, search } = new URL(result_url!)
    expect((await harness.request({ path: `${pathname}${search}` })).status).toBe(404)
  })

  test('is for an administrator too', async () => {
    const id = await order(eve)
    await untilState(eve, id, 'done')
    expect((await remove(harness.adminToken, id)).status).toBe(204)
  })
})

test('a failed job says why, and can be replayed by its owner', async () => {
  const { jobs, database } = harness.platform
  const ownerId = (await untilState(ada, done!, 'done')).owner_id
  const id = await database.write((tx) =>
    jobs.enqueue(tx, { type: 'failing', payload: {}, ownerId }),
  )
  expect(await untilState(ada, id, 'failed')).toMatchObject({ error: 'it was refused', attempt: 1 })
  const path = `${JOBS}/${id}/replay`
  const replayed = await harness.request({ method: 'POST', path, token: ada })
  expect(replayed.status).toBe(202)
  expect(await untilState(ada, id, 'failed')).toMatchObject({ attempt: 1 })
})
