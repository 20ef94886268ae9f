import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'

import { systemClock } from '../../src/platform/clock.ts'
import { openFolderStorage } from '../../src/platform/storage/folder.ts'
import type { Storage } from '../../src/platform/storage/storage.ts'
import { FIXTURE_MODELS_DIR } from '../support/harness.ts'
import { newDirectory, startServer, type TestServer } from '../support/server.ts'

const directory = newDirectory()
const settings = {
  DATA_DIR: directory,
  MODELS_DIR: FIXTURE_MODELS_DIR,
  STORAGE_UPLOAD_BYTES_MAX: '200000000',
}
let server: TestServer
/** Another process’s view of the same folder, with the same key: it signs addresses for the tests. */
let storage: Storage
beforeAll(async () => {
  server = await startServer(settings)
  const options = { directory, publicUrl: server.url, uploadBytesMax: 1, clock: systemClock }
  storage = openFolderStorage(options)
})
afterAll(async () => {
  await server.stop()
  rmSync(directory, { recursive: true, force: true })
})

const toPut = (key: string, bytesMax = 1e9) => {
  const { pathname, search } = new URL(
    storage.uploadAddress(key, { expiresInSeconds: 600, bytesMax }),
  )
  return server.url + pathname + search
}
const toGet = (key: string) => {
  const { pathname, search } = new URL(storage.downloadAddress(key, { expiresInSeconds: 600 }))
  return server.url + pathname + search
}
/** But for the copy of the model that serves. */
const partials = () =>
  readdirSync(join(directory, 'files/@partial')).filter((name) => !name.endsWith('model.onnx'))

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await condition()); waited += 1) {
    if (waited > 500) throw new Error('it did not come to be')
    await Bun.sleep(10)
  }
}

/** Begins an upload, and leaves it in the middle. */
async function beginUpload(address: string) {
  const { hostname, port, pathname, search } = new URL(address)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  socket.write(
    `PUT ${pathname}${search} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhalf`,
  )
  await until(() => partials().length > 0)
  return socket
}

test('what is put by a signed address is what is got by another, in parts too', async () => {
  const content = crypto.getRandomValues(new Uint8Array(60_000)).toHex()
  const put = await fetch(toPut('a/b.txt'), { method: 'PUT', body: content })
  expect(put.status).toBe(201)
  const whole = await fetch(toGet('a/b.txt'))
  expect(await whole.text()).toBe(content)
  expect(whole.headers.get('etag')).toBe(put.headers.get('etag'))
  const part = await fetch(toGet('a/b.txt'), { headers: { range: 'bytes=1000-1999' } })
  expect([part.status, await part.text()]).toEqual([206, content.slice(1000, 2000)])
  const head = await fetch(toGet('a/b.txt'), { method: 'HEAD' })
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '120000'])
})

test('a body beyond 128 MB, where the runtime would answer by itself, gets a problem document', async () => {
  const body = new Uint8Array(201_000_000)
  const response = await fetch(toPut('large'), { method: 'PUT', body })
  expect([response.status, response.headers.get('content-type')]).toEqual([
    413,
    'application/problem+json',
  ])
})

test('an upload whose client goes away leaves nothing', async () => {
  const socket = await beginUpload(toPut('a/broken'))
  socket.destroy()
  await until(() => partials().length === 0)
  expect((await fetch(toGet('a/broken'))).status).toBe(404)
})

test('an upload in a process that is killed leaves nothing for readers, and its rest goes at the next start', async () => {
  const kept = await fetch(toPut('a/kept'), { method: 'PUT', body: 'old' })
  expect(kept.status).toBe(201)
  const socket = await beginUpload(toPut('a/kept'))
  const large = fetch(toPut('a/new'), {
    method: 'PUT',
    body: new Uint8Array(150_000_000),
  }).then(
    ({ status }) => status,
    () => 'cut',
  )
  await until(() => partials().length > 1)
  server.process.kill('SIGKILL')
  await server.process.exited
  expect(await large).toBe('cut')
  socket.destroy()
  expect(partials().length).toBeGreaterThan(0)

  server = await startServer(settings)
  expect(partials()).toEqual([])
  expect(await (await fetch(toGet('a/kept'))).text()).toBe('old')
  expect((await fetch(toGet('a/new'))).status).toBe(404)
})
