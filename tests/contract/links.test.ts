import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'

import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { type MailCatcher, openMailCatcher } from '../support/smtp.ts'
import { until } from '../support/until.ts'

const NEXT = 'a good long one'
const NO_TICKET = `qt_${'x'.repeat(43)}`

let catcher: MailCatcher
let harness: Harness
let count = 0
/** An account of each test's own. */
let name: string
beforeAll(async () => {
  catcher = await openMailCatcher()
  harness = await openHarness({
    SMTP_URL: `smtp://127.0.0.1:${catcher.port}`,
    MAIL_FROM: 'quintet@example.com',
    RATE_LIMIT_AUTH: '100000',
    JOB_POLL_MS: '10',
  })
})
beforeEach(async () => {
  name = `user${(count += 1)}`
  await harness.addAccount({ username: name, email: `${name}@example.com` })
})
afterAll(async () => {
  await harness.close()
  await catcher.close()
})

/** What a browser sends with a form of a page of ours. */
const send = (path: string, form: Record<string, string>, site = 'same-origin') =>
  harness.request({
    path,
    body: new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': site },
  })
const logIn = (password: string) =>
  harness.request({ path: '/api/v1/auth/login', body: { username: name, password } })
/** What the newest mail leads to, as path and query. */
async function linkIn(address = `${name}@example.com`): Promise<string> {
  const mails = () => catcher.mails.filter(({ to }) => to[0] === address)
  await until(() => mails().length > 0)
  return /http:\/\/localhost:8080(\S+)/.exec(mails().at(-1)!.text)![1]!
}
const ticketOf = (link: string) => new URLSearchParams(link.split('?')[1]).get('ticket')!

async function shown(response: Response, status: number): Promise<string> {
  const text = await response.text()
  expect({ status: response.status, text }).toEqual({ status, text: expect.any(String) })
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(response.headers.get('content-security-policy')).toContain("script-src 'none'")
  expect(response.headers.get('cache-control')).toBe('no-store')
  return text
}

describe('a forgotten password', () => {
  test('is where sign-in leads, and asks for a name', async () => {
    const signIn = await harness.request({ path: '/sign-in' })
    expect(await signIn.text()).toContain('href="/forgot-password"')
    const form = await shown(await harness.request({ path: '/forgot-password' }), 200)
    expect(form).toContain('name="username"')
    expect(await shown(await send('/forgot-password', {}), 422)).toContain('Type your user name')
  })

  test('is answered the same for somebody and for nobody', async () => {
    const pages = [
      await shown(await send('/forgot-password', { username: name }), 200),
      await shown(await send('/forgot-password', { username: 'nobody' }), 200),
    ]
    expect(pages[0]).toContain('a link is on its way')
    expect(pages[1]).toBe(pages[0])
  })

  test('says where no mail is sent who has the link', async () => {
    const bare = await openHarness()
    const answer = await bare.request({
      path: '/forgot-password',
      body: 'username=nobody',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'sec-fetch-site': 'same-origin',
      },
    })
    const text = await answer.text()
    expect(text).toContain('an administrator has a link for you')
    expect(text).not.toContain('on its way')
    await bare.close()
  })

  test('by a link that is void, leads to another', async () => {
    const path = `/reset-password?ticket=qt_${'x'.repeat(43)}`
    expect(await shown(await harness.request({ path }), 400)).toContain('href="/forgot-password"')
  })

  test('is set anew by the link in the mail', async () => {
    await send('/forgot-password', { username: name })
    const link = await linkIn()
    expect(link).toStartWith('/reset-password?ticket=')
    // As often as programs that look into mail open it.
    for (let opened = 0; opened < 3; opened += 1) {
      const form = await shown(await harness.request({ path: link }), 200)
      expect(form).toContain(ticketOf(link))
      expect(form).toContain(name)
    }
    const ticket = ticketOf(link)
    const weak = await shown(await send('/reset-password', { ticket, password: 'short' }), 422)
    expect(weak).toContain('expected 8 to 128 characters')
    expect(weak).toContain(ticket)
    expect(weak).not.toContain('short')
    const obvious = await send('/reset-password', { ticket, password: `${name}@${name}` })
    expect(await shown(obvious, 422)).toContain('easy to guess')
    const answer = await send('/reset-password', { ticket, password: NEXT, username: name })
    expect(answer.status).toBe(303)
    expect(answer.headers.get('location')).toBe('/sign-in?notice=password-set')
    expect(answer.headers.get('set-cookie')).toBeNull()
    expect((await logIn(NEXT)).status).toBe(200)
    expect((await logIn(PASSWORD)).status).toBe(401)
    expect(await shown(await harness.request({ path: link }), 400)).toContain('Invalid link')
    const again = await send('/reset-password', { ticket, password: 'another long one' })
    expect(await shown(again, 400)).toContain('Invalid link')
  })
})

test('a first password is set by the link of an invitation', async () => {
  const body = { username: `new ${name}`, email: `new-${name}@example.com` }
  await harness.request({ path: '/api/v1/users', body, token: harness.adminToken })
  const link = await linkIn(body.email)
  expect(await shown(await harness.request({ path: link }), 200)).toContain('Set your password')
  const answer = await send('/set-password', { ticket: ticketOf(link), password: NEXT })
  expect(answer.status).toBe(303)
  name = body.username
  expect((await logIn(NEXT)).status).toBe(200)
})

test('an address is confirmed by a button, not by opening the link', async () => {
  const token = await harness.logIn(name)
  const path = '/api/v1/me/email/verification'
  await harness.request({ method: 'POST', path, token })
  const link = await linkIn()
  const isVerified = async () => {
    const me = await harness.request({ path: '/api/v1/me', token })
    return ((await me.json()) as { email_verified: boolean }).email_verified
  }
  expect(await shown(await harness.request({ path: link }), 200)).toContain(`${name}@example.com`)
  expect(await isVerified()).toBe(false)
  const ticket = ticketOf(link)
  for (const given of [{ ticket }, { ticket, password: 'wrong password' }]) {
    const again = await shown(await send('/verify-email', given), 403)
    expect(again).toContain('Wrong password. Try again.')
  }
  expect(await isVerified()).toBe(false)
  const right = { ticket, username: name, password: PASSWORD }
  expect(await shown(await send('/verify-email', right), 200)).toContain('is confirmed')
  expect(await isVerified()).toBe(true)
  expect(await shown(await send('/verify-email', right), 400)).toContain('Invalid link')
})

describe.each(['/reset-password', '/set-password', '/verify-email'])('%s', (path) => {
  test.each([
    ['no ticket', ''],
    ['an unknown one', `?ticket=${NO_TICKET}`],
    ['a strange one', '?ticket=%22%3E%3Cscript%3Ealert(1)%3C/script%3E'],
  ])('with %s is a page that says so', async (_, query) => {
    const text = await shown(await harness.request({ path: path + query }), 400)
    expect(text).toContain('Invalid link')
    expect(text).not.toContain('<script')
  })

  test('with an endless one is refused', async () => {
    const request = { path: `${path}?ticket=${'x'.repeat(300)}` }
    await shown(await harness.request(request), 422)
  })

  test('is sent by pages of ours alone', async () => {
    const form = { ticket: NO_TICKET, password: NEXT }
    expect((await send(path, form, 'cross-site')).status).toBe(403)
  })

  test('takes no other member', async () => {
    await shown(await send(path, { ticket: NO_TICKET, password: NEXT, role: 'admin' }), 422)
  })
})
