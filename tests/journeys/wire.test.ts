import { afterAll, beforeAll, expect, test } from 'bun:test'
import { connect } from 'node:net'

import { FIXTURE_MODELS_DIR } from '../support/harness.ts'
import { startServer, type TestServer } from '../support/server.ts'

let server: TestServer
let token: string
beforeAll(async () => {
  server = await startServer({ MODELS_DIR: FIXTURE_MODELS_DIR })
  token = await server.logIn()
})
afterAll(() => server.stop())

const REPLY_TIMEOUT_MS = 5000

/** Sends bytes as they are and reads the status line of what comes back. */
async function sendRaw(text: string): Promise<string> {
  const { hostname, port } = new URL(server.url)
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data: (_, data) => resolve(data.toString().split('\r\n', 1).join()),
      close: () => resolve('closed'),
    },
  })
  socket.write(text)
  const answer = await Promise.race([promise, Bun.sleep(REPLY_TIMEOUT_MS).then(() => 'nothing')])
  socket.end()
  return answer
}

test('a header over 16 KB gets 431 from the runtime', async () => {
  expect(
    await sendRaw(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(17_000)}\r\n\r\n`),
  ).toContain('431')
})

test('a body beyond the limit gets 413, announced or not', async () => {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const large = ' '.repeat(1024 * 1024 + 1)
  const announced = await fetch(`${server.url}/api/v1/predict`, {
    method: 'POST',
    headers,
    body: large,
  })
  expect({ status: announced.status, type: announced.headers.get('content-type') }).toEqual({
    status: 413,
    type: 'application/problem+json',
  })
  const chunked = await fetch(`${server.url}/api/v1/predict`, {
    method: 'POST',
    headers,
    body: new ReadableStream({
      start(controller) {
        for (let sent = 0; sent < 20; sent++) controller.enqueue(new Uint8Array(64 * 1024).fill(32))
        controller.close()
      },
    }),
  })
  expect(chunked.status).toBe(413)
})

test('a body that is optional may be left out, and is read where it is there', async () => {
  const users = `${server.url}/api/v1/users`
  const { id } = (await (
    await server.post('/api/v1/users', { username: 'ada', password: 'a long enough one' }, token)
  ).json()) as { id: string }
  const path = `${users}/${id}/password`
  const statusOf = async (init: RequestInit) =>
    (await fetch(path, { method: 'POST', ...init, headers: { authorization: `Bearer ${token}` } }))
      .status
  expect(await statusOf({})).toBe(200)
  expect(await statusOf({ body: '' })).toBe(200)
  expect(await statusOf({ body: new Blob(['{"password": "x"}']).stream() })).toBe(415)
  const head = `POST /api/v1/users/${id}/password HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n`
  expect(await sendRaw(`${head}\r\n`)).toContain('200')
  expect(await sendRaw(`${head}Content-Length: 0\r\n\r\n`)).toContain('200')
  expect(await sendRaw(`${head}Content-Length: 2\r\n\r\n{}`)).toContain('415')
  expect(await sendRaw(`${head}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`)).toContain(
    '415',
  )
})

test('two lengths at once smuggle nothing past the limit', async () => {
  const head = 'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  const answer = await sendRaw(
    `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  )
  expect(answer).toMatch(/400|422|closed/)
})

test('nonsense instead of HTTP does not disturb it', async () => {
  expect(await sendRaw('\u0000\u0001\u0002 nonsense\r\n\r\n')).toMatch(/400|closed/)
  expect((await fetch(`${server.url}/livez`)).status).toBe(200)
})

test('a scraper on the same machine reads the metrics', async () => {
  const response = await fetch(`${server.url}/metrics`)
  expect(response.status).toBe(200)
})

test('a client that leaves in the middle of its body is no bug of ours', async () => {
  const { hostname, port } = new URL(server.url)
  const socket = await Bun.connect({ hostname, port: Number(port), socket: { data() {} } })
  const head = 'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  socket.write(`${head}Content-Length: 1000\r\n\r\n{`)
  await Bun.sleep(100)
  socket.terminate()
  await Bun.sleep(200)
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  expect(metrics).toContain('endpoint="/api/v1/auth/login",status="400"')
  expect(metrics).not.toContain('endpoint="/api/v1/auth/login",status="500"')
})

test('a body that trickles in is 504 when the time of the request is over', async () => {
  const slow = await startServer({ MODELS_DIR: FIXTURE_MODELS_DIR, REQUEST_TIMEOUT_MS: '300' })
  const { hostname, port } = new URL(slow.url)
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: { data: (_, data) => resolve(data.toString().split('\r\n', 1).join()) },
  })
  const head = 'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  socket.write(`${head}Content-Length: 1000\r\n\r\n{`)
  expect(await promise).toContain('504')
  socket.terminate()
  await slow.stop()
})

test('a table is answered to a client that sends all of it before it reads anything', async () => {
  const token = await server.logIn()
  const rows = 400_000
  const body = Buffer.concat([
    Buffer.from('x1,x2,id\n'),
    Buffer.from(Array.from({ length: rows }, (_, at) => `1,2,${at}-${'x'.repeat(20)}\n`).join('')),
  ])
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.pause()
  socket.write(
    [
      'POST /api/v1/models/classification/predict?include=inputs HTTP/1.1',
      `Host: ${hostname}:${port}`,
      `Authorization: Bearer ${token}`,
      'Content-Type: text/csv',
      `Content-Length: ${body.byteLength}`,
      'Connection: close',
      '',
      '',
    ].join('\r\n'),
  )
  const { promise: sent, resolve } = Promise.withResolvers<void>()
  socket.write(body, () => resolve())
  await sent
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  expect(text).toStartWith('HTTP/1.1 200')
  expect(text).toContain(`\r\n1,2,0-`)
  expect(text).toContain(`\r\n1,2,${rows - 1}-`)
}, 60_000)
