import { afterAll, afterEach, beforeAll, describe, expect, spyOn, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { authTables } from '../../src/auth/tables.ts'
import { jobTables } from '../../src/platform/jobs/tables.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'
import { type MailCatcher, openMailCatcher, openSilentServer } from '../support/smtp.ts'
import { until } from '../support/until.ts'
import { strangeMemberRows } from '../support/user-field-rows.ts'

const LOGIN = '/api/v1/auth/login'
const SIGNUP = '/api/v1/auth/signup'
const FORGOT = '/api/v1/auth/password/forgot'
const RESET = '/api/v1/auth/password/reset'
const VERIFY = '/api/v1/auth/email/verify'
const AGAIN = '/api/v1/me/email/verification'
const ME = '/api/v1/me'
const MAIL = '/api/v1/mail'
const USERS = '/api/v1/users'
const NEXT = 'a good long one'
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const NO_TICKET = `qt_${'x'.repeat(43)}`

const settings = (port: number) => ({
  SMTP_URL: `smtp://127.0.0.1:${port}`,
  MAIL_FROM: 'quintet@example.com',
  PUBLIC_URL: 'https://quintet.example.com',
  SIGNUP: 'open',
  RATE_LIMIT_AUTH: '100000',
  JOB_POLL_MS: '10',
})
const ticketOf = (text: string) => /\?ticket=(qt_[\w-]{43})(\n|$)/.exec(text)![1]!

/** What tests do with one server. */
const handling = (harness: () => Harness) => ({
  post: (path: string, body?: object, token?: string) =>
    harness().request({ method: 'POST', path, ...(body === undefined ? {} : { body }), token }),
  asAdmin: async (path: string, body?: object, method?: string) => {
    const { request, logIn } = harness()
    // Some tests wait for longer than a token lives.
    const token = await logIn('admin')
    const options = { path, token, ...(body === undefined ? {} : { body }) }
    return request(method === undefined ? options : { ...options, method })
  },
  logIn: (username: string, password = NEXT) =>
    harness().request({ path: LOGIN, body: { username, password } }),
  mailJobs: async () => {
    const { database } = harness().platform
    const { jobs } = jobTables(database.kit)
    return database.read.select().from(jobs).where(eq(jobs.type, 'mail.send'))
  },
})

describe('with a mail server', () => {
  let catcher: MailCatcher
  let harness: Harness
  const { post, asAdmin, logIn, mailJobs } = handling(() => harness)
  beforeAll(async () => {
    catcher = await openMailCatcher()
    harness = await openHarness(settings(catcher.port))
    await harness.addAccount({ username: 'Eve', email: 'eve@example.com' })
  })
  afterAll(async () => {
    await harness.close()
    await catcher.close()
  })

  const mailsTo = (address: string) => catcher.mails.filter(({ to }) => to[0] === address)
  /** The newest mail, once there are so many. */
  async function mailTo(address: string, count = 1) {
    await until(() => mailsTo(address).length >= count)
    expect(mailsTo(address)).toHaveLength(count)
    return mailsTo(address).at(-1)!
  }
  const run = async (type: string) => {
    const { jobs, database } = harness.platform
    const id = await database.write((tx) => jobs.enqueue(tx, { type, payload: {} }))
    await until(async () => (await jobs.get(id))?.state === 'done')
  }
  const allSent = () =>
    until(async () => (await mailJobs()).every(({ finishedAt }) => finishedAt !== null))

  describe('verifying refuses', () => {
    const bad = { path: VERIFY, status: 400, has: { title: 'Invalid link' } }
    const events = ['auth.ticket_refused']
    testRequests(
      () => harness,
      [
        { name: 'no body', method: 'POST', path: VERIFY, status: 415 },
        { name: 'no ticket', path: VERIFY, body: {}, status: 422 },
        { name: 'a number', path: VERIFY, body: { ticket: 7 }, status: 422 },
        { name: 'a long ticket', path: VERIFY, body: { ticket: 'x'.repeat(257) }, status: 422 },
        { name: 'an unknown ticket', ...bad, body: { ticket: NO_TICKET }, events },
        ...strangeMemberRows({ path: VERIFY }, { email: 'x@y.zz' }, { ticket: NO_TICKET }),
        { name: 'to send a link to a stranger', method: 'POST', path: AGAIN, status: 401 },
        {
          name: 'to send a link to no address',
          method: 'POST',
          path: AGAIN,
          as: 'admin',
          status: 409,
          has: { title: 'No e-mail address' },
        },
      ],
    )
  })

  describe('who signs up', () => {
    const ada = { username: 'Ada', email: 'ada@example.com', password: NEXT }
    let ticket: string

    testRequests(
      () => harness,
      [
        {
          name: 'must have an address',
          path: SIGNUP,
          body: { username: 'Ada', password: NEXT },
          status: 422,
          has: { errors: [{ pointer: '#/email' }] },
        },
        {
          name: 'must have one: null is none',
          path: SIGNUP,
          body: { username: 'Ada', password: NEXT, email: null },
          status: 422,
        },
        {
          name: 'has an account',
          path: SIGNUP,
          body: ada,
          status: 201,
          events: ['auth.user_created'],
        },
        {
          name: 'may not log in unverified, and with the right password is told why',
          path: LOGIN,
          body: { username: 'ada', password: NEXT },
          status: 403,
          has: { title: 'Address not verified' },
          mustNotContain: ['ada@example.com'],
          events: ['auth.login_failed'],
        },
        {
          name: 'and with a wrong one as any other',
          path: LOGIN,
          body: { username: 'ada', password: 'wrong password' },
          status: 401,
          has: { title: 'Invalid credentials' },
          events: ['auth.login_failed'],
        },
      ],
    )

    test('gets a link, and one more when they try to log in', async () => {
      const { text, headers } = await mailTo('ada@example.com', 2)
      expect(headers['subject']).toBe('Verify your e-mail address')
      expect(text).toContain('https://quintet.example.com/verify-email?ticket=qt_')
      // Whoever chose the name may have chosen the address of a stranger, who reads it.
      expect(text).not.toContain('Ada')
      ticket = ticketOf(text)
    })

    test('logs in once it was opened, which works once', async () => {
      expect((await post(VERIFY, { ticket, password: NEXT })).status).toBe(204)
      expect((await post(VERIFY, { ticket, password: NEXT })).status).toBe(400)
      const answer = await logIn('ada')
      expect(answer.status).toBe(200)
      const { token } = (await answer.json()) as { token: string }
      const me = await harness.request({ path: ME, token })
      expect(await me.json()).toMatchObject({ email_verified: true })
    })

    test('with a taken address gets the same answer after the same writes, and its owner a note', async () => {
      const answers: object[] = []
      for (const [username, email] of [
        ['free', 'free@example.com'],
        ['late', 'EVE@example.com'],
      ]) {
        const jobsBefore = (await mailJobs()).length
        const answer = await post(SIGNUP, { username, email, password: NEXT })
        const { id: _, username: __, ...rest } = (await answer.json()) as Record<string, string>
        const headers = [...answer.headers.keys()]
        const jobs = (await mailJobs()).length - jobsBefore
        // Neither can log in to see whose the address is.
        const login = await logIn(username!)
        const { title, detail } = (await login.json()) as Record<string, string>
        answers.push({
          status: answer.status,
          rest,
          headers,
          jobs,
          login: login.status,
          title,
          detail,
        })
      }
      expect(answers[0]).toMatchObject({ status: 201, jobs: 1, login: 403 })
      expect(answers[1]).toEqual(answers[0])
      const { headers, text } = await mailTo('eve@example.com')
      expect(headers['subject']).toBe('You have an account already')
      expect(text).not.toContain('ticket')
      expect(text).not.toContain('late')
      await mailTo('free@example.com', 2)
    })

    test('learns nothing about an address by logging in with it', async () => {
      const answers: object[] = []
      const spy = spyOn(Bun.password, 'verify')
      for (const [username, email] of [
        ['untaken', 'untaken@example.com'],
        ['tardy', 'Eve@example.com'],
      ]) {
        await post(SIGNUP, { username, email, password: NEXT })
        const jobsBefore = (await mailJobs()).length
        spy.mockClear()
        const answer = await logIn(email!)
        const { title, detail } = (await answer.json()) as Record<string, string>
        const jobs = (await mailJobs()).length - jobsBefore
        const headers = [...answer.headers.keys()]
        answers.push({
          status: answer.status,
          headers,
          jobs,
          title,
          detail,
          hashes: spy.mock.calls.length,
        })
      }
      spy.mockRestore()
      expect(answers[0]).toMatchObject({
        status: 401,
        title: 'Invalid credentials',
        jobs: 0,
        hashes: 1,
      })
      expect(answers[1]).toEqual(answers[0])
      const byName = await Promise.all([logIn('untaken'), logIn('tardy')])
      expect(byName.map(({ status }) => status)).toEqual([403, 403])
    })

    test('and forgets the password before that signs up once more: the address is free', async () => {
      await post(SIGNUP, { username: 'bo', email: 'bo@example.com', password: NEXT })
      await mailTo('bo@example.com')
      const list = await asAdmin(`${USERS}?q=bo`)
      expect(await list.json()).toMatchObject({
        users: [{ email: null, email_pending: 'bo@example.com', email_verified: false }],
      })
      await post(FORGOT, { username: 'bo' })
      await allSent()
      const again = { username: 'bob', email: 'bo@example.com', password: 'another long one' }
      expect((await post(SIGNUP, again)).status).toBe(201)
      const { text } = await mailTo('bo@example.com', 2)
      const verification = { ticket: ticketOf(text), password: 'another long one' }
      expect((await post(VERIFY, verification)).status).toBe(204)
      expect((await logIn('bo@example.com', 'another long one')).status).toBe(200)
    })

    test('keeps an address from nobody: its owner is made an account by an administrator', async () => {
      await post(SIGNUP, { username: 'squatter', email: 'holder@example.com', password: NEXT })
      await mailTo('holder@example.com')
      const body = { username: 'holder', email: 'holder@example.com', password: NEXT }
      expect((await asAdmin(USERS, body)).status).toBe(201)
      expect((await logIn('holder@example.com')).status).toBe(200)
    })

    test('and does not verify within a week makes room', async () => {
      const body = { username: 'cy', email: 'cy@example.com', password: NEXT }
      await post(SIGNUP, body)
      const { text } = await mailTo('cy@example.com')
      harness.clock.advance(7 * DAY_MS)
      await run('signups.expire')
      expect((await post(SIGNUP, body)).status).toBe(409)
      harness.clock.advance(1)
      await run('signups.expire')
      expect((await post(VERIFY, { ticket: ticketOf(text) })).status).toBe(400)
      expect((await post(SIGNUP, body)).status).toBe(201)
      // Who verified, and who was let in by an administrator, stays.
      for (const [name, password] of [
        ['ada', NEXT],
        ['eve', PASSWORD],
      ] as const) {
        expect((await logIn(name, password)).status).toBe(200)
      }
    })

    test('stays when an administrator vouches: gives a role, sets the password or has it set', async () => {
      const { accounts } = authTables(harness.platform.database.kit)
      const vouched: [name: string, method: string, path: string, body: object][] = [
        ['promoted', 'PATCH', '', { role: 'admin' }],
        ['set', 'POST', '/password', { password: NEXT }],
        ['voided', 'POST', '/password', {}],
      ]
      const ids: string[] = []
      for (const name of [...vouched.map(([name]) => name), 'older', 'alone']) {
        const body = { username: name, email: `${name}@example.com`, password: NEXT }
        const { id } = (await (await post(SIGNUP, body)).json()) as { id: string }
        ids.push(id)
      }
      for (const [index, [, method, path, body]] of vouched.entries()) {
        const answer = await asAdmin(`${USERS}/${ids[index]}${path}`, body, method)
        expect(answer.ok).toBe(true)
      }
      // As an administrator's act left it before that was so.
      await harness.platform.database.write(async (tx) => {
        await tx.update(accounts).set({ role: 'admin' }).where(eq(accounts.id, ids[3]!))
      })
      harness.clock.advance(7 * DAY_MS + 1)
      await run('signups.expire')
      const statuses: number[] = []
      for (const id of ids) statuses.push((await asAdmin(`${USERS}/${id}`)).status)
      expect(statuses).toEqual([200, 200, 200, 200, 404])
      expect((await logIn('promoted')).status).toBe(200)
    })
  })

  describe('a changed address', () => {
    let id: string
    let token: string
    const change = (email: string | null, as = token, more: object = {}) =>
      harness.request({
        method: 'PATCH',
        path: ME,
        body: { email, current_password: PASSWORD, ...more },
        token: as,
      })
    const mine = async (as = token) => {
      const { email, email_verified, email_pending } = (await (
        await harness.request({ path: ME, token: as })
      ).json()) as Record<string, unknown>
      return { email, email_verified, email_pending }
    }
    /** An account of a test's own, with its token. */
    async function person(username: string) {
      const id = await harness.addAccount({ username, email: `${username}@old.example.com` })
      return { id, token: await harness.logIn(username) }
    }
    beforeAll(async () => {
      ;({ id, token } = await person('dan'))
    })

    test('is sent a link, is the account’s once that is opened, and the one before is told', async () => {
      const answer = await change('dan@new.example.com')
      expect(answer.status).toBe(200)
      expect(await answer.json()).toMatchObject({
        email: 'dan@old.example.com',
        email_pending: 'dan@new.example.com',
      })
      const link = await mailTo('dan@new.example.com')
      expect(link.headers['subject']).toBe('Verify your e-mail address')
      expect(link.text).not.toContain('dan')
      expect((await logIn('dan@new.example.com', PASSWORD)).status).toBe(401)
      expect((await logIn('dan@old.example.com', PASSWORD)).status).toBe(200)
      expect((await post(VERIFY, { ticket: ticketOf(link.text), password: PASSWORD })).status).toBe(
        204,
      )
      expect(await mine()).toEqual({
        email: 'dan@new.example.com',
        email_verified: true,
        email_pending: null,
      })
      const note = await mailTo('dan@old.example.com')
      expect(note.headers['subject']).toBe('Your e-mail address was changed')
      for (const word of ['new.example.com', 'Hello dan']) expect(note.text).not.toContain(word)
      expect((await logIn('dan@old.example.com', PASSWORD)).status).toBe(401)
      await harness.published()
      const told = harness.events.filter(({ data }) => 'actor_id' in data && data.actor_id === id)
      expect(told.slice(-3)).toMatchObject([
        { type: 'auth.login' },
        { type: 'auth.user_changed', data: { changed: ['email'], user_id: id } },
        { type: 'auth.email_verified', data: { user_id: id } },
      ])
    })

    test('is verified by a link that was sent there, and no other', async () => {
      await change('dan@one.example.com')
      const { text } = await mailTo('dan@one.example.com')
      await change('dan@two.example.com')
      await mailTo('dan@two.example.com')
      expect((await post(VERIFY, { ticket: ticketOf(text) })).status).toBe(400)
      await change('dan@one.example.com')
      const again = await mailTo('dan@one.example.com', 2)
      expect((await post(VERIFY, { ticket: ticketOf(text) })).status).toBe(400)
      expect(await mine()).toMatchObject({ email: 'dan@new.example.com' })
      expect(
        (await post(VERIFY, { ticket: ticketOf(again.text), password: PASSWORD })).status,
      ).toBe(204)
      expect(await mine()).toMatchObject({ email: 'dan@one.example.com', email_pending: null })
    })

    test('that is taken gets the same answer after as many letters, and its owner a note', async () => {
      const outcomes: object[] = []
      for (const [username, email] of [
        ['asks', 'nobodys@example.com'],
        ['pries', 'owned@example.com'],
      ] as const) {
        const { id, token } = await person(username)
        if (username === 'pries') await harness.addAccount({ username: 'owner', email })
        await allSent()
        const jobsBefore = (await mailJobs()).length
        const answer = await change(email, token)
        const { created_at: _, ...body } = (await answer.json()) as Record<string, string>
        const own = [username, email, id]
        const same = own.reduce((text, word) => text.replaceAll(word, '…'), JSON.stringify(body))
        const again = await post(AGAIN, undefined, token)
        const headers = [...answer.headers.keys()]
        outcomes.push({
          status: answer.status,
          again: again.status,
          same,
          headers,
          jobs: (await mailJobs()).length - jobsBefore,
        })
        expect(await mine(token)).toMatchObject({ email_pending: email })
        expect((await logIn(email, 'wrong password')).status).toBe(401)
      }
      expect(outcomes[0]).toMatchObject({ status: 200, again: 202, jobs: 2 })
      expect(outcomes[1]).toEqual(outcomes[0])
      const note = await mailTo('owned@example.com', 2)
      expect(note.headers['subject']).toBe('You have an account already')
      for (const word of ['ticket', 'pries']) expect(note.text).not.toContain(word)
      await mailTo('nobodys@example.com', 2)
    })

    test('is not confirmed by its reader for an account that is somebody else’s', async () => {
      const { id: lurer, token } = await person('lurer')
      await change('boss@example.com', token)
      const { text } = await mailTo('boss@example.com')
      const ticket = ticketOf(text)
      const page = await (await harness.request({ path: `/verify-email?ticket=${ticket}` })).text()
      for (const word of ['lurer', 'boss@example.com', 'type="password"']) {
        expect(page).toContain(word)
      }
      expect(page).not.toContain('old.example.com')
      for (const body of [{ ticket }, { ticket, password: 'my own password' }]) {
        const answer = await post(VERIFY, body)
        expect(answer.status).toBe(403)
        expect(await answer.json()).toMatchObject({ title: 'Wrong password' })
      }
      expect(await mine(token)).toMatchObject({ email: 'lurer@old.example.com' })
      for (let n = 0; n < 3; n += 1) await post(VERIFY, { ticket })
      expect((await post(VERIFY, { ticket, password: PASSWORD })).status).toBe(429)
      await harness.published()
      const told = harness.events.findLast(({ type }) => type === 'auth.reauthentication_failed')!
      expect(told.data).toMatchObject({ user_id: lurer, actor_id: null, reason: 'held_back' })
      harness.clock.advance(1000)
      expect((await post(VERIFY, { ticket, password: PASSWORD })).status).toBe(204)
    })

    test('that has become another’s stays theirs', async () => {
      const { token } = await person('slow')
      await change('raced@example.com', token)
      const { text } = await mailTo('raced@example.com')
      const body = { username: 'quick', email: 'raced@example.com', password: NEXT }
      expect((await asAdmin(USERS, body)).status).toBe(201)
      expect((await post(VERIFY, { ticket: ticketOf(text), password: PASSWORD })).status).toBe(400)
      expect(await mine(token)).toMatchObject({ email: 'slow@old.example.com' })
      expect((await logIn('raced@example.com')).status).toBe(200)
    })

    test('keeps nobody else from it', async () => {
      const { token } = await person('squats')
      await change('wanted@example.com', token)
      const body = { username: 'wanted', email: 'wanted@example.com', password: NEXT }
      expect((await post(SIGNUP, body)).status).toBe(201)
      const { text } = await mailTo('wanted@example.com', 2)
      const tickets = mailsTo('wanted@example.com').map(({ text }) => ticketOf(text))
      expect(tickets).toContain(ticketOf(text))
      const statuses: number[] = []
      for (const ticket of tickets) {
        for (const password of [NEXT, PASSWORD]) {
          statuses.push((await post(VERIFY, { ticket, password })).status)
        }
      }
      // By who has the password of the account that it is for; then the other’s link is void.
      expect(statuses.filter((status) => status === 204)).toHaveLength(1)
      expect(statuses.filter((status) => status === 400).length).toBeGreaterThan(0)
    })

    test('is given up when one asks for the own one, for none, or is given one', async () => {
      const { id, token } = await person('wavers')
      const givingUp = [
        () => change('wavers@old.example.com', token),
        () => asAdmin(`${USERS}/${id}`, { email: 'wavers@given.example.com' }, 'PATCH'),
        () => change(null, token),
      ]
      for (const [index, giveUp] of givingUp.entries()) {
        const email = `wavers${index}@example.com`
        await change(email, token)
        const { text } = await mailTo(email)
        expect((await giveUp()).status).toBe(200)
        expect(await mine(token)).toMatchObject({ email_pending: null })
        expect((await post(VERIFY, { ticket: ticketOf(text) })).status).toBe(400)
      }
      expect(await mine(token)).toMatchObject({ email: null })
    })

    test('is void once the password is another, whoever asked for it', async () => {
      const { id } = await person('robbed')
      const setting: [string, (token: string) => Promise<Response>][] = [
        [
          'own',
          (token) =>
            harness.request({
              path: `${ME}/password`,
              body: { current_password: PASSWORD, password: PASSWORD },
              token,
            }),
        ],
        ['given', () => asAdmin(`${USERS}/${id}/password`, { password: PASSWORD })],
        [
          'reset',
          async () => {
            await post(FORGOT, { username: 'robbed' })
            const subject = 'Reset your password'
            const found = () =>
              mailsTo('robbed@old.example.com').find(
                ({ headers }) => headers['subject'] === subject,
              )
            await until(() => found() !== undefined)
            return post(RESET, { ticket: ticketOf(found()!.text), password: PASSWORD })
          },
        ],
      ]
      for (const [name, set] of setting) {
        const thief = await harness.logIn('robbed')
        await change(`thief-${name}@example.com`, thief)
        const { text } = await mailTo(`thief-${name}@example.com`)
        expect((await set(thief)).status).toBe(204)
        expect((await post(VERIFY, { ticket: ticketOf(text) })).status).toBe(400)
        const token = await harness.logIn('robbed')
        expect(await mine(token)).toMatchObject({ email_pending: null })
      }
    })

    test('that nobody verifies within a week is given up', async () => {
      const { id, token } = await person('idle')
      const { accounts } = authTables(harness.platform.database.kit)
      const pending = async () => {
        const { read } = harness.platform.database
        const [row] = await read.select().from(accounts).where(eq(accounts.id, id))
        return row!.emailPending
      }
      await change('idle@new.example.com', token)
      await mailTo('idle@new.example.com')
      harness.clock.advance(7 * DAY_MS)
      await run('pending-addresses.expire')
      expect(await pending()).toBe('idle@new.example.com')
      harness.clock.advance(1)
      await run('pending-addresses.expire')
      expect(await pending()).toBeNull()
    })

    test('does not keep its owner from logging in', async () => {
      const dan = await harness.logIn('dan')
      await change('dan@three.example.com', dan)
      expect((await logIn('dan', PASSWORD)).status).toBe(200)
    })

    test('by an administrator is told of too', async () => {
      const fay = await harness.addAccount({ username: 'fay', email: 'fay@old.example.com' })
      await asAdmin(`${USERS}/${fay}`, { email: 'fay@new.example.com' }, 'PATCH')
      await mailTo('fay@old.example.com')
      await mailTo('fay@new.example.com')
    })

    test('gets five links an hour (MAILS_PER_ACCOUNT_MAX), and the answer is the same', async () => {
      await harness.addAccount({ username: 'gus', email: 'gus@example.com' })
      const gus = await harness.logIn('gus')
      for (let n = 0; n < 8; n += 1) expect((await post(AGAIN, undefined, gus)).status).toBe(202)
      await allSent()
      expect(mailsTo('gus@example.com')).toHaveLength(5)
      harness.clock.advance(HOUR_MS)
      await post(AGAIN, undefined, gus)
      await mailTo('gus@example.com', 6)
      const { text } = mailsTo('gus@example.com').at(-1)!
      const verification = { ticket: ticketOf(text), password: PASSWORD }
      expect((await post(VERIFY, verification)).status).toBe(204)
      await post(AGAIN, undefined, gus)
      await allSent()
      // It is verified.
      expect(mailsTo('gus@example.com')).toHaveLength(6)
    })

    test('is not flooded by accounts that are made for it', async () => {
      for (let n = 0; n < 8; n += 1) {
        const body = { username: `flood ${n}`, email: 'Victim@example.com', password: PASSWORD }
        expect((await post(SIGNUP, body)).status).toBe(201)
      }
      await allSent()
      expect(mailsTo('Victim@example.com')).toHaveLength(5)
    })

    test('of somebody is not flooded by who asks for their password', async () => {
      await harness.addAccount({ username: 'hal', email: 'hal@example.com' })
      for (let n = 0; n < 10; n += 1) {
        expect((await post(FORGOT, { username: n % 2 ? 'hal' : 'hal@example.com' })).status).toBe(
          202,
        )
      }
      await allSent()
      expect(mailsTo('hal@example.com')).toHaveLength(5)
      // Each of those that came works.
      const ticket = ticketOf(mailsTo('hal@example.com')[0]!.text)
      expect((await post(RESET, { ticket, password: NEXT })).status).toBe(204)
    })
  })

  describe('a new account without a password', () => {
    test('is sent a link to set one, and nobody logs in before', async () => {
      const answer = await asAdmin(USERS, { username: 'ida', email: 'ida@example.com' })
      expect(answer.status).toBe(201)
      const created = (await answer.json()) as object
      expect(created).toMatchObject({ username: 'ida', email_verified: false })
      expect(created).toHaveProperty('mailed', true)
      for (const member of ['set_password_url', 'set_password_expires_at'])
        expect(created).not.toHaveProperty(member)
      for (const password of ['', ' ', NEXT])
        expect((await logIn('ida', password)).status).toBe(401)
      const { text, headers } = await mailTo('ida@example.com')
      expect(headers['subject']).toBe('Your account')
      expect(text).toContain('Hello ida,')
      expect(text).toContain('https://quintet.example.com/set-password?ticket=qt_')
      harness.clock.advance(3 * DAY_MS - 1)
      const ticket = ticketOf(text)
      expect((await post(RESET, { ticket, password: NEXT })).status).toBe(204)
      expect((await post(RESET, { ticket, password: NEXT })).status).toBe(400)
      expect((await logIn('ida')).status).toBe(200)
    })

    test('without an address has its link shown to the administrator, once', async () => {
      const answer = await asAdmin(USERS, { username: 'jo' })
      const shown = (await answer.json()) as Record<string, string>
      const { set_password_url: url, id } = shown
      expect(shown).toMatchObject({
        set_password_expires_at: new Date(harness.clock.now() + 3 * DAY_MS).toISOString(),
        mailed: false,
      })
      expect(url).toStartWith('https://quintet.example.com/set-password?ticket=qt_')
      const again = await asAdmin(`${USERS}/${id}`)
      expect(await again.json()).not.toHaveProperty('set_password_url')
      await post(RESET, { ticket: ticketOf(url!), password: NEXT })
      expect((await logIn('jo')).status).toBe(200)
    })

    test('whose address was wrong gets the link at the right one', async () => {
      const answer = await asAdmin(USERS, { username: 'kim', email: 'kin@example.com' })
      const { id } = (await answer.json()) as { id: string }
      const wrong = await mailTo('kin@example.com')
      await asAdmin(`${USERS}/${id}`, { email: 'kim@example.com' }, 'PATCH')
      const right = await mailTo('kim@example.com')
      const ticket = ticketOf(wrong.text)
      expect((await post(RESET, { ticket, password: NEXT })).status).toBe(400)
      const body = { ticket: ticketOf(right.text), password: NEXT }
      expect((await post(RESET, body)).status).toBe(204)
    })

    test('is what an account becomes whose password an administrator voids', async () => {
      const asked = { username: 'lea', email: 'lea@example.com', password: NEXT }
      const { id } = (await (await asAdmin(USERS, asked)).json()) as { id: string }
      const answer = await asAdmin(`${USERS}/${id}/password`, {})
      expect(await answer.json()).toEqual({
        set_password_url: null,
        set_password_expires_at: null,
        mailed: true,
      })
      expect((await logIn('lea')).status).toBe(401)
      const { text } = await mailTo('lea@example.com')
      const body = { ticket: ticketOf(text), password: NEXT }
      expect((await post(RESET, body)).status).toBe(204)
      expect((await logIn('lea')).status).toBe(200)
    })

    test('whose account is disabled is sent nothing: the administrator gets the link', async () => {
      const asked = { username: 'mel', email: 'mel@example.com', password: NEXT }
      const { id } = (await (await asAdmin(USERS, asked)).json()) as { id: string }
      await asAdmin(`${USERS}/${id}`, { disabled: true }, 'PATCH')
      const answer = await asAdmin(`${USERS}/${id}/password`, {})
      const shown = (await answer.json()) as { set_password_url: string; mailed: boolean }
      expect(shown.mailed).toBe(false)
      const body = { ticket: ticketOf(shown.set_password_url), password: NEXT }
      expect((await post(RESET, body)).status).toBe(400)
      await asAdmin(`${USERS}/${id}`, { disabled: false }, 'PATCH')
      expect((await post(RESET, body)).status).toBe(204)
      expect((await logIn('mel')).status).toBe(200)
    })

    test('is refused what an account is', async () => {
      expect((await asAdmin(USERS, { username: 'ida' })).status).toBe(409)
      expect((await asAdmin(USERS, { username: 'x', password: null })).status).toBe(422)
      expect((await asAdmin(USERS, { username: 'x', password: '' })).status).toBe(422)
    })
  })

  test('nothing is kept for administrators', async () => {
    const list = await asAdmin(MAIL)
    expect(await list.json()).toEqual({ messages: [], next: null })
  })

  test('jobs, events, audit and log have no link, and the log no address', async () => {
    await allSent()
    const { database } = harness.platform
    const { audit, tickets } = authTables(database.kit)
    const sent = catcher.mails.flatMap(({ text }) => text.match(/qt_[\w-]{43}/g) ?? [])
    expect(sent.length).toBeGreaterThan(10)
    const shown = await asAdmin('/api/v1/jobs?limit=100')
    const everything = {
      jobs: JSON.stringify(await mailJobs()),
      shown: await shown.text(),
      audit: JSON.stringify(await database.read.select().from(audit)),
      tickets: JSON.stringify(await database.read.select().from(tickets)),
      events: JSON.stringify(harness.events),
      log: harness.lines.join('\n'),
    }
    for (const text of Object.values(everything)) {
      for (const ticket of sent) expect(text).not.toContain(ticket.slice(3))
    }
    for (const name of ['shown', 'events', 'log'] as const) {
      expect(everything[name]).not.toContain('@example.com')
    }
  })
})

describe('a mail server that', () => {
  let harness: Harness | undefined
  let catcher: MailCatcher | undefined
  const { post, mailJobs, asAdmin } = handling(() => harness!)
  afterEach(async () => {
    await harness?.close()
    await catcher?.close()
  })

  test('is down is tried again, and gets the mail when it is back', async () => {
    const gone = await openMailCatcher()
    await gone.close()
    harness = await openHarness(settings(gone.port))
    await harness.addAccount({ username: 'ada', email: 'ada@example.com' })
    expect((await post(FORGOT, { username: 'ada' })).status).toBe(202)
    await until(
      async () => (await mailJobs())[0]!.attempt >= 2 || (harness!.clock.advance(500), false),
    )
    expect((await mailJobs())[0]).toMatchObject({ error: 'An internal error.' })
    expect(harness.lines.join('\n')).toContain('the mail was not sent')
    expect(harness.lines.join('\n')).not.toContain('ada@')
    catcher = await openMailCatcher({ port: gone.port })
    await until(async () => catcher!.mails.length > 0 || (harness!.clock.advance(5000), false))
    const ticket = ticketOf(catcher.mails[0]!.text)
    expect((await post(RESET, { ticket, password: NEXT })).status).toBe(204)
    const [job] = await mailJobs()
    expect(catcher.mails[0]!.headers['message-id']).toBe(`<${job!.id}@example.com>`)
  })

  test('refuses for good is believed: the job fails at once, and the audit tells of it', async () => {
    catcher = await openMailCatcher()
    catcher.refuse(550)
    harness = await openHarness(settings(catcher.port))
    const id = await harness.addAccount({ username: 'ada', email: 'ada@example.com' })
    await post(FORGOT, { username: 'ada' })
    await until(async () => (await mailJobs())[0]!.state === 'failed')
    const job = await asAdmin(`/api/v1/jobs/${(await mailJobs())[0]!.id}`)
    expect(await job.json()).toMatchObject({
      state: 'failed',
      attempt: 1,
      error: 'The mail server refused it.',
    })
    const audit = await asAdmin('/api/v1/audit?type=auth.mail_refused')
    expect(await audit.json()).toMatchObject({
      entries: [
        {
          subject: { id },
          outcome: 'failure',
          details: { letter: 'reset_password' },
          actor: { kind: 'server' },
        },
      ],
    })
    expect(harness.lines.join('\n')).not.toContain('ada@')
  })

  test('refuses for now is tried again', async () => {
    catcher = await openMailCatcher()
    catcher.refuse(451)
    harness = await openHarness(settings(catcher.port))
    await harness.addAccount({ username: 'ada', email: 'ada@example.com' })
    await post(FORGOT, { username: 'ada' })
    await until(async () => (await mailJobs())[0]!.error !== null)
    catcher.refuse(undefined)
    await until(() => catcher!.mails.length === 1 || (harness!.clock.advance(500), false))
  })

  test('says nothing has SMTP_TIMEOUT_MS, and keeps no request waiting', async () => {
    const silent = openSilentServer()
    harness = await openHarness({ ...settings(silent.port), SMTP_TIMEOUT_MS: '100' })
    await harness.addAccount({ username: 'ada', email: 'ada@example.com' })
    expect((await post(FORGOT, { username: 'ada' })).status).toBe(202)
    await until(() => silent.connections() === 1)
    await until(() => silent.connections() === 0, 2000)
    await until(async () => (await mailJobs())[0]!.error !== null)
    silent.close()
  })

  test('says nothing does not hold up the stop', async () => {
    const silent = openSilentServer()
    const own = await openHarness(settings(silent.port))
    await own.addAccount({ username: 'ada', email: 'ada@example.com' })
    await own.request({ path: FORGOT, body: { username: 'ada' } })
    await until(() => silent.connections() === 1)
    const startedAt = performance.now()
    await own.close()
    expect(performance.now() - startedAt).toBeLessThan(5000)
    silent.close()
  })
})

describe('without a mail server', () => {
  let harness: Harness
  let id: string
  let text: string
  let messageId: string
  const { post, asAdmin, logIn } = handling(() => harness)
  const tokens: Record<string, string> = {}
  beforeAll(async () => {
    harness = await openHarness({ SIGNUP: 'open', JOB_POLL_MS: '10', MAIL_KEPT_MAX: '3' })
    id = await harness.addAccount({ username: 'Ada' })
    tokens['ada'] = await harness.logIn('ada')
  })
  afterAll(() => harness.close())

  const list = async () => {
    const answer = await asAdmin(MAIL)
    return ((await answer.json()) as { messages: { id: string; user_id: string }[] }).messages
  }

  describe('links are for administrators alone', () => {
    testRequests(
      () => harness,
      [
        { name: 'not for strangers', path: MAIL, status: 401 },
        { name: 'not for others', as: 'ada', path: MAIL, status: 403 },
        { name: 'not one, for strangers', path: `${MAIL}/x`, status: 401 },
        { name: 'not one, for others', as: 'ada', path: `${MAIL}/x`, status: 403 },
        { name: 'not one that is none', as: 'admin', path: `${MAIL}/x`, status: 404 },
        { name: 'not by a strange query', as: 'admin', path: `${MAIL}?all=1`, status: 422 },
        { name: 'not a page of thousands', as: 'admin', path: `${MAIL}?limit=1000`, status: 422 },
        { name: 'none at first', as: 'admin', path: MAIL, status: 200, has: { messages: [] } },
      ],
      () => tokens,
    )
  })

  test('they see who waits, also without an address', async () => {
    expect((await post(FORGOT, { username: 'ADA' })).status).toBe(202)
    await until(async () => (await list()).length === 1)
    const answer = await (await asAdmin(MAIL)).text()
    expect(answer).not.toContain('qt_')
    expect(JSON.parse(answer)).toMatchObject({
      messages: [{ user_id: id, address: null, subject: 'Reset your password' }],
      next: null,
    })
    messageId = (await list())[0]!.id
  })

  test('they read the link, and the audit tells of it', async () => {
    const answer = await asAdmin(`${MAIL}/${messageId}`)
    const message = (await answer.json()) as { text: string }
    text = message.text
    expect(text).toContain('http://localhost:8080/reset-password?ticket=qt_')
    const audit = await asAdmin('/api/v1/audit?type=auth.mail_shown')
    expect(await audit.json()).toMatchObject({
      entries: [{ subject: { id }, actor: { name: 'admin' }, details: { mail_id: messageId } }],
    })
  })

  test('the database has it encrypted, and the log has nothing', async () => {
    const { database } = harness.platform
    const { keptMail } = authTables(database.kit)
    const [row] = await database.read.select().from(keptMail)
    expect(row!.sealedText).not.toContain(Buffer.from(text).toString('base64url').slice(4, 20))
    expect(JSON.stringify(row)).not.toContain(ticketOf(text))
    expect(harness.lines.join('\n')).not.toContain(ticketOf(text))
  })

  test('passed on, it works, and says nothing of the address', async () => {
    expect((await post(RESET, { ticket: ticketOf(text), password: NEXT })).status).toBe(204)
    expect((await logIn('ada')).status).toBe(200)
    const user = await asAdmin(`${USERS}/${id}`)
    expect(await user.json()).toMatchObject({ email_verified: false })
  })

  test('a new account’s link is in the answer, though it has an address', async () => {
    const answer = await asAdmin(USERS, { username: 'bo', email: 'bo@example.com' })
    const { set_password_url: url } = (await answer.json()) as { set_password_url: string }
    expect(url).toStartWith('http://localhost:8080/set-password?ticket=qt_')
    expect((await post(RESET, { ticket: ticketOf(url), password: NEXT })).status).toBe(204)
  })

  test('who signs up logs in at once', async () => {
    await post(SIGNUP, { username: 'cy', email: 'cy@example.com', password: NEXT })
    expect((await logIn('cy')).status).toBe(200)
  })

  test('mail to who is removed goes with them', async () => {
    const gone = await harness.addAccount({ username: 'deb' })
    await post(FORGOT, { username: 'deb' })
    const isListed = async () => (await list()).some(({ user_id: user }) => user === gone)
    await until(isListed)
    expect((await asAdmin(`${USERS}/${gone}`, undefined, 'DELETE')).status).toBe(204)
    expect(await isListed()).toBe(false)
  })

  test('three are kept, the newest, an hour each', async () => {
    for (const username of ['dan', 'eli', 'fay', 'gus']) {
      await harness.addAccount({ username })
      harness.clock.advance(1000)
      await post(FORGOT, { username })
      await until(async () => {
        const newest = (await list())[0]
        const user = newest && (await (await asAdmin(`${USERS}/${newest.user_id}`)).json())
        return (user as { username?: string } | undefined)?.username === username
      })
    }
    expect(await list()).toHaveLength(3)
    const { id: newest } = (await list())[0]!
    harness.clock.advance(HOUR_MS)
    expect(await list()).toEqual([])
    expect((await asAdmin(`${MAIL}/${newest}`)).status).toBe(404)
  })
})

describe('where unverified accounts are refused, also without a mail server', () => {
  test('an administrator passes the link on', async () => {
    const harness = await openHarness({
      SIGNUP: 'open',
      UNVERIFIED_LOGIN: 'refuse',
      JOB_POLL_MS: '10',
    })
    const { post, asAdmin, logIn } = handling(() => harness)
    const body = { username: 'ada', email: 'ada@example.com', password: NEXT }
    expect((await post(SIGNUP, body)).status).toBe(201)
    expect((await logIn('ada')).status).toBe(403)
    const messages = async () =>
      ((await (await asAdmin(MAIL)).json()) as { messages: { id: string }[] }).messages
    await until(async () => (await messages()).length > 0)
    const kept = await asAdmin(`${MAIL}/${(await messages())[0]!.id}`)
    const { text } = (await kept.json()) as { text: string }
    expect((await post(VERIFY, { ticket: ticketOf(text), password: NEXT })).status).toBe(204)
    expect((await logIn('ada')).status).toBe(200)
    await harness.close()
  })
})
