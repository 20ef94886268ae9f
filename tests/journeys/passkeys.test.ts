import { afterAll, beforeAll, expect, test } from 'bun:test'

import {
  addAuthenticator,
  type Chromium,
  ensureChromium,
  type Page,
  startChromium,
} from '../support/chromium.ts'
import { PASSWORD } from '../support/harness.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { freePort } from '../support/services/service.ts'

const PASSKEYS = '/api/v1/me/passkeys'
const SECOND = '/api/v1/auth/second-factor'

const isThere = await ensureChromium()
const testInChromium = isThere ? test : test.skip

let server: TestServer
let chromium: Chromium | undefined
let page: Page
let authenticatorId: string
let token: string
beforeAll(async () => {
  if (!isThere) return
  const port = await freePort()
  // Passkeys are bound to the address that people see.
  server = await startServer({ PORT: String(port), PUBLIC_URL: `http://localhost:${port}` })
  chromium = await startChromium()
  page = await chromium.open(`http://localhost:${port}/`)
  authenticatorId = await addAuthenticator(page)
  token = await server.logIn()
}, 60_000)
afterAll(async () => {
  await chromium?.close()
  await server?.stop()
})

const json = async <T>(response: Response | Promise<Response>) =>
  (await (await response).json()) as T
const ask = (method: string, path: string) =>
  fetch(`${server.url}${path}`, { method, headers: { authorization: `Bearer ${token}` } })

/** The page makes the calls, as a page of this server would. */
const fetched = (
  path: string,
  body: string,
  bearer = '',
) => `(await fetch(${JSON.stringify(path)}, {
  method: 'POST',
  headers: {
    'content-type': 'application/json',
    ...(${JSON.stringify(bearer)} && { authorization: 'Bearer ' + ${JSON.stringify(bearer)} }),
  },
  body: ${body},
}))`
const ceremony = <T>(steps: string) => page.evaluate<T>(`(async () => { ${steps} })()`)

interface Answer {
  status: number
  body: Record<string, unknown>
}
const register = (name: string) =>
  ceremony<Answer>(`
    const options = await ${fetched(`${PASSKEYS}/options`, 'undefined', token)}.json()
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options)
    const response = (await navigator.credentials.create({ publicKey })).toJSON()
    const answer = await ${fetched(PASSKEYS, `JSON.stringify({ name: ${JSON.stringify(name)}, response })`, token)}
    return { status: answer.status, body: await answer.json() }
  `)
const logIn = (path: string, ticket?: string) =>
  ceremony<Answer>(`
    const ticket = ${JSON.stringify(ticket ?? null)} ?? undefined
    const options = await ${fetched(`${path}/options`, ticket === undefined ? 'undefined' : 'JSON.stringify({ ticket })')}.json()
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options)
    const response = (await navigator.credentials.get({ publicKey })).toJSON()
    const answer = await ${fetched(path, 'JSON.stringify({ ticket, response })')}
    return { status: answer.status, body: await answer.json() }
  `)
const listed = async () =>
  (await json<{ passkeys: Record<string, unknown>[] }>(ask('GET', PASSKEYS))).passkeys
const credentials = async () => {
  const found = await page.send<{ credentials: { signCount: number; credentialId: string }[] }>(
    'WebAuthn.getCredentials',
    { authenticatorId },
  )
  return found.credentials
}

testInChromium('a passkey is registered by a browser', async () => {
  expect(await register('This laptop')).toEqual({
    status: 201,
    body: {
      id: expect.any(String),
      name: 'This laptop',
      created_at: expect.any(String),
      used_at: null,
      transports: ['internal'],
      backed_up: false,
    },
  })
  expect(await credentials()).toHaveLength(1)
})

testInChromium('the browser does not make a second one for the account', async () => {
  const again = register('Again').then(
    () => 'made',
    (error: unknown) => String(error),
  )
  expect(await again).toContain('InvalidStateError')
  expect(await listed()).toHaveLength(1)
})

testInChromium('it logs in without a password', async () => {
  const { status, body } = await logIn('/api/v1/auth/passkeys/login')
  expect({ status, body }).toMatchObject({
    status: 200,
    body: { user: { username: 'admin', role: 'admin' }, expires_in: 86_400 },
  })
  token = body['token'] as string
  expect((await ask('GET', '/api/v1/me')).status).toBe(200)
})

testInChromium('it is the second factor of a login by password', async () => {
  const credentials = { username: 'admin', password: PASSWORD }
  const refused = await server.post('/api/v1/auth/login', credentials)
  expect(refused.status).toBe(401)
  const { ticket, methods } = await json<{ ticket: string; methods: string[] }>(refused)
  expect(methods).toEqual(['passkey'])
  const { status, body } = await logIn(`${SECOND}/passkey`, ticket)
  expect({ status, body }).toMatchObject({ status: 200, body: { user: { username: 'admin' } } })
  token = body['token'] as string
})

/** What a person does at a page, and where that leads. */
async function act(action: string, leadsTo: string): Promise<void> {
  await page.leave(() => page.evaluate(`(() => { ${action} })()`))
  const where = await page.evaluate<string>('`${location.pathname}: ${document.title}`')
  expect(where).toStartWith(leadsTo)
}
const openPage = (path: string) =>
  page.leave(() =>
    page.send('Page.navigate', { url: `${server.url.replace('127.0.0.1', 'localhost')}${path}` }),
  )
const usePasskey = `document.querySelector('form[data-passkey] button').click()`
const submit = `document.querySelector('main form').submit()`

testInChromium('it signs a browser in at the page, alone', async () => {
  await openPage('/sign-in')
  await act(usePasskey, '/account')
  expect(await page.evaluate<string>('document.body.textContent')).toContain('admin')
  await openPage('/sign-out')
  await act(submit, '/sign-in')
})

testInChromium('it is the second step there, after the password', async () => {
  await openPage('/sign-in')
  await act(
    `document.querySelector('#username').value = 'admin'
    document.querySelector('#password').value = ${JSON.stringify(PASSWORD)}
    ${submit}`,
    '/sign-in: Second factor',
  )
  // It has no other, and asks for none.
  expect(await page.evaluate<number>(`document.querySelectorAll('#code').length`)).toBe(0)
  await act(usePasskey, '/account')
  await openPage('/sign-out')
  await act(submit, '/sign-in')
})

testInChromium('it is listed with its last use', async () => {
  const [passkey, ...others] = await listed()
  expect(others).toEqual([])
  expect(passkey).toMatchObject({ name: 'This laptop', used_at: expect.stringMatching(/Z$/) })
})

testInChromium('WebAuthn §6.1.1: a copy of it that has signed less is refused', async () => {
  const [credential] = await credentials()
  expect(credential!.signCount).toBeGreaterThan(1)
  const { credentialId } = credential!
  await page.send('WebAuthn.removeCredential', { authenticatorId, credentialId })
  const copy = { ...credential, signCount: 0 }
  await page.send('WebAuthn.addCredential', { authenticatorId, credential: copy })
  expect(await logIn('/api/v1/auth/passkeys/login')).toMatchObject({ status: 401 })
  await page.send('WebAuthn.removeCredential', { authenticatorId, credentialId })
  await page.send('WebAuthn.addCredential', {
    authenticatorId,
    credential: { ...credential, signCount: credential!.signCount + 10 },
  })
  expect(await logIn('/api/v1/auth/passkeys/login')).toMatchObject({ status: 200 })
})

testInChromium('without a finger on it, the browser gives nothing', async () => {
  await page.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
  const given = logIn('/api/v1/auth/passkeys/login').then(
    () => 'given',
    (error: unknown) => String(error),
  )
  expect(await given).toContain('NotAllowedError')
  await page.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true })
})

testInChromium('it is removed, and then opens nothing', async () => {
  const [passkey] = await listed()
  expect((await ask('DELETE', `${PASSKEYS}/${String(passkey!['id'])}`)).status).toBe(204)
  expect(await listed()).toEqual([])
  expect(await logIn('/api/v1/auth/passkeys/login')).toMatchObject({
    status: 401,
    body: { title: 'Invalid passkey' },
  })
  // The password alone is enough again.
  expect((await server.logIn()).length).toBeGreaterThan(100)
})
