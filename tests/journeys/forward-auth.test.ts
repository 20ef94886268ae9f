import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'

import { PASSWORD } from '../support/harness.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { aptInstall, canAptInstall } from '../support/services/apt.ts'
import { findCaddy, findNginx, startCaddy, startNginx } from '../support/services/proxies.ts'
import type { Service } from '../support/services/service.ts'
import { until } from '../support/until.ts'

const GRAFANA = 'grafana.example.com'
const ORIGIN = `http://${GRAFANA}`
const INSTALL_TIMEOUT_MS = 120_000

const guide = await Bun.file(join(import.meta.dir, '..', '..', 'docs', 'forward-auth.md')).text()

/** What the guide tells to write, with this machine's ports put in. */
function written(
  language: string,
  ports: { listen: number; quintet: string; app: number },
): string {
  const code = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(guide)![1]!
  const told = code
    .replaceAll('127.0.0.1:8080', new URL(ports.quintet).host)
    .replaceAll('127.0.0.1:3000', `127.0.0.1:${ports.app}`)
    .replaceAll('listen 80;', `listen 127.0.0.1:${ports.listen};`)
    .replaceAll(`${GRAFANA} {`, `${ORIGIN}:${ports.listen} {`)
  expect(told).toContain(`127.0.0.1:${ports.app}`)
  return told
}

const proxies = [
  {
    name: 'nginx',
    find: findNginx,
    start: (server: TestServer, app: number) =>
      startNginx((listen) => written('nginx', { listen, quintet: server.url, app })),
  },
  {
    name: 'caddy',
    find: findCaddy,
    start: (server: TestServer, app: number) =>
      startCaddy((listen) => written('caddy', { listen, quintet: server.url, app })),
  },
]

let server: TestServer
let app: Bun.Server<string | undefined>
beforeAll(async () => {
  for (const { name, find } of proxies) if (find() === undefined) await aptInstall(name)
  server = await startServer({ FORWARD_AUTH_ORIGINS: ORIGIN, RATE_LIMIT_AUTH: '10000' })
  app = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request, self) {
      const headers = Object.fromEntries(request.headers)
      if (self.upgrade(request, { data: headers['x-user'] })) return undefined
      return Response.json({ method: request.method, body: await request.text(), headers })
    },
    websocket: {
      open: (socket) => void socket.send(String(socket.data)),
      message: () => {},
    },
  })
}, INSTALL_TIMEOUT_MS)
afterAll(async () => {
  await app.stop(true)
  await server.stop()
})

interface Seen {
  method: string
  body: string
  headers: Record<string, string>
}

async function addUser(username: string): Promise<string> {
  const token = await server.logIn()
  const response = await server.post('/api/v1/users', { username, password: PASSWORD }, token)
  expect(response.status).toBe(201)
  return ((await response.json()) as { id: string }).id
}

/** As a browser does, at an address that the proxy led to. */
async function signIn(address: string, username: string) {
  const { pathname, search } = new URL(address)
  const response = await fetch(server.url + pathname + search, {
    method: 'POST',
    redirect: 'manual',
    headers: {
      origin: server.url,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ username, password: PASSWORD }).toString(),
  })
  expect(response.status).toBe(303)
  return {
    location: response.headers.get('location'),
    cookie: response.headers.get('set-cookie')!.split(';')[0]!,
  }
}

for (const { name, find, start } of proxies) {
  if (find() === undefined && !canAptInstall() && process.env['CI'] !== 'true') {
    process.stderr.write(`skipped: forward-auth by ${name}, which is not on this machine\n`)
    describe.skip(name, () => {})
    continue
  }

  describe(`${name}, as the guide configures it`, () => {
    let proxy: Service
    const user = `zoë %${name}`
    let userId: string
    beforeAll(async () => {
      proxy = await start(server, app.port!)
      userId = await addUser(user)
    })
    afterAll(() => proxy.remove())

    const ask = (headers: Record<string, string> = {}, init: RequestInit = {}) =>
      fetch(`${proxy.url}/d/1?a=1&b=x%26y`, {
        redirect: 'manual',
        ...init,
        headers: { host: GRAFANA, accept: 'text/html', ...headers },
      })
    const seen = async (headers: Record<string, string>, init: RequestInit = {}) => {
      const response = await ask(headers, init)
      expect(response.status).toBe(200)
      return (await response.json()) as Seen
    }

    test('a stranger does not get in: a browser is led to sign in, a program gets 401', async () => {
      const browser = await ask({ 'x-user': 'admin', 'x-role': 'admin' })
      expect(browser.status).toBe(302)
      const location = new URL(browser.headers.get('location')!)
      expect(location.origin + location.pathname).toBe('http://localhost:8080/sign-in')
      expect(location.searchParams.get('return_to')).toBe(`${ORIGIN}/d/1?a=1&b=x%26y`)
      expect((await ask({ accept: 'application/json' })).status).toBe(401)
      expect((await ask({ authorization: 'Bearer nonsense', accept: '*/*' })).status).toBe(401)
      expect((await ask({ cookie: `quintet_session=qs_${'a'.repeat(43)}` })).status).toBe(302)
    })

    test('who signs in is led back, and the application hears who it is', async () => {
      const { headers } = await ask()
      const { location, cookie } = await signIn(headers.get('location')!, user)
      expect(location).toBe(`${ORIGIN}/d/1?a=1&b=x%26y`)
      const app = await seen({ cookie })
      expect(decodeURIComponent(app.headers['x-user']!)).toBe(user)
      expect(app.headers['x-user']).toMatch(/^[\u0020-\u007e]+$/)
      expect(app.headers['x-role']).toBe('viewer')
    })

    test('what the client says it is does not count', async () => {
      const { cookie } = await signIn('http://localhost/sign-in', user)
      const { headers } = await seen({
        cookie,
        'x-user': 'admin',
        'X-Role': 'admin',
        'x-user-id': 'admin',
      })
      expect(headers).toMatchObject({ 'x-user': `zo%C3%AB %25${name}`, 'x-role': 'viewer' })
      expect(headers['x-user-id']).toMatch(/^[0-9a-f-]{36}$/)
    })

    test('the application does not get what it could act as its visitor with', async () => {
      const { cookie } = await signIn('http://localhost/sign-in', user)
      for (const [sent, passed] of [
        [cookie, undefined],
        [`a=b; ${cookie}`, 'a=b'],
        [`${cookie}; c=d`, 'c=d'],
        [`a=b; ${cookie}; c=d`, 'a=b; c=d'],
      ] as const) {
        const { headers } = await seen({ cookie: sent })
        expect(headers['cookie']?.replace(/; ?$/, '') || undefined).toBe(passed)
      }
      const { headers } = await seen({ authorization: `Bearer ${await server.logIn(user)}` })
      expect(headers['authorization']).toBeUndefined()
      expect(headers['x-role']).toBe('viewer')
    })

    test('a request with a body gets there whole', async () => {
      const { cookie } = await signIn('http://localhost/sign-in', user)
      const { method, body } = await seen({ cookie }, { method: 'POST', body: 'x=1' })
      expect({ method, body }).toEqual({ method: 'POST', body: 'x=1' })
    })

    test('a WebSocket is asked about as well', async () => {
      const { cookie } = await signIn('http://localhost/sign-in', user)
      const open = (headers: Record<string, string>) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(proxy.url.replace('http', 'ws'), {
            headers: { host: GRAFANA, ...headers },
          })
          socket.addEventListener('message', ({ data }) => {
            resolve(String(data))
            socket.close()
          })
          socket.addEventListener('error', () => resolve('refused'))
        })
      expect(await open({ cookie, 'x-user': 'admin' })).toBe(`zo%C3%AB %25${name}`)
      expect(await open({ 'x-user': 'admin' })).toBe('refused')
    })

    test('who is disabled is out within 2 s', async () => {
      const { cookie } = await signIn('http://localhost/sign-in', user)
      await seen({ cookie })
      const response = await fetch(`${server.url}/api/v1/users/${userId}`, {
        method: 'PATCH',
        headers: {
          authorization: `Bearer ${await server.logIn()}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify({ disabled: true }),
      })
      expect(response.status).toBe(200)
      await until(async () => (await ask({ cookie })).status === 302, 2000)
    })
  })
}
