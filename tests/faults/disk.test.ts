import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import { systemClock } from '../../src/platform/clock.ts'
import { openFolderStorage } from '../../src/platform/storage/folder.ts'
import { type Disk, limitedDisk, mountDisk } from '../support/disk.ts'
import { FIXTURE_MODELS_DIR, PASSWORD } from '../support/harness.ts'
import { bareEnvironment, newDirectory, startServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'

/** Longer than a token is believed without a look at the database. */
const FULL_MS = 2500
const ANSWERS_WITHIN_MS = 1000
const ROOT = join(import.meta.dir, '../..')

const disks: [string, () => Disk][] = [['whose files may not grow', limitedDisk]]
const mounted = mountDisk()
if (typeof mounted === 'string') process.stderr.write(`skipped: a full tmpfs, since ${mounted}\n`)
else {
  mounted.remove()
  disks.push(['that is a full tmpfs', () => mountDisk() as Disk])
}

async function timed(request: Promise<Response>): Promise<Response> {
  const startedAt = performance.now()
  const response = await request
  expect(performance.now() - startedAt).toBeLessThan(ANSWERS_WITHIN_MS)
  return response
}

async function expectRefused(request: Promise<Response>): Promise<void> {
  const response = await timed(request)
  expect(response.status).toBe(503)
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(await response.json()).toMatchObject({ title: 'Temporarily unavailable' })
}

describe.each(disks)('a disk %s', (_, openDisk) => {
  let disk: Disk
  let server: TestServer
  beforeEach(async () => {
    disk = openDisk()
    server = await startServer({
      DATA_DIR: disk.directory,
      MODELS_DIR: FIXTURE_MODELS_DIR,
      RATE_LIMIT_AUTH: '1000000',
    })
  })
  afterEach(async () => {
    await server.stop()
    disk.remove()
  })

  test('refuses what must be kept, and nothing else, until there is room', async () => {
    const { directory } = disk
    const { pid } = server.process
    const token = await server.logIn()
    const storage = openFolderStorage({
      directory,
      publicUrl: server.url,
      uploadBytesMax: 1,
      clock: systemClock,
    })
    const options = { expiresInSeconds: 600, bytesMax: 10_000_000 }
    const addressOf = (address: string) => {
      const { pathname, search } = new URL(address)
      return server.url + pathname + search
    }
    const put = (key: string, body: string | Uint8Array<ArrayBuffer>) =>
      fetch(addressOf(storage.uploadAddress(key, options)), { method: 'PUT', body })
    const get = (key: string) => fetch(addressOf(storage.downloadAddress(key, options)))
    const create = (username: string) =>
      server.post('/api/v1/users', { username, password: PASSWORD }, token)
    const logIn = (username = 'admin') =>
      server.post('/api/v1/auth/login', { username, password: PASSWORD })
    const predict = (x1: number) =>
      server.post(
        '/api/v1/predict',
        { model_type: 'classification', features: { x1: [x1], x2: [2] } },
        token,
      )

    const before = ['ada', 'ben', 'eve']
    for (const name of before) expect((await create(name)).status).toBe(201)
    expect((await put('kept/a', 'before')).status).toBe(201)
    expect((await predict(0)).status).toBe(200)

    disk.fill(pid)
    const fullAt = performance.now()
    let time = 0
    for (; performance.now() - fullAt < FULL_MS; time += 1) {
      // One that is cached, and one that is not.
      expect((await timed(predict(0))).status).toBe(200)
      expect((await timed(predict(time + 1))).status).toBe(200)
      await expectRefused(logIn())
      await expectRefused(create(`refused-${time}`))
      // What was there is left as it was, and what was not has not come to be.
      await expectRefused(put('kept/a', new Uint8Array(3_000_000)))
      await expectRefused(put('new/b', new Uint8Array(3_000_000)))
      expect(await (await timed(get('kept/a'))).text()).toBe('before')
      expect((await get('new/b')).status).toBe(404)
      expect((await timed(server.post('/api/v1/auth/validate', { token }))).status).toBe(200)
      for (const path of ['/livez', '/readyz', '/metrics'])
        expect((await timed(fetch(server.url + path))).status).toBe(200)
    }
    expect(time).toBeGreaterThan(3)
    // But for the copy of the model that serves.
    const left = readdirSync(join(directory, 'files/@partial'))
    expect(left.filter((name) => !name.endsWith('model.onnx'))).toEqual([])
    // A minute may begin meanwhile, and with it what is done every minute.
    const warned = () =>
      server
        .warnings()
        .map(({ message }) => message)
        .filter((message) => message !== 'the schedules can not be looked at')
    await until(() => warned().length >= 2)
    expect(warned()).toEqual(['The database does not answer', 'The disk for files is full'])
    expect([server.process.exitCode, server.errors()]).toEqual([null, ''])

    disk.free(pid)
    for (const name of before) expect((await timed(logIn(name))).status).toBe(200)
    expect((await timed(create('later'))).status).toBe(201)
    expect((await timed(put('new/b', 'after'))).status).toBe(201)
    expect(await (await get('new/b')).text()).toBe('after')
    expect((await timed(predict(-1))).status).toBe(200)
    expect(await server.stop()).toBe(0)

    using database = new Database(join(directory, 'quintet.db'))
    expect(database.query('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' })
    const names = database.query('select username from accounts order by created_at').values()
    expect(names.flat()).toEqual(['admin', ...before, 'later'])
  })

  test('holds up no stop, and what was kept is there after it', async () => {
    const token = await server.logIn()
    const create = (username: string) =>
      server.post('/api/v1/users', { username, password: PASSWORD }, token)
    expect((await create('ada')).status).toBe(201)
    disk.fill(server.process.pid)
    await expectRefused(create('ben'))
    const startedAt = performance.now()
    expect(await server.stop()).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(2000)
    disk.free()
    server = await startServer({ DATA_DIR: disk.directory, MODELS_DIR: FIXTURE_MODELS_DIR })
    await server.logIn('ada')
  })
})

// It is Linux's disk that is always full.
test.if(existsSync('/dev/full'))('a log that can not be written costs lines alone', async () => {
  const free = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
  const { port } = free
  await free.stop(true)
  const directory = newDirectory()
  const child = Bun.spawn(['bun', 'src/main.ts'], {
    cwd: ROOT,
    env: bareEnvironment({
      PORT: String(port),
      DATA_DIR: directory,
      MODELS_DIR: FIXTURE_MODELS_DIR,
      ADMIN_PASSWORD: PASSWORD,
    }),
    stdout: Bun.file('/dev/full'),
    stderr: 'pipe',
  })
  const livez = () => fetch(`http://127.0.0.1:${port}/livez`)
  await until(() =>
    livez().then(
      () => true,
      () => false,
    ),
  )
  for (let time = 0; time < 10; time += 1) {
    expect((await timed(livez())).status).toBe(200)
    await Bun.sleep(100)
  }
  const stoppedAt = performance.now()
  child.kill('SIGTERM')
  expect([await child.exited, await new Response(child.stderr).text()]).toEqual([0, ''])
  expect(performance.now() - stoppedAt).toBeLessThan(2000)
})
