import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { type Harness, openHarness } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'
import { until } from '../support/until.ts'
import { upload } from '../support/uploads.ts'

const MODELS = '/api/v1/models'
const LATEST = { split: [{ version: 'latest', weight: 1 }], shadow: null }

/** A model of one leaf, which says one number. */
const constant = (value: number) =>
  [
    'tree',
    'version=v4',
    'num_class=1',
    'num_tree_per_iteration=1',
    'label_index=0',
    'max_feature_idx=0',
    'objective=regression',
    'feature_names=x',
    'feature_infos=[0:1]',
    '',
    'Tree=0',
    'num_leaves=1',
    'num_cat=0',
    'leaf_value=' + String(value),
    '',
    'end of trees',
    '',
  ].join('\n')

let harness: Harness
let ada: string
let viewer: string
const people: string[] = []
beforeAll(async () => {
  harness = await openHarness({ MODEL_VERSIONS_ASKED_MAX: '1' })
  await harness.addAccount({ username: 'ada', role: 'editor' })
  ada = await harness.logIn('ada')
  await harness.addAccount({ username: 'viewer' })
  viewer = await harness.logIn('viewer')
  for (let at = 0; at < 20; at += 1) {
    await harness.addAccount({ username: `person-${at}` })
    people.push(await harness.logIn(`person-${at}`))
  }
  for (const value of [1, 2, 3, 4]) await add('said', value)
})
afterAll(() => harness.close())

async function add(name: string, value: number) {
  const added = await upload(
    harness,
    { model: constant(value), manifest: { name } },
    { token: ada, query: '?team=read' },
  )
  expect(added).toMatchObject({ status: 201, body: { fault: null } })
}

async function says(name: string, token = ada, version?: string): Promise<[unknown, unknown]> {
  const response = await harness.request({
    path: '/api/v1/predict',
    body: { model_type: name, features: [{ x: 1 }], ...(version && { model_version: version }) },
    token,
  })
  const { predictions, model_version, status } = (await response.json()) as {
    predictions?: number[]
    model_version?: string
    status?: number
  }
  return [predictions?.[0], model_version ?? status]
}

const lead = (name: string, traffic: object, token = ada) =>
  harness.request({ method: 'PUT', path: `${MODELS}/${name}/traffic`, body: traffic, token })

const put = (name: string, body: unknown, rest: Partial<Row> & Pick<Row, 'status'>): Row => ({
  name,
  as: 'ada',
  method: 'PUT',
  path: `${MODELS}/said/traffic`,
  body,
  ...rest,
})
const to = (...versions: unknown[]) => ({ split: versions.map((version) => ({ version })) })

describe('refused is', () => {
  testRequests(
    () => harness,
    [
      put('who has not said who they are', to(1), { as: '', status: 401 }),
      put('who may only read it', to(1), { as: 'viewer', status: 403 }),
      put('a model that there is not', to(1), { path: `${MODELS}/none/traffic`, status: 404 }),
      put('nothing', {}, { status: 422, contains: ['#/split'] }),
      put('an empty split', { split: [] }, { status: 422, contains: ['at least one version'] }),
      put('eleven versions', to(...Array.from({ length: 11 }, () => 1)), {
        status: 422,
        contains: ['at most 10 versions'],
      }),
      put('a version that there is not', to(1, 9), {
        status: 422,
        contains: ['#/split/1/version: there is no version 9'],
      }),
      put('a version twice', to(1, 1), { status: 422, contains: ['stands twice'] }),
      put('a text for a version', to('newest'), { status: 422, contains: ['or latest'] }),
      put(
        'weights that lead nowhere',
        { split: [{ version: 1, weight: 0 }] },
        {
          status: 422,
          contains: ['every weight is 0'],
        },
      ),
      put('a weight below zero', { split: [{ version: 1, weight: -1 }] }, { status: 422 }),
      put(
        'a shadow that there is not',
        { ...to(1), shadow: 9 },
        {
          status: 422,
          contains: ['#/shadow: there is no version 9'],
        },
      ),
      put(
        'a shadow that answers',
        { ...to(1), shadow: 1 },
        {
          status: 422,
          contains: ['answers already'],
        },
      ),
      put('what there is not', { ...to(1), owner_id: 'x' }, { status: 422 }),
      {
        name: 'a version that there is not, asked for',
        as: 'ada',
        path: '/api/v1/predict',
        body: { model_type: 'said', features: [{ x: 1 }], model_version: '9' },
        status: 404,
        contains: ['There is no version 9'],
      },
      {
        name: 'a version that is no number',
        as: 'ada',
        path: '/api/v1/predict',
        body: { model_type: 'said', features: [{ x: 1 }], model_version: '../1' },
        status: 404,
      },
      {
        name: 'to remove what answers',
        as: 'ada',
        method: 'DELETE',
        path: `${MODELS}/said/versions/4`,
        status: 409,
        contains: ['Traffic of said leads to version 4'],
      },
      {
        name: 'to remove what is loaded',
        as: 'ada',
        method: 'DELETE',
        path: `${MODELS}/said`,
        status: 409,
      },
      {
        name: 'to remove what somebody may only read',
        as: 'viewer',
        method: 'DELETE',
        path: `${MODELS}/said`,
        status: 403,
      },
      {
        name: 'to remove a version that there is not',
        as: 'ada',
        method: 'DELETE',
        path: `${MODELS}/said/versions/99`,
        status: 404,
      },
      ...['01', '1e0', '0x1', '%201'].map((version) => ({
        name: `to remove ${version}, which is no version`,
        as: 'ada',
        method: 'DELETE',
        path: `${MODELS}/said/versions/${version}`,
        status: 404,
      })),
      {
        name: 'to load by a configuration',
        as: 'ada',
        path: '/v2/repository/models/said/load',
        body: { parameters: { config: '{}' } },
        status: 400,
        ownError: /config/,
      },
      {
        name: 'to unload what somebody may only read',
        as: 'viewer',
        path: '/v2/repository/models/said/unload',
        body: {},
        status: 403,
        ownError: /models:write/,
      },
    ],
    () => ({ ada, viewer }),
  )
})

describe('traffic', () => {
  test('leads to the latest version at first, and to each as it comes', async () => {
    const response = await harness.request({ path: `${MODELS}/said/traffic`, token: viewer })
    expect(await response.json()).toEqual(LATEST)
    expect(await says('said')).toEqual([4, '4'])
    await add('said', 5)
    expect(await says('said')).toEqual([5, '5'])
  })

  test('may be pinned, whatever comes', async () => {
    expect((await lead('said', to(2))).status).toBe(200)
    expect(await says('said')).toEqual([2, '2'])
    await add('said', 6)
    expect(await says('said')).toEqual([2, '2'])
    await harness.published()
    expect(harness.events.findLast(({ type }) => type === 'models.traffic_changed')).toMatchObject({
      data: { name: 'said', split: [{ version: 2, weight: 1 }], shadow: null },
    })
  })

  test('may be split: each person keeps theirs while its share grows', async () => {
    const split = async (weight: number) => {
      const versions = [
        { version: 2, weight: 100 - weight },
        { version: 3, weight },
      ]
      expect((await lead('said', { split: versions })).status).toBe(200)
      return Promise.all(people.map(async (token) => (await says('said', token))[0]))
    }
    const [few, again, more, all] = [
      await split(30),
      await split(30),
      await split(60),
      await split(100),
    ]
    expect(again).toEqual(few)
    expect(few.filter((value) => value === 3).length).toBeWithin(1, 14)
    for (const [at, value] of few.entries()) if (value === 3) expect(more[at]).toBe(3)
    expect(new Set(all)).toEqual(new Set([3]))
  })

  test('leaves other versions to who asks for them by number', async () => {
    await lead('said', to('latest'))
    expect(await says('said', viewer, '1')).toEqual([1, '1'])
    expect(await says('said', viewer, '2')).toEqual([2, '2'])
    expect(await says('said', viewer, '1')).toEqual([1, '1'])
    const infer = await harness.request({
      path: '/v2/models/said/versions/3/infer',
      body: { inputs: [{ name: 'x', datatype: 'FP64', shape: [1], data: [1] }] },
      token: viewer,
    })
    expect(await infer.json()).toMatchObject({ model_version: '3', outputs: [{ data: [3] }] })
    const rows = await harness.request({
      path: `${MODELS}/said/predict?version=2`,
      headers: { 'content-type': 'text/csv' },
      body: 'x\\n1\\n',
      token: viewer,
    })
    expect(await rows.text()).toContain('2')
    // No more than one of them stays in memory.
    await until(async () => {
      const card = await harness.request({ path: `${MODELS}/said`, token: viewer })
      const { versions } = (await card.json()) as { versions: { is_loaded: boolean }[] }
      return versions.filter((version) => version.is_loaded).length === 2
    })
  })

  test('lets each of many who ask for versions at once have theirs, however few stay', async () => {
    const names = ['several', 'further', 'others']
    for (const name of names) for (const value of [1, 2, 3]) await add(name, value)
    const asked = ['1', '2'].flatMap((version) => names.map((name) => [name, version] as const))
    const said = await Promise.all(
      asked.map(async ([name, version], at) => {
        await Bun.sleep(at)
        return says(name, ada, version)
      }),
    )
    expect(said).toEqual(asked.map(([, version]) => [Number(version), version]))
  })

  test('is changed before all who ask for versions by number have theirs', async () => {
    const values = Array.from({ length: 12 }, (_, at) => at + 1)
    for (const value of values) await add('sought', value)
    const done: string[] = []
    const asking = values.map(async (value) => {
      expect(await says('sought', ada, String(value))).toEqual([value, String(value)])
      done.push('asked')
    })
    await until(() => done.length > 0)
    expect((await lead('sought', to(3))).status).toBe(200)
    done.push('led')
    await Promise.all(asking)
    expect(done.indexOf('led')).toBeLessThan(values.length - 2)
  })

  test('has a shadow asked for the same rows, whose differences are measured', async () => {
    await lead('said', { ...to(2), shadow: 3 })
    for (let at = 0; at < 5; at += 1) expect(await says('said')).toEqual([2, '2'])
    const figure = async (name: string) => {
      const text = await harness.platform.metrics.metrics()
      return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1])
    }
    const rows = 'prediction_shadow_rows_total{model="said",version="3",result="different"}'
    await until(async () => (await figure(RegExp.escape(rows))) === 5)
    // What was asked for by number, and stays for that, has none when it answers no more.
    await lead('said', to(3))
    await says('said', ada, '2')
    await lead('said', { ...to(2), shadow: 3 })
    await lead('said', to(3))
    expect(await says('said', ada, '2')).toEqual([2, '2'])
    await Bun.sleep(50)
    expect(await figure(RegExp.escape(rows))).toBe(5)
    const near = 'prediction_shadow_difference_bucket{le="0.1",model="said",version="3"}'
    const half = 'prediction_shadow_difference_bucket{le="0.5",model="said",version="3"}'
    expect(await figure(RegExp.escape(near))).toBe(0)
    expect(await figure(RegExp.escape(half))).toBe(5)
  })
})

describe('a model', () => {
  const repository = (verb: string, name = 'said') =>
    harness.request({ path: `/v2/repository/models/${name}/${verb}`, body: {}, token: ada })

  test('answers nobody once it is unloaded, and again once it is loaded', async () => {
    await lead('said', to(2))
    expect((await repository('unload')).status).toBe(200)
    expect(await says('said')).toEqual([undefined, 503])
    expect(await says('said', ada, '3')).toEqual([undefined, 404])
    const index = await harness.request({
      path: '/v2/repository/index',
      method: 'POST',
      token: ada,
    })
    expect(await index.json()).toContainEqual({
      name: 'said',
      version: '',
      state: 'UNAVAILABLE',
      reason: 'unloaded',
    })
    expect((await repository('load')).status).toBe(200)
    expect(await says('said')).toEqual([2, '2'])
    // Prometheus takes no scrape with a series twice.
    const lines = (await harness.platform.metrics.metrics()).split('\n')
    const series = lines.filter((line) => /^\w+\{/.test(line)).map((line) => line.split('} ')[0])
    expect(series.filter((each, at) => series.indexOf(each) !== at)).toEqual([])
  })

  test('is removed with its versions, files and grants', async () => {
    const files = async () =>
      (await harness.platform.storage.list({ prefix: 'models/' })).files.length
    await add('short-lived', 1)
    await add('short-lived', 2)
    const before = await files()
    await repository('unload', 'short-lived')
    const remove = () =>
      harness.request({ method: 'DELETE', path: `${MODELS}/short-lived`, token: ada })
    expect([(await remove()).status, (await remove()).status]).toEqual([204, 404])
    expect(await files()).toBe(before - 2)
    await add('short-lived', 3)
    expect(await says('short-lived')).toEqual([3, '1'])
  })

  test('of which a version does not load goes on as it was, and says so', async () => {
    await add('broken', 1)
    await lead('broken', to(1))
    await add('broken', 2)
    const { storage } = harness.platform
    const { files } = await storage.list({ prefix: 'models/' })
    const newest = files.toSorted((a, b) => (a.key < b.key ? 1 : -1))[0]!
    // It would load, and say something else.
    await storage.put(newest.key, Buffer.from(constant(99)))
    const refused = await lead('broken', to(2))
    expect([refused.status, await refused.text()]).toEqual([
      503,
      expect.stringContaining('Version 2 of \\"broken\\" can'),
    ])
    expect(await says('broken')).toEqual([1, '1'])
    // The one before is the latest that there is.
    expect((await lead('broken', to('latest'))).status).toBe(200)
    expect(await says('broken')).toEqual([1, '1'])
    const card = await harness.request({ path: `${MODELS}/broken`, token: ada })
    expect(await card.json()).toMatchObject({
      versions: [
        { version: 1, is_loaded: true, fault: null },
        { version: 2, is_loaded: false, fault: expect.any(String) },
      ],
    })
    expect((await repository('load', 'broken')).status).toBe(503)
    expect(await says('broken')).toEqual([1, '1'])
    await lead('broken', to(1))
    // A change is reason enough to try again.
    await harness.published()
    const { localCopy } = storage
    let tries = 0
    storage.localCopy = (...asked) => {
      tries += 1
      return localCopy(...asked)
    }
    for (let at = 0; at < 5; at += 1) {
      expect(await says('broken', ada, '2')).toEqual([undefined, 503])
    }
    expect(tries).toBe(1)
    expect((await repository('load', 'broken')).status).toBe(200)
    expect(await says('broken', ada, '2')).toEqual([undefined, 503])
    expect(tries).toBe(2)
    storage.localCopy = localCopy
  })

  test('goes on with what answered where a load fails, and with nothing that was removed', async () => {
    for (const value of [1, 2, 3]) await add('going-on', value)
    await lead('going-on', to(1))
    const { storage } = harness.platform
    const { files } = await storage.list({ prefix: 'models/' })
    const newest = files.toSorted((a, b) => (a.key < b.key ? 1 : -1))[0]!
    // It would load, and say something else.
    await storage.put(newest.key, Buffer.from(constant(99)))
    expect(await says('going-on', ada, '2')).toEqual([2, '2'])
    await lead('going-on', to(3))
    const path = `${MODELS}/going-on/versions/2`
    expect((await harness.request({ method: 'DELETE', path, token: ada })).status).toBe(204)
    expect(await says('going-on', ada, '2')).toEqual([undefined, 404])
    expect(await says('going-on')).toEqual([1, '1'])
  })

  test('keeps of the versions asked for by number those that were asked last', async () => {
    const few = await openHarness({ MODEL_VERSIONS_ASKED_MAX: '2' })
    for (const value of [1, 2, 3, 4]) {
      await upload(few, { model: constant(value) }, { query: '?name=said' })
    }
    for (const model_version of ['1', '2', '1', '3']) {
      const body = { model_type: 'said', features: [{ x: 1 }], model_version }
      const response = await few.request({ path: '/api/v1/predict', body, token: few.adminToken })
      expect(response.status).toBe(200)
    }
    await until(async () => {
      const card = await few.request({ path: `${MODELS}/said`, token: few.adminToken })
      const { versions } = (await card.json()) as { versions: { is_loaded: boolean }[] }
      return Bun.deepEquals(
        versions.map(({ is_loaded }) => is_loaded),
        [true, false, true, true],
      )
    })
    await few.close()
  })
})
