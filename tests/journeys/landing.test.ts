import { afterAll, beforeAll, expect, test } from 'bun:test'

import { type Chromium, ensureChromium, type Page, startChromium } from '../support/chromium.ts'
import { PASSWORD } from '../support/harness.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { freePort } from '../support/services/service.ts'
import { until } from '../support/until.ts'

const isThere = await ensureChromium()
const testInChromium = isThere ? test : test.skip

let server: TestServer
let chromium: Chromium | undefined
let page: Page
beforeAll(async () => {
  if (!isThere) return
  const port = await freePort()
  server = await startServer({ PORT: String(port), PUBLIC_URL: `http://localhost:${port}` })
  chromium = await startChromium()
  page = await chromium.open(`http://localhost:${port}/`)
}, 60_000)
afterAll(async () => {
  await chromium?.close()
  await server?.stop()
})

const shows = (text: string) =>
  until(async () => (await page.evaluate<string>('document.body.innerText')).includes(text))
const press = (text: string) => `
  [...document.querySelectorAll('button, a')]
    .find((each) => each.textContent === '${text}' && each.checkVisibility()).click()`
const follow = (text: string) => page.leave(() => page.evaluate(press(text)))
const fill = (id: string, value: string) =>
  page.evaluate(`document.getElementById('${id}').value = ${JSON.stringify(value)}`)

testInChromium('the first page leads to sign in, and back to the models', async () => {
  await shows('Sign in')
  await follow('Sign in')
  await fill('username', 'admin')
  await fill('password', PASSWORD)
  await follow('Sign in')
  expect(await page.evaluate<string>('location.pathname')).toBe('/')
  await shows('Signed in as admin (admin).')
})

testInChromium('a model is asked by the cookie of the browser', async () => {
  await page.evaluate(press('Predict'))
  await shows('Answered in ')
})

testInChromium('who signs out is asked to sign in again', async () => {
  await follow('Sign out')
  await follow('Sign out')
  await page.leave(() =>
    page.send('Page.navigate', {
      url: `${new URL(server.url).origin.replace('127.0.0.1', 'localhost')}/`,
    }),
  )
  await shows('Use a token instead')
})

testInChromium('a token does as well, and stays in the tab', async () => {
  const token = await server.logIn()
  await page.evaluate(`document.querySelector('summary').click()`)
  await fill('pasted', token)
  await page.evaluate(press('Use this token'))
  await shows('Signed in with a token.')
  await page.evaluate(press('Predict'))
  await shows('Answered in ')
  await page.evaluate(press('Forget the token'))
  await shows('Use a token instead')
})
