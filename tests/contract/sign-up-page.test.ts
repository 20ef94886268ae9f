import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'

const SIGN_UP = '/sign-up'
const form = {
  'content-type': 'application/x-www-form-urlencoded',
  'sec-fetch-site': 'same-origin',
}
const fields = (username: string, email = '', password = PASSWORD) =>
  new URLSearchParams({ username, email, password }).toString()

let closed: Harness
let open: Harness
let verifying: Harness
beforeAll(async () => {
  closed = await openHarness()
  open = await openHarness({ SIGNUP: 'open', RATE_LIMIT_AUTH: '100000' })
  verifying = await openHarness({
    SIGNUP: 'open',
    UNVERIFIED_LOGIN: 'refuse',
    RATE_LIMIT_AUTH: '100000',
  })
  await open.addAccount({ username: 'ada', email: 'ada@example.com' })
  await verifying.addAccount({ username: 'ada', email: 'ada@example.com' })
})
afterAll(async () => {
  for (const each of [closed, open, verifying]) await each.close()
})

const signUp = (row: Partial<Row> & Pick<Row, 'name' | 'status'>): Row => ({
  path: SIGN_UP,
  headers: form,
  isPage: true,
  mustNotContain: [PASSWORD, encodeURIComponent(PASSWORD)],
  ...row,
})

describe('where sign-up is closed', () => {
  testRequests(
    () => closed,
    [
      signUp({ name: 'there is no form', status: 403, contains: ['Ask an administrator'] }),
      signUp({ name: 'no account is made', body: fields('eve'), status: 403 }),
      {
        name: 'nor does the page to sign in lead there',
        path: '/sign-in',
        status: 200,
        isPage: true,
        mustNotContain: [SIGN_UP],
      },
    ],
  )
})

describe('where sign-up is open', () => {
  testRequests(
    () => open,
    [
      {
        name: 'the page to sign in leads there',
        path: '/sign-in',
        status: 200,
        isPage: true,
        contains: [`href="${SIGN_UP}"`],
      },
      signUp({ name: 'there is a form', status: 200, contains: ['autocomplete="new-password"'] }),
      ...(
        [
          ['no user name', fields(''), 'The user name: '],
          ['an address as user name', fields('ada@example.com'), 'The user name: '],
          ['what is no address', fields('eve', 'nowhere'), 'The e-mail address: '],
          ['a short password', fields('eve', '', 'short'), 'The password: '],
          ['a common password', fields('eve', '', 'password123'), 'The password: '],
          ['its own name as the password', fields('evelyn42', '', 'evelyn42'), 'easy to guess'],
          ['a field that raises rights', `${fields('eve')}&role=admin`, 'as this page has it'],
          ['a field that stands twice', `${fields('eve')}&username=mallory`, 'as this page has it'],
          ['no fields', 'x=y', 'as this page has it'],
        ] as const
      ).map(([name, body, said]) =>
        signUp({ name: `${name} is refused`, body, status: 422, contains: [said] }),
      ),
      signUp({
        name: 'what was typed is shown again, and not the password',
        body: fields('<b>', 'eve@example.com', 'quintet1'),
        status: 422,
        contains: ['value="&lt;b&gt;"', 'value="eve@example.com"'],
        mustNotContain: ['quintet1', '<b>'],
      }),
      signUp({
        name: 'a name that is taken is refused, in any case',
        body: fields('ADA'),
        status: 409,
        contains: ['name="username"'],
      }),
      signUp({
        name: 'a form of another site is refused',
        body: fields('eve'),
        headers: { ...form, 'sec-fetch-site': 'cross-site' },
        status: 403,
      }),
      signUp({
        name: 'a form that is too long is refused',
        body: fields('eve', '', 'x'.repeat(17_000)),
        status: 413,
      }),
      signUp({
        name: 'an account is made, and its owner sent to sign in',
        body: fields('grace', 'grace@example.com'),
        status: 303,
        answerHeaders: { location: '/sign-in?notice=signed-up' },
        events: ['auth.user_created'],
      }),
      signUp({
        name: 'who signs up by an address that is taken is told nothing of it',
        body: fields('hedy', 'ada@example.com'),
        status: 303,
        answerHeaders: { location: '/sign-in?notice=signed-up' },
        events: ['auth.user_created'],
      }),
    ],
  )

  test('who has signed up is a viewer', async () => {
    const token = await open.logIn('grace')
    const me = await open.request({ path: '/api/v1/me', token })
    expect(await me.json()).toMatchObject({ username: 'grace', role: 'viewer' })
  })
})

describe('where an address must be verified', () => {
  testRequests(
    () => verifying,
    [
      signUp({
        name: 'one is asked for',
        body: fields('eve'),
        status: 422,
        contains: ['The e-mail address: '],
      }),
      signUp({
        name: 'a letter is promised by nobody where none is sent',
        body: fields('eve', 'eve@example.com'),
        status: 200,
        contains: ['Ask for your link', 'eve@example.com'],
        events: ['auth.user_created'],
      }),
    ],
  )

  test('the page is the same where the address is taken', async () => {
    const pages = await Promise.all(
      ['ada@example.com', 'new@example.com'].map(async (email, index) => {
        const body = fields(`somebody-${index}`, email)
        const answer = await verifying.request({ path: SIGN_UP, body, headers: form })
        return { status: answer.status, text: (await answer.text()).replaceAll(email, '…') }
      }),
    )
    expect(new Set(pages.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
  })
})

describe('the page to sign in', () => {
  test.each([
    ['password-set', 'Your password is set.'],
    ['signed-up', 'Your account is made.'],
    ['signed-out', 'You are signed out.'],
  ])('says why somebody is there: %s', async (notice, said) => {
    const page = await open.request({ path: `/sign-in?notice=${notice}` })
    expect(await page.text()).toContain(said)
  })

  test('says nothing that stands in the address', async () => {
    const page = await open.request({ path: '/sign-in?notice=Call%20555' })
    expect(page.status).toBe(200)
    expect(await page.text()).not.toContain('Call 555')
  })

  test('says whose session the browser has', async () => {
    const body = new URLSearchParams({ username: 'ada', password: PASSWORD }).toString()
    const entered = await open.request({ path: '/sign-in', body, headers: form })
    const cookie = entered.headers.get('set-cookie')!.split(';')[0]!
    const known = await open.request({ path: '/sign-in', headers: { cookie } })
    expect(await known.text()).toContain('You are signed in as <strong>ada</strong>')
    const path = '/sign-in?notice=signed-out'
    const again = await open.request({ path, headers: { cookie } })
    expect(await again.text()).not.toContain('You are signed out')
    for (const stranger of [`${cookie}x`, 'quintet_session=rubbish', 'a=b']) {
      const page = await open.request({ path: '/sign-in', headers: { cookie: stranger } })
      expect(page.status).toBe(200)
      expect(await page.text()).not.toContain('You are signed in as')
    }
  })
})

test('a link that confirms nothing any more leads to where another is sent', async () => {
  const page = await open.request({ path: '/verify-email?ticket=none' })
  const text = await page.text()
  expect([page.status, text.includes('href="/sign-in"')]).toEqual([400, true])
  expect(text).not.toContain('href="/forgot-password"')
})

describe('an address that is none', () => {
  const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
  test.each([
    ['/nowhere', BROWSER, 'text/html; charset=utf-8'],
    ['/nowhere', '*/*', 'application/problem+json'],
    ['/nowhere', 'application/json', 'application/problem+json'],
    ['/api/v1/nowhere', BROWSER, 'application/problem+json'],
    ['/v2/nowhere', BROWSER, 'application/json'],
    ['/oauth/nowhere', BROWSER, 'application/problem+json'],
  ])('%s, asked for as %s, is answered by %s', async (path, accept, type) => {
    const answer = await open.request({ path, headers: { accept } })
    expect(answer.status).toBe(404)
    expect(answer.headers.get('content-type')).toBe(type)
    expect(answer.headers.get('x-request-id')).not.toBeNull()
    if (type.startsWith('text')) {
      expect(answer.headers.get('vary')).toContain('accept')
      expect(await answer.text()).toContain('There is no /nowhere here.')
    }
  })
})
