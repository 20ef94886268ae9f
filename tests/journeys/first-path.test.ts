import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'

import { PASSWORD } from '../support/harness.ts'
import { bareEnvironment, startServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'

let server: TestServer
let token: string
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${server.url}${path}`, { headers })
const script = async (...command: string[]) => {
  const child = Bun.spawn(command, {
    cwd: join(import.meta.dir, '..', '..'),
    env: bareEnvironment({ DATA_DIR: server.directory }),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const output = await new Response(child.stdout).text()
  expect(await child.exited).toBe(0)
  return output.trim()
}

test('it is ready', async () => {
  expect(await (await get('/readyz')).json()).toMatchObject({ status: 'ready' })
})

test('log in, then predict with the token', async () => {
  token = await server.logIn()
  const body = {
    model_type: 'forecast',
    features: [{ history: [421.1, 422.5, 423.6], horizon: 3 }],
  }
  const answer = (await (await server.post('/api/v1/predict', body, token)).json()) as {
    predictions: number[][]
  }
  expect(answer.predictions[0]).toHaveLength(3)
  for (const value of answer.predictions[0]!) expect(value).toBeWithin(400, 450)
})

test('scripts/token gives an administrator’s token for the running server', async () => {
  const local = await script('scripts/token')
  const response = await get('/api/v1/models', { authorization: `Bearer ${local}` })
  const { models } = (await response.json()) as { models: { name: string }[] }
  expect(models.map(({ name }) => name)).toEqual(['classification', 'forecast', 'regression'])
})

test('scripts/admin reset is honoured within 2 s: new password, old tokens out', async () => {
  const output = await script('scripts/admin', 'reset')
  const password = /Password: +(\S+)/.exec(output)![1]!
  const old = await server.post('/api/v1/auth/login', { username: 'admin', password: PASSWORD })
  expect(old.status).toBe(401)
  expect((await server.logIn('admin', password)).length).toBeGreaterThan(100)
  await Bun.sleep(2000)
  expect((await get('/api/v1/models', { authorization: `Bearer ${token}` })).status).toBe(401)
})

test('scripts/admin rotate-keys works beside the server: the next key waits, and a compromised one is out within 2 s', async () => {
  const kids = async () => {
    const { keys } = (await (await get('/.well-known/jwks.json')).json()) as {
      keys: { kid: string }[]
    }
    return keys.map(({ kid }) => kid)
  }
  const asked = { authorization: `Bearer ${await script('scripts/token')}` }
  const [old] = await kids()
  const next = /Key: +(\S+)/.exec(await script('scripts/admin', 'rotate-keys'))![1]!
  const again = await script('scripts/admin', 'rotate-keys')
  expect(again).toContain(next)
  expect(again).toContain('It waits already')
  await until(async () => (await kids()).length === 2)
  expect(await kids()).toEqual([old!, next])
  expect((await get('/api/v1/models', asked)).status).toBe(200)

  const output = await script('scripts/admin', 'rotate-keys', '--compromised')
  await Bun.sleep(2000)
  expect((await get('/api/v1/models', asked)).status).toBe(401)
  expect(await kids()).toEqual([/Key: +(\S+)/.exec(output)![1]!])
  expect(output).toContain('scripts/admin end-sessions --all')
  const fresh = { authorization: `Bearer ${await script('scripts/token')}` }
  expect((await get('/api/v1/models', fresh)).status).toBe(200)
})

test('scripts/admin end-sessions is honoured within 2 s, and does nothing unless it is told whose', async () => {
  const asked = { authorization: `Bearer ${await script('scripts/token')}` }
  const status = async () => (await get('/api/v1/models', asked)).status
  expect(await status()).toBe(200)
  for (const wrong of [[], ['--everybody'], ['admin', 'more'], ['nobody']]) {
    const child = Bun.spawn(['scripts/admin', 'end-sessions', ...wrong], {
      cwd: join(import.meta.dir, '..', '..'),
      env: bareEnvironment({ DATA_DIR: server.directory }),
      stdout: 'ignore',
      stderr: 'ignore',
    })
    expect(await child.exited).toBe(1)
  }
  expect(await status()).toBe(200)
  expect(await script('scripts/admin', 'end-sessions', '--all')).toMatch(/^Sessions ended: [1-9]/)
  await until(async () => (await status()) === 401, 2000)
})

test('a second start takes under a second to the first answer, and knows its administrator', async () => {
  const { directory } = server
  const second = await startServer({ DATA_DIR: directory })
  process.stderr.write(`second start: ${Math.round(second.startedInMs)} ms to the first answer\n`)
  expect(second.errors()).not.toContain('Password')
  expect(await second.stop()).toBe(0)
})
