import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { generateSync } from 'otplib'

import { createAuthenticator } from '../support/authenticator.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'

const PAGE = '/account/second-factors'
const TOTP = `${PAGE}/totp`
const PASSKEYS = `${PAGE}/passkeys`
const CODES = `${PAGE}/recovery-codes`
const form = {
  'content-type': 'application/x-www-form-urlencoded',
  'sec-fetch-site': 'same-origin',
}

let harness: Harness
let ada: string
let people = 0
beforeAll(async () => {
  harness = await openHarness({ RATE_LIMIT_AUTH: '100000', SECOND_FACTOR: 'everyone' })
  ada = (await newPerson()).cookie
})
afterAll(() => harness.close())

async function signIn(username: string, returnTo = '') {
  const response = await harness.request({
    path: `/sign-in${returnTo === '' ? '' : `?return_to=${encodeURIComponent(returnTo)}`}`,
    body: new URLSearchParams({ username, password: PASSWORD }).toString(),
    headers: form,
  })
  const cookie = response.headers.get('set-cookie')?.split(';')[0] ?? ''
  return { status: response.status, cookie, location: response.headers.get('location') }
}
async function newPerson() {
  const username = `person ${++people}`
  await harness.addAccount({ username })
  return { username, ...(await signIn(username)) }
}
const show = async (cookie: string, path = PAGE) => {
  const response = await harness.request({ path, headers: { cookie } })
  return { status: response.status, text: await response.text() }
}
const send = (cookie: string, path: string, fields: Record<string, string> = {}) =>
  harness.request({
    method: 'POST',
    path,
    body: new URLSearchParams(fields).toString(),
    headers: { ...form, cookie },
  })
const codeOf = (secret: string) =>
  generateSync({ secret, epoch: Math.floor(harness.clock.now() / 1000) })
/** Sets up an app, as far as the last step. */
async function begin(cookie: string): Promise<string> {
  const page = await (await send(cookie, TOTP)).text()
  return /name="secret" value="([A-Z2-7]{32})"/.exec(page)![1]!
}
const mayPredict = async (cookie: string) =>
  (await harness.request({ path: '/api/v1/models', headers: { cookie } })).status === 200

describe('refuses', () => {
  const paths = [TOTP, `${TOTP}/confirmation`, `${TOTP}/removal`, CODES, PASSKEYS]
  testRequests(
    () => harness,
    paths.flatMap((path) => [
      {
        name: `a form of another site: ${path}`,
        path,
        body: '',
        get headers() {
          return { ...form, 'sec-fetch-site': 'cross-site', cookie: ada }
        },
        status: 403,
        isPage: true,
      },
      {
        name: `JSON: ${path}`,
        path,
        body: {},
        get headers() {
          return { 'sec-fetch-site': 'same-origin', cookie: ada }
        },
        status: 415,
        isPage: true,
      },
    ]),
  )

  test('who is not signed in, who is asked to', async () => {
    for (const response of [
      await harness.request({ path: PAGE }),
      await send('', TOTP),
      await send('', PASSKEYS, { name: 'x', response: '{}' }),
    ]) {
      expect(response.status).toBe(303)
      expect(response.headers.get('location')).toBe(
        '/sign-in?return_to=%2Faccount%2Fsecond-factors',
      )
    }
  })

  test.each([
    [`${TOTP}/confirmation`, { code: '123456', secret: 'https://evil.example' }],
    [`${TOTP}/confirmation`, { code: '123456' }],
    [TOTP, { role: 'admin' }],
    [PASSKEYS, { name: 'x', response: 'no JSON' }],
    [PASSKEYS, { name: '', response: '{}' }],
    [`${PASSKEYS}/removal`, {}],
  ])('%s with %j', async (path, fields) => {
    expect((await send(ada, path, fields as Record<string, string>)).status).toBe(422)
  })

  test('what somebody does who has not just logged in, and leads back', async () => {
    const { cookie } = await newPerson()
    harness.clock.advance(601_000)
    for (const path of [TOTP, `${TOTP}/removal`, CODES, `${PASSKEYS}/removal`]) {
      const response = await send(cookie, path, path.includes('passkeys') ? { passkey: 'x' } : {})
      expect(response.status).toBe(403)
      expect(await response.text()).toContain(
        'href="/sign-in?return_to=%2Faccount%2Fsecond-factors"',
      )
    }
  })
})

describe('who owes a second factor', () => {
  test('is sent there after signing in, and from there on to where they wanted', async () => {
    const { username } = await newPerson()
    const { cookie, location } = await signIn(username, '/reports?page=2')
    expect(location).toBe(`${PAGE}?return_to=%2Freports%3Fpage%3D2`)
    const { text } = await show(cookie, location!)
    expect(text).toContain('until then you can do nothing else')
    const { text: safe } = await show(cookie, `${PAGE}?return_to=//evil.example`)
    expect(safe).not.toContain('evil.example')
    expect(await mayPredict(cookie)).toBe(false)

    const secret = await begin(cookie)
    const wrong = await send(cookie, `${TOTP}/confirmation`, { code: '000000', secret })
    expect(wrong.status).toBe(422)
    const again = await wrong.text()
    for (const word of [secret.slice(0, 4), 'aria-invalid="true"', '<svg', 'otpauth://']) {
      expect(again).toContain(word)
    }
    const confirmation = `${TOTP}/confirmation?return_to=%2Freports`
    const right = await send(cookie, confirmation, { code: codeOf(secret), secret })
    expect(right.status).toBe(200)
    const codes = await right.text()
    expect(codes.match(/[0-9a-z]{5}(-[0-9a-z]{5}){4}/g)).toHaveLength(10)
    expect(codes).toContain(`href="${PAGE}?return_to=%2Freports"`)
    expect(await mayPredict(cookie)).toBe(true)
    const done = await show(cookie, `${PAGE}?return_to=%2Freports`)
    expect(done.text).toContain('href="/reports"')
    expect(done.text).toContain('You have 10 left')
    expect(done.text).not.toContain(secret)
  })

  test('has a passkey by the form that the script fills, and removes it', async () => {
    const { cookie } = await newPerson()
    const options = await harness.request({
      method: 'POST',
      path: '/api/v1/me/passkeys/options',
      headers: { 'sec-fetch-site': 'same-origin', cookie },
    })
    const response = createAuthenticator().register((await options.json()) as never)
    const fields = { name: 'Work key', response: JSON.stringify(response) }
    const made = await send(cookie, PASSKEYS, fields)
    expect([made.status, made.headers.get('location')]).toEqual([303, PAGE])
    const twice = await send(cookie, PASSKEYS, fields)
    expect(twice.status).toBe(422)
    expect(await twice.text()).toContain('Its challenge was used')
    const { text } = await show(cookie)
    expect(text).toContain('Work key')
    const passkey = /name="passkey" value="([^"]+)"/.exec(text)![1]!
    const { cookie: other } = await newPerson()
    expect((await send(other, `${PASSKEYS}/removal`, { passkey })).status).toBe(303)
    expect((await show(cookie)).text).toContain('Work key')
    expect((await send(cookie, `${PASSKEYS}/removal`, { passkey })).status).toBe(303)
    expect((await show(cookie)).text).not.toContain('Work key')
  })

  test('removes an app, and makes new recovery codes before', async () => {
    const { cookie } = await newPerson()
    const secret = await begin(cookie)
    await send(cookie, `${TOTP}/confirmation`, { code: codeOf(secret), secret })
    const codes = await send(cookie, CODES)
    expect((await codes.text()).match(/[0-9a-z]{5}(-[0-9a-z]{5}){4}/g)).toHaveLength(10)
    expect((await send(cookie, `${TOTP}/removal`)).status).toBe(303)
    expect((await show(cookie)).text).toContain('Set up an app')
    expect((await send(cookie, CODES)).status).toBe(409)
  })
})

test('who owes nothing goes where they wanted', async () => {
  const open = await openHarness()
  await open.addAccount({ username: 'bo' })
  const response = await open.request({
    path: '/sign-in?return_to=%2Freports',
    body: new URLSearchParams({ username: 'bo', password: PASSWORD }).toString(),
    headers: form,
  })
  expect(response.headers.get('location')).toBe('/reports')
  await open.close()
})
