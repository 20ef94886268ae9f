import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { refusal } from '../../../tests/support/refusal.ts'
import { allowedBy } from './allowed.ts'
import { createEgress, EgressFailed, EgressRefused } from './egress.ts'

const never = new AbortController().signal

let server: ReturnType<typeof Bun.serve>
let base: string
beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch({ url, headers }) {
      const { pathname } = new URL(url)
      if (pathname === '/rows.csv')
        return new Response('a\n1\n', { headers: { 'content-type': 'text/csv' } })
      if (pathname === '/coding') return new Response(headers.get('accept-encoding'))
      if (pathname === '/away') return Response.redirect('/rows.csv', 302)
      if (pathname === '/round') return Response.redirect('/round', 307)
      if (pathname === '/inside') return Response.redirect('http://10.0.0.1/secrets', 302)
      if (pathname === '/metadata') return Response.redirect('http://169.254.169.254/latest', 302)
      if (pathname === '/file')
        return new Response(null, { status: 302, headers: { location: 'file:///etc/passwd' } })
      if (pathname === '/silent') return new Promise(() => {})
      const status = { '/broken': 503, '/busy': 429 }[pathname] ?? 404
      return new Response('no', { status })
    },
  })
  base = `http://127.0.0.1:${server.port}`
})
afterAll(() => server.stop(true))

async function text(address: string, entries = ['127.0.0.1'], signal = never) {
  const { body, ...fetched } = await createEgress(entries).get(address, signal)
  const parts: Uint8Array[] = []
  for await (const part of body) parts.push(part as Uint8Array)
  return { ...fetched, text: Buffer.concat(parts).toString() }
}

describe('what is allowed', () => {
  test.each([
    ['93.184.216.34', true],
    ['2606:2800:220:1::1', true],
    ['0.0.0.0', false],
    ['10.1.2.3', false],
    ['100.64.0.1', false],
    ['127.0.0.1', false],
    ['127.255.0.9', false],
    ['169.254.169.254', false],
    ['172.16.0.1', false],
    ['172.32.0.1', true],
    ['192.168.1.1', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['::1', false],
    ['::', false],
    ['::ffff:10.0.0.1', false],
    ['::ffff:93.184.216.34', false],
    ['::7f00:1', false],
    ['64:ff9b::a00:1', false],
    ['2002:a00:1::', false],
    ['fd00::1', false],
    ['fe80::1', false],
    ['no address', false],
  ])('%s: %p', (address, isAllowed) => {
    expect(allowedBy([]).address(address)).toBe(isAllowed)
  })

  test('is more where it is named: an address, a block, a host', () => {
    const allowed = allowedBy(['10.0.0.1', '172.16.0.0/16', 'fd00::/64', 'minio.internal'])
    expect(['10.0.0.1', '10.0.0.2'].map(allowed.address)).toEqual([true, false])
    expect(['172.16.9.9', '172.17.0.1'].map(allowed.address)).toEqual([true, false])
    expect(['fd00::9', 'fd00:0:0:1::9'].map(allowed.address)).toEqual([true, false])
    expect(['MinIO.internal', 'x.minio.internal'].map(allowed.host)).toEqual([true, false])
  })
})

describe('refused without a call', () => {
  test.each([
    ['nothing', /no address/],
    ['ftp://example.com/x', /https:/],
    ['file:///etc/passwd', /https:/],
    ['http://example.com/x', /https:/],
    ['https://ada:secret@example.com/', /user and a password/],
    ['https://127.0.0.1/', /private network/],
    ['https://[::1]/', /private network/],
    ['https://[::ffff:127.0.0.1]/', /private network/],
    // The ways to write 127.0.0.1 that a URL knows.
    ['https://2130706433/', /private network/],
    ['https://0x7f.1/', /private network/],
    ['https://0177.0.0.1/', /private network/],
  ])('%s', (address, detail) => {
    expect(() => createEgress([]).require(address)).toThrow(detail)
  })
})

describe('a call', () => {
  test('has what is there, and says what it is', async () => {
    expect(await text(`${base}/rows.csv`)).toMatchObject({ mediaType: 'text/csv', text: 'a\n1\n' })
    expect(await text(`${base}/coding`)).toMatchObject({ text: 'identity' })
  })

  test('follows to where that leads', async () => {
    expect((await text(`${base}/away`)).url.pathname).toBe('/rows.csv')
  })

  test.each(['/inside', '/metadata', '/file'])('does not follow to %s', async (path) => {
    expect(await refusal(text(`${base}${path}`))).toBeInstanceOf(EgressRefused)
  })

  test.each([
    ['/round', EgressFailed],
    ['/broken', EgressFailed],
    ['/busy', EgressFailed],
    ['/nothing', EgressRefused],
  ] as const)('ends at %s', async (path, kind) => {
    expect(await refusal(text(`${base}${path}`))).toBeInstanceOf(kind)
  })

  test('of a name goes to its addresses only where these are allowed', async () => {
    const address = `http://localhost:${server.port}/rows.csv`
    const byName = await text(address, ['localhost'])
    expect(byName.text).toBe('a\n1\n')
    const secure = await refusal(text(`https://localhost:${server.port}/rows.csv`, []))
    expect(secure).toBeInstanceOf(EgressRefused)
    expect((secure as Error).message).toContain('EGRESS_ALLOW')
  })

  test('ends with who asked, and where nobody answers', async () => {
    const controller = new AbortController()
    const asked = refusal(text(`${base}/silent`, ['127.0.0.1'], controller.signal))
    setTimeout(() => controller.abort(), 50)
    expect(((await asked) as Error).name).toBe('AbortError')
    expect(await refusal(text('http://127.0.0.1:1/', ['127.0.0.1']))).toBeInstanceOf(EgressFailed)
  })
})
