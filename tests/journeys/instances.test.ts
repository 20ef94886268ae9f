import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { appendFileSync, cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { FIXTURE_MODELS_DIR, type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { sample, withRedis } from '../support/redis.ts'
import { newDirectory } from '../support/server.ts'
import { until } from '../support/until.ts'

const body = { model_type: 'classification', features: [{ x1: 0.5, x2: 2 }] }

describe.each(withRedis('several instances', (url) => url))('several instances', (url) => {
  let shared: Record<string, string>
  let instances: Harness[]
  beforeEach(() => {
    instances = []
    shared = { REDIS_URL: url, REDIS_PREFIX: `test-${Bun.randomUUIDv7()}` }
  })
  afterEach(async () => {
    await Promise.all(instances.map((instance) => instance.close()))
  })

  async function openInstance(settings: Record<string, string> = {}): Promise<Harness> {
    const harness = await openHarness({ ...shared, ...settings })
    instances.push(harness)
    const { metrics } = harness.platform
    const isUp = async (name: string) => (await sample(metrics, name)) === 1
    await until(async () => (await isUp('redis_up')) && (await isUp('bus_up')))
    return harness
  }

  /** Predicts, and says what the cache did. */
  async function predict(harness: Harness) {
    const token = harness.adminToken
    const response = await harness.request({ path: '/api/v1/predict', body, token })
    const { predictions } = (await response.json()) as { predictions: string[] }
    const figure = (result: string) =>
      sample(
        harness.platform.metrics,
        `prediction_cache_total{model="classification",version="1",result="${result}"}`,
      )
    return { predictions, hits: await figure('hit'), misses: await figure('miss') }
  }

  test('remember each other’s predictions', async () => {
    const [one, other] = [await openInstance(), await openInstance()]
    const first = await predict(one)
    expect(first).toMatchObject({ hits: Number.NaN, misses: 1 })
    expect(await predict(other)).toEqual({
      predictions: first.predictions,
      hits: 1,
      misses: Number.NaN,
    })
    const path = '/api/v1/metrics'
    const figures = await other.request({ path, token: other.adminToken })
    expect(await figures.json()).toMatchObject({ cache_size: null })
  })

  test('do not remember what another file of the same version said', async () => {
    const retrained = newDirectory()
    cpSync(FIXTURE_MODELS_DIR, retrained, { recursive: true })
    // The field `doc_string` of an ONNX file: it says the same, but it is another file.
    appendFileSync(join(retrained, 'classification/1/model.onnx'), Uint8Array.of(0x32, 1, 0x78))
    await predict(await openInstance())
    const other = await openInstance({ MODELS_DIR: retrained })
    expect(await predict(other)).toMatchObject({ hits: Number.NaN, misses: 1 })
    rmSync(retrained, { recursive: true })
  })

  test('have one limit together', async () => {
    const limit = { RATE_LIMIT_AUTH: '3' }
    const pair = [await openInstance(limit), await openInstance(limit)]
    const statuses = []
    for (let time = 0; time < 5; time += 1) {
      const response = await pair[time % 2]!.request({
        path: '/api/v1/auth/login',
        body: { username: 'admin', password: PASSWORD },
      })
      statuses.push(response.status)
    }
    expect(statuses).toEqual([200, 200, 200, 429, 429])
  })

  test('hear each other’s events', async () => {
    const [one, other] = [await openInstance(), await openInstance()]
    await one.logIn('admin')
    await one.published()
    // The tokens that both begin with are logins too.
    const logins = ({ events }: Harness) =>
      events.filter((event) => event.type === 'auth.login' && event.data.methods[0] === 'password')
    expect(logins(one)).toHaveLength(1)
    await until(() => logins(other).length === 1)
    expect(logins(other)).toEqual(logins(one))
  })
})
