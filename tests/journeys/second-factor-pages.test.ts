import { afterAll, beforeAll, expect, test } from 'bun:test'

import { generateSync } from 'otplib'

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

const isThere = await ensureChromium()
const testInChromium = isThere ? test : test.skip

let server: TestServer
let chromium: Chromium | undefined
let page: Page
let secret: string
beforeAll(async () => {
  if (!isThere) return
  const port = await freePort()
  server = await startServer({
    PORT: String(port),
    PUBLIC_URL: `http://localhost:${port}`,
    SECOND_FACTOR: 'everyone',
  })
  chromium = await startChromium()
  page = await chromium.open(`http://localhost:${port}/sign-in`)
  await addAuthenticator(page)
}, 60_000)
afterAll(async () => {
  await chromium?.close()
  await server?.stop()
})

/** What a person does at a page, and the page that it leads to. */
async function act(action: string, title: string): Promise<string> {
  await page.leave(() => page.evaluate(`(() => { ${action} })()`))
  expect(await page.evaluate<string>('document.title')).toBe(`${title} · Quintet`)
  return page.evaluate<string>('document.body.innerText')
}
const openPage = (path: string) =>
  page.leave(() =>
    page.send('Page.navigate', { url: `${server.url.replace('127.0.0.1', 'localhost')}${path}` }),
  )
const type = (id: string, value: string) =>
  `document.getElementById('${id}').value = ${JSON.stringify(value)};`
const press = (text: string) => `
  [...document.querySelectorAll('button, a')].find((each) => each.textContent === '${text}').click()`
const signIn = `${type('username', 'admin')} ${type('password', PASSWORD)} ${press('Sign in')}`
const code = (step = 0) =>
  generateSync({ secret, epoch: Math.floor(Date.now() / 1000) + 30 * step })

testInChromium('who owes a second factor is led to set up an app, by pages alone', async () => {
  expect(await act(signIn, 'Second factors')).toContain('until then you can do nothing else')
  const setup = await act(press('Set up an app'), 'Set up an app')
  secret = /Or type this into it: ([A-Z2-7 ]+),/.exec(setup)![1]!.replaceAll(' ', '')
  const drawn = await page.evaluate<number>(
    `document.querySelector('.qr svg').getBoundingClientRect().width`,
  )
  expect(drawn).toBeGreaterThan(150)
  const codes = await act(`${type('code', code())} ${press('Turn it on')}`, 'Recovery codes')
  expect(codes.match(/[0-9a-z]{5}(-[0-9a-z]{5}){4}/g)).toHaveLength(10)
  expect(await act(press('I have kept them'), 'Second factors')).toContain('You have 10 left')
  expect(await act(press('Go on'), 'Your account')).toContain('admin')
})

testInChromium('makes a passkey there, and signs in by it alone', async () => {
  await openPage('/account/second-factors')
  const action = `${type('name', 'This laptop')} ${press('Make a passkey')}`
  expect(await act(action, 'Second factors')).toContain('This laptop')
  await openPage('/sign-out')
  await act(press('Sign out'), 'Sign in')
  expect(await act(press('Use a passkey'), 'Your account')).toContain('admin')
})

testInChromium('removes it, and is asked for the code of the app again', async () => {
  await openPage('/account/second-factors')
  expect(await act(press('Remove'), 'Second factors')).not.toContain('This laptop')
  await openPage('/sign-out')
  await act(press('Sign out'), 'Sign in')
  await act(signIn, 'Second factor')
  // The one that turned it on is used.
  expect(await act(`${type('code', code(1))} ${press('Go on')}`, 'Your account')).toContain('admin')
})
