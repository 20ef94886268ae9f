import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'

import { SQL } from 'bun'

import { echoTree } from '../support/echo-tree.ts'
import { FIXTURE_MODELS_DIR, PASSWORD } from '../support/harness.ts'
import { bareEnvironment, runServer, startServer, type TestServer } from '../support/server.ts'
import { createTestDatabase } from '../support/services/postgres.ts'
import { until } from '../support/until.ts'
import { uploadTo } from '../support/uploads.ts'

const { TEST_DATABASE_URL, TEST_REDIS_URL, TEST_S3_ENDPOINT } = process.env
const isComplete = [TEST_DATABASE_URL, TEST_REDIS_URL, TEST_S3_ENDPOINT].every(
  (url) => url !== undefined,
)
const points = { model_type: 'classification', features: { x1: [1], x2: [2] } }
const LEASE_MS = 2000

describe.skipIf(!isComplete)('two processes over one Postgres, one Redis and one S3', () => {
  let place: Awaited<ReturnType<typeof createTestDatabase>>
  let settings: Record<string, string>
  let one: TestServer
  let other: TestServer
  beforeAll(async () => {
    place = await createTestDatabase()
    settings = {
      DATABASE_URL: place.url,
      REDIS_URL: TEST_REDIS_URL!,
      REDIS_PREFIX: `test-${Bun.randomUUIDv7()}`,
      S3_ENDPOINT: TEST_S3_ENDPOINT!,
      S3_BUCKET: process.env['TEST_S3_BUCKET']!,
      S3_ACCESS_KEY_ID: process.env['TEST_S3_ACCESS_KEY_ID']!,
      S3_SECRET_ACCESS_KEY: process.env['TEST_S3_SECRET_ACCESS_KEY']!,
      S3_PREFIX: `test-${Bun.randomUUIDv7()}/`,
      PUBLIC_URL: 'https://api.example.com',
      MODELS_DIR: FIXTURE_MODELS_DIR,
      RATE_LIMIT_VALIDATE: '10',
      JOB_LEASE_MS: String(LEASE_MS),
      JOB_POLL_MS: '100',
    }
    // At once: one of them makes the tables, the administrator and the key.
    ;[one, other] = await Promise.all([startServer(settings), startServer(settings)])
    await until(async () => (await metric(one, 'bus_up')) === 1)
    await until(async () => (await metric(other, 'bus_up')) === 1)
  })
  afterAll(async () => {
    await Promise.all([one.stop('SIGKILL'), other.stop()])
    await place.remove()
  })

  async function metric(server: TestServer, sample: string): Promise<number> {
    const text = await (await fetch(`${server.url}/metrics`)).text()
    const line = text.split('\n').find((each) => each.startsWith(`${sample} `))
    return line === undefined ? 0 : Number(line.slice(sample.length))
  }
  const get = (server: TestServer, path: string, token: string) =>
    fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${token}` } })

  test('do not start without the address that they stand behind', async () => {
    const { DATABASE_URL, REDIS_URL } = settings as { DATABASE_URL: string; REDIS_URL: string }
    const { code, errors } = await runServer({ PORT: '0', DATABASE_URL, REDIS_URL })
    expect(code).toBe(1)
    expect(errors).toContain('PUBLIC_URL: expected the address of all instances')
    expect(errors).toContain('S3_BUCKET: expected the bucket of all instances')
    expect(errors).not.toContain(DATABASE_URL)
  })

  test('have one administrator and one set of keys', async () => {
    const keys = await Promise.all(
      [one, other].map(async ({ url }) => (await fetch(`${url}/.well-known/jwks.json`)).json()),
    )
    expect(keys[0]).toEqual(keys[1])
  })

  /** It would miss every message of the others: it listens on channels of its own. */
  test('refuse who is disabled within 2 s, also where Redis loses the message', async () => {
    const admin = await one.logIn()
    const deaf = await startServer({ ...settings, REDIS_PREFIX: `deaf-${Bun.randomUUIDv7()}` })
    const user = { username: 'leaver', password: 'a good long one' }
    const created = await one.post('/api/v1/users', user, admin)
    const { id } = (await created.json()) as { id: string }
    const token = await one.logIn(user.username, user.password)
    for (const server of [other, deaf]) {
      expect((await get(server, '/api/v1/me', token)).status).toBe(200)
    }
    const disabled = await fetch(`${one.url}/api/v1/users/${id}`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
      body: JSON.stringify({ disabled: true }),
    })
    expect(disabled.status).toBe(200)
    const refuses = (server: TestServer) => async () =>
      (await get(server, '/api/v1/me', token)).status === 401
    await Promise.all([until(refuses(other), 2000), until(refuses(deaf), 2000)])
    expect(await refuses(one)()).toBe(true)
    await deaf.stop()
  })

  test('log in on one, predict on the other; log in again after a change of the password', async () => {
    const token = await one.logIn()
    expect((await other.post('/api/v1/predict', points, token)).status).toBe(200)
    const change = { current_password: PASSWORD, password: 'another password' }
    const second = await one.logIn()
    expect((await other.post('/api/v1/me/password', change, token)).status).toBe(204)
    await until(async () => (await one.post('/api/v1/predict', points, second)).status === 401)
    const back = { current_password: 'another password', password: PASSWORD }
    expect((await one.post('/api/v1/me/password', back, token)).status).toBe(204)
  })

  test('log out of one, and the other refuses within two seconds', async () => {
    const token = await one.logIn()
    const predict = async () => (await other.post('/api/v1/predict', points, token)).status
    expect(await predict()).toBe(200)
    expect((await one.post('/api/v1/auth/logout', {}, token)).status).toBe(204)
    const loggedOutAt = performance.now()
    await until(async () => (await predict()) === 401)
    expect(performance.now() - loggedOutAt).toBeLessThan(2000)
  })

  test('keep a model private on one, and it is not there on the other within two seconds', async () => {
    const admin = await one.logIn()
    const viewer = { username: 'grants-viewer', password: PASSWORD }
    expect((await one.post('/api/v1/users', viewer, admin)).status).toBe(201)
    const login = await (await one.post('/api/v1/auth/login', viewer)).json()
    const { token } = login as { token: string }
    const share = async (team: string) => {
      const response = await fetch(`${one.url}/api/v1/grants/model/${points.model_type}`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
        body: JSON.stringify({ team, principals: [] }),
      })
      expect(response.status).toBe(200)
    }
    const answers = (server: TestServer, status: number) =>
      until(async () => (await server.post('/api/v1/predict', points, token)).status === status)
    await answers(other, 200)
    for (const [team, status] of [
      ['none', 404],
      ['read', 200],
    ] as const) {
      await share(team)
      const sharedAt = performance.now()
      expect((await one.post('/api/v1/predict', points, token)).status).toBe(status)
      await answers(other, status)
      expect(performance.now() - sharedAt).toBeLessThan(2000)
    }
  })

  test('adopt the folder of models once, though they started at once', async () => {
    await using client = new SQL(place.url, { max: 1 })
    const counts = await client.unsafe(
      'select count(*) from model_versions union all select count(*) from adopted_models',
    )
    expect((counts as { count: string }[]).map(({ count }) => Number(count))).toEqual([1, 1])
    const admin = await other.logIn()
    const card = await (await get(other, `/api/v1/models/${points.model_type}`, admin)).json()
    expect(card).toMatchObject({ owner: { name: 'admin' }, versions: [{ version: 1 }] })
  })

  /** It listens on channels of its own, and so hears of nothing. */
  test('serve what one of them got within 2 s, and refuse what it unloaded, also where Redis loses the message', async () => {
    const admin = await one.logIn()
    const deaf = await startServer({ ...settings, REDIS_PREFIX: `deaf-${Bun.randomUUIDv7()}` })
    const says = async (server: TestServer) => {
      const body = { model_type: 'heard-of', features: [{ x: 3 }] }
      const response = await server.post('/api/v1/predict', body, admin)
      const { predictions } = (await response.json()) as { predictions?: number[] }
      return predictions?.[0] ?? response.status
    }
    const become = (said: number) =>
      Promise.all(
        [one, other, deaf].map((server) => until(async () => (await says(server)) === said, 2000)),
      )
    const load = async (verb: 'load' | 'unload') => {
      const path = `/v2/repository/models/heard-of/${verb}`
      expect((await one.post(path, {}, admin)).status).toBe(200)
      expect(await says(one)).toBe(verb === 'load' ? 2003 : 503)
    }
    try {
      expect(await says(deaf)).toBe(404)
      for (const base of [1000, 2000]) {
        const model = echoTree(base)
        const added = await uploadTo(one.url, { model }, admin, '?name=heard-of')
        expect(added.status).toBe(201)
        expect(await says(one)).toBe(base + 3)
        await become(base + 3)
      }
      await load('unload')
      await become(503)
      await load('load')
      await become(2003)
      await load('unload')
      const removed = await fetch(`${one.url}/api/v1/models/heard-of`, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${admin}` },
      })
      expect(removed.status).toBe(204)
      await become(404)
    } finally {
      await deaf.stop()
    }
  })

  test('an API key and a token that end on one are refused by the other within two seconds', async () => {
    const admin = await one.logIn()
    const made = async (path: string, body: object) => {
      const response = await one.post(path, body, admin)
      return (await response.json()) as { id: string; key: string }
    }
    const scopes = ['models:read']
    const { id } = await made('/api/v1/service-accounts', { name: 'machine', scopes })
    const keys = `/api/v1/service-accounts/${id}/api-keys`
    const [first, second] = [
      await made(keys, { name: 'first', scopes }),
      await made(keys, { name: 'second', scopes }),
    ]
    const oauth = (server: TestServer, path: string, further: Record<string, string>) =>
      fetch(`${server.url}/oauth/${path}`, {
        method: 'POST',
        body: new URLSearchParams({ client_id: id, client_secret: second.key, ...further }),
      })
    const issued = await oauth(other, 'token', { grant_type: 'client_credentials' })
    const { access_token: token } = (await issued.json()) as { access_token: string }
    const statuses = (bearer: string) =>
      Promise.all(
        [one, other].map(async (server) => (await get(server, '/api/v1/models', bearer)).status),
      )
    for (const bearer of [first.key, second.key, token]) {
      expect(await statuses(bearer)).toEqual([200, 200])
    }
    await fetch(`${one.url}${keys}/${first.id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${admin}` },
    })
    expect((await oauth(one, 'revoke', { token })).status).toBe(200)
    const endedAt = performance.now()
    for (const bearer of [first.key, token]) {
      await until(async () => (await statuses(bearer)).every((status) => status === 401))
    }
    expect(performance.now() - endedAt).toBeLessThan(2000)
    expect(await statuses(second.key)).toEqual([200, 200])
  })

  test('refresh on both at once by one token, and get the same next one', async () => {
    const credentials = { username: 'admin', password: PASSWORD }
    const login = await (await one.post('/api/v1/auth/login', credentials)).json()
    const { refresh_token } = login as { refresh_token: string }
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const server = n % 2 === 0 ? one : other
        const response = await server.post('/api/v1/auth/refresh', { refresh_token })
        return ((await response.json()) as { refresh_token: string }).refresh_token
      }),
    )
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toStartWith('qrt_')
  })

  test('hear each other’s events', async () => {
    // One of them publishes it, whoever wrote it, and then the other hears of it.
    const heard = async () => {
      const counts = [one, other].map((server) => metric(server, 'bus_events_heard_total'))
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
    }
    const before = await heard()
    await one.logIn()
    await until(async () => (await heard()) > before)
    await other.logIn()
    await until(async () => (await heard()) > before + 1)
  })

  test('have one limit', async () => {
    const statuses: number[] = []
    for (let n = 0; n < 14; n++) {
      const server = n % 2 === 0 ? one : other
      statuses.push((await server.post('/api/v1/auth/validate', { token: 'x' })).status)
    }
    expect(statuses).toEqual([...Array(10).fill(401), ...Array(4).fill(429)] as number[])
  })

  test('what is predicted on one is remembered on the other', async () => {
    const token = await one.logIn()
    const body = { ...points, features: { x1: [4.5], x2: [5.5] } }
    const first = await (await one.post('/api/v1/predict', body, token)).json()
    const hits = 'prediction_cache_total{model="classification",version="1",result="hit"}'
    const before = await metric(other, hits)
    const again = (await (await other.post('/api/v1/predict', body, token)).json()) as object
    expect({ ...again, timestamp: '' }).toEqual({ ...(first as object), timestamp: '' })
    expect(await metric(other, hits)).toBe(before + 1)
  })

  test('a key that replaces a compromised one is honoured by both, and its tokens refused within 2 s', async () => {
    const { DATABASE_URL, PUBLIC_URL } = settings as { DATABASE_URL: string; PUBLIC_URL: string }
    const old = await one.logIn()
    const statuses = (token: string) =>
      Promise.all(
        [one, other].map(async (server) => (await get(server, '/api/v1/models', token)).status),
      )
    expect(await statuses(old)).toEqual([200, 200])
    const child = Bun.spawn(['scripts/admin', 'rotate-keys', '--compromised'], {
      cwd: join(import.meta.dir, '..', '..'),
      env: bareEnvironment({ DATABASE_URL, PUBLIC_URL }),
      stdout: 'ignore',
    })
    expect(await child.exited).toBe(0)
    await Bun.sleep(2000)
    expect(await statuses(old)).toEqual([401, 401])
    for (const server of [one, other]) {
      expect(await statuses(await server.logIn())).toEqual([200, 200])
    }
  })

  test('a job of one that is killed is done by the other', async () => {
    const token = await other.logIn()
    const batches = Array.from({ length: 900 }, () => points)
    const ids: string[] = []
    for (let n = 0; n < 20; n++) {
      const response = await fetch(`${one.url}/api/v1/predict/batch`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          prefer: 'respond-async',
        },
        body: JSON.stringify({ batches }),
      })
      expect(response.status).toBe(202)
      ids.push(((await response.json()) as { id: string }).id)
    }
    const stateOf = async (id: string) =>
      ((await (await get(other, `/api/v1/jobs/${id}`, token)).json()) as { state: string }).state
    one.process.kill('SIGKILL')
    expect(await stateOf(ids.at(-1)!)).not.toBe('done')
    for (const id of ids) await until(async () => (await stateOf(id)) === 'done', 30_000)
    const job = (await (await get(other, `/api/v1/jobs/${ids[0]}`, token)).json()) as {
      result_url: string
    }
    const result = (await (await fetch(job.result_url)).json()) as { results: object[] }
    expect(result.results).toHaveLength(batches.length)
  })
})
