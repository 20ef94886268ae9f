import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { refusal } from '../../../tests/support/refusal.ts'
import {
  type MailCatcher,
  makeCertificate,
  openMailCatcher,
  openSilentServer,
} from '../../../tests/support/smtp.ts'
import { until } from '../../../tests/support/until.ts'
import { MailRefused } from './mail.ts'
import { createSmtpMail } from './smtp.ts'

const NEVER = new AbortController().signal
const message = (address: string | null = 'ada@example.com') => ({
  id: '0198c5a2',
  to: { id: 'ada', address },
  subject: 'Zurück zum Anfang',
  text: `Bitte öffnen:\n\nhttps://example.com/verify-email?ticket=${'x'.repeat(80)}\n`,
  expiresAt: new Date(),
})
const open = (url: string, timeoutMs = 5000) =>
  createSmtpMail({ url, from: 'Quintet <quintet@example.com>', timeoutMs })
const at = (port: number) => open(`smtp://127.0.0.1:${port}`)

let catcher: MailCatcher | undefined
afterEach(async () => {
  await catcher?.close()
  catcher = undefined
})

test('a message arrives as it was written, with the headers that it should have', async () => {
  catcher = await openMailCatcher()
  await at(catcher.port).send(message(), NEVER)
  expect(catcher.mails).toMatchObject([
    { from: 'quintet@example.com', to: ['ada@example.com'], text: message().text },
  ])
  expect(catcher.mails[0]!.headers).toMatchObject({
    from: 'Quintet <quintet@example.com>',
    to: 'ada@example.com',
    subject: '=?UTF-8?Q?Zur=C3=BCck_zum_Anfang?=',
    date: expect.stringMatching(/\d{4} \d\d:\d\d:\d\d \+0000$/),
    'message-id': '<0198c5a2@example.com>',
    'auto-submitted': 'auto-generated',
    'content-type': 'text/plain; charset=utf-8',
  })
})

test('nothing in a message makes a header', async () => {
  catcher = await openMailCatcher()
  const evil = { ...message(), subject: 'Hello\r\nBcc: eve@example.com\r\n\r\nBuy this' }
  await at(catcher.port).send(evil, NEVER)
  const [{ to, headers }] = catcher.mails as [(typeof catcher.mails)[0]]
  expect(to).toEqual(['ada@example.com'])
  expect(headers).not.toHaveProperty('bcc')
  expect(headers['subject']).toMatch(/^Hello Bcc: eve@example.com +Buy this$/)
})

test.each([
  'ada,eve@example.com',
  'ada@example.com,eve@example.com',
  'ada@example.com eve@example.com',
  'Eve <eve@example.com>',
  '<eve@example.com>',
  'ada@example.com\r\nRCPT TO:<eve@example.com>',
  'ada',
  '',
])('%j is not one address, and gets nothing', async (address) => {
  catcher = await openMailCatcher()
  expect(await refusal(at(catcher.port).send(message(address), NEVER))).toBeInstanceOf(MailRefused)
  expect(catcher.mails).toEqual([])
})

test('an address of any script arrives (RFC 6531)', async () => {
  catcher = await openMailCatcher()
  await at(catcher.port).send(message('jörg@exämple.com'), NEVER)
  expect(catcher.mails[0]!.to).toEqual(['jörg@exämple.com'])
})

test('who has no address gets none', async () => {
  catcher = await openMailCatcher()
  expect(await refusal(at(catcher.port).send(message(null), NEVER))).toBeInstanceOf(MailRefused)
})

describe('what goes wrong', () => {
  test('RFC 5321 §4.2.1: a 5yz for the address is for good, and is told without it', async () => {
    catcher = await openMailCatcher()
    catcher.refuse(550)
    const error = await refusal(at(catcher.port).send(message(), NEVER))
    expect(error).toBeInstanceOf(MailRefused)
    expect(Bun.inspect(error)).toContain('550')
    expect(Bun.inspect(error)).not.toContain('ada@')
  })

  test('RFC 5321 §4.2.1: a 4yz passes', async () => {
    catcher = await openMailCatcher()
    catcher.refuse(451)
    const error = await refusal(at(catcher.port).send(message(), NEVER))
    expect(error).not.toBeInstanceOf(MailRefused)
    expect(Bun.inspect(error)).not.toContain('ada@')
    catcher.refuse(undefined)
    await at(catcher.port).send(message(), NEVER)
    expect(catcher.mails).toHaveLength(1)
  })

  test('a server that is down passes', async () => {
    const gone = await openMailCatcher()
    await gone.close()
    const error = await refusal(at(gone.port).send(message(), NEVER))
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(MailRefused)
  })

  test('a wrong password passes, since the operator may change it', async () => {
    catcher = await openMailCatcher({ users: { quintet: 'right' } })
    const mail = open(`smtp://quintet:wrong@127.0.0.1:${catcher.port}`)
    const error = await refusal(mail.send(message(), NEVER))
    expect(error).not.toBeInstanceOf(MailRefused)
    expect(Bun.inspect(error)).toContain('EAUTH')
    expect(Bun.inspect(error)).not.toContain('wrong')
  })

  test('a server that says nothing has so long, and the connection is closed', async () => {
    const silent = openSilentServer()
    const startedAt = performance.now()
    const mail = open(`smtp://127.0.0.1:${silent.port}`, 200)
    expect(await refusal(mail.send(message(), NEVER))).toBeInstanceOf(Error)
    expect(performance.now() - startedAt).toBeLessThan(2000)
    await until(() => silent.connections() === 0)
    silent.close()
  })

  test('who is told to stop stops', async () => {
    const silent = openSilentServer()
    const controller = new AbortController()
    const sending = refusal(
      open(`smtp://127.0.0.1:${silent.port}`).send(message(), controller.signal),
    )
    await until(() => silent.connections() === 1)
    controller.abort()
    expect(await sending).toBeInstanceOf(Error)
    await until(() => silent.connections() === 0)
    silent.close()
  })
})

describe('a password', () => {
  test('says who sends', async () => {
    catcher = await openMailCatcher({ users: { 'quintet@example.com': 'p@ss/word' } })
    const credentials = `${encodeURIComponent('quintet@example.com')}:${encodeURIComponent('p@ss/word')}`
    await open(`smtp://${credentials}@127.0.0.1:${catcher.port}`).send(message(), NEVER)
    expect(catcher.mails).toMatchObject([{ user: 'quintet@example.com' }])
  })

  test('RFC 8314 §5.1: is not sent in clear to another machine', async () => {
    catcher = await openMailCatcher({ users: { quintet: 'secret' } })
    // Another name for this machine, which does not look like one.
    const mail = open(`smtp://quintet:secret@[::ffff:127.0.0.1]:${catcher.port}`)
    expect(Bun.inspect(await refusal(mail.send(message(), NEVER)))).toContain('ETLS')
    expect(catcher.mails).toEqual([])
  })
})

describe('TLS', () => {
  let directory: string
  let certificate: Awaited<ReturnType<typeof makeCertificate>>
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'quintet-test-'))
    certificate = await makeCertificate()
    writeFileSync(join(directory, 'ca.pem'), certificate.cert)
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  /** In a process that trusts the certificate, as operators make it do. */
  async function sendTrusting(url: string): Promise<string> {
    const child = Bun.spawn(['bun', join(import.meta.dir, 'smtp.fixture.ts'), url], {
      env: { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: join(directory, 'ca.pem') },
      stdout: 'pipe',
      stderr: 'inherit',
    })
    return new Response(child.stdout).text()
  }

  test.each(['smtp', 'smtps'])('%s: to a server of a known authority', async (scheme) => {
    catcher = await openMailCatcher({ certificate, isSecure: scheme === 'smtps' })
    expect(await sendTrusting(`${scheme}://localhost:${catcher.port}`)).toBe('sent')
    expect(catcher.mails).toMatchObject([{ isSecure: true }])
  })

  test('a password goes through STARTTLS', async () => {
    catcher = await openMailCatcher({ certificate, users: { quintet: 'secret' } })
    expect(await sendTrusting(`smtp://quintet:secret@localhost:${catcher.port}`)).toBe('sent')
    expect(catcher.mails).toMatchObject([{ isSecure: true, user: 'quintet' }])
  })

  test.each(['smtp', 'smtps'])('%s: not to a server that nobody vouches for', async (scheme) => {
    catcher = await openMailCatcher({ certificate, isSecure: scheme === 'smtps' })
    const mail = open(`${scheme}://localhost:${catcher.port}`)
    const error = await refusal(mail.send(message(), NEVER))
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(MailRefused)
    expect(catcher.mails).toEqual([])
  })
})
