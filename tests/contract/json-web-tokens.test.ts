import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'

import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from 'jose'

import { authTables } from '../../src/auth/tables.ts'
import { type Harness, openHarness } from '../support/harness.ts'

const VALIDATE = '/api/v1/auth/validate'
const ISSUER = 'http://localhost:8080'

let harness: Harness
/** Ada's, as the server issued it. */
let token: string
let refreshToken: string
let key: KeyObject
let now: number
beforeAll(async () => {
  harness = await openHarness()
  await harness.addAccount({ username: 'ada' })
  const login = await harness.request({
    path: '/api/v1/auth/login',
    body: { username: 'ada', password: 'correct horse battery' },
  })
  const grant = (await login.json()) as { token: string; refresh_token: string }
  token = grant.token
  refreshToken = grant.refresh_token
  const { signingKeys } = authTables(harness.platform.database.kit)
  const [row] = await harness.platform.database.read.select().from(signingKeys)
  key = createPrivateKey({ key: row!.privateKey, format: 'jwk' })
  now = Math.floor(harness.clock.now() / 1000)
})
afterAll(() => harness.close())

const encoded = (part: object | string | Uint8Array) =>
  Buffer.from(
    typeof part === 'string' || part instanceof Uint8Array ? part : JSON.stringify(part),
  ).toString('base64url')
const partsOf = (jwt: string) => jwt.split('.') as [string, string, string]
const header = () => decodeProtectedHeader(token)
const claims = () => decodeJwt(token)

/** What the server's own key signs, whatever it says. */
function signed(
  head: object | string,
  body: object | string | Uint8Array,
  form: 'ieee-p1363' | 'der' = 'ieee-p1363',
): string {
  const content = `${encoded(head)}.${encoded(body)}`
  const signature = sign('sha256', Buffer.from(content), { key, dsaEncoding: form })
  return `${content}.${signature.toString('base64url')}`
}
const withHeader = (change: object) => signed({ ...header(), ...change }, claims())
const withClaims = (change: object) => signed(header(), { ...claims(), ...change })
const without = (...names: string[]) =>
  signed(
    header(),
    Object.fromEntries(Object.entries(claims()).filter(([name]) => !names.includes(name))),
  )

async function statusesOf(jwt: string) {
  const guarded = await harness.request({ path: '/api/v1/models', token: jwt })
  const validated = await harness.request({ path: VALIDATE, body: { token: jwt } })
  return [guarded.status, validated.status]
}

test('what the test signs by the server’s key is taken, so that it is the change that is refused', async () => {
  expect(await statusesOf(signed(header(), claims()))).toEqual([200, 200])
})

const forgeries: Record<string, () => string | Promise<string>> = {
  'RFC 8725 §3.1: HS256 by the public key, as it is published': async () => {
    const keys = await (await harness.request({ path: '/.well-known/jwks.json' })).text()
    return macced(keys)
  },
  'RFC 8725 §3.1: HS256 where there is no secret': () => macced('0'.repeat(32)),
  'RFC 8725 §3.1: the header’s ES384, by the ES256 key': () => withHeader({ alg: 'ES384' }),
  'RFC 8725 §3.1: two algorithms in one header': () =>
    signed(`{"alg":"none","typ":"at+jwt","kid":"${header().kid}","alg":"HS256"}`, claims()),
  'RFC 8725 §3.2: alg none, without a signature': () =>
    `${encoded({ ...header(), alg: 'none' })}.${partsOf(token)[1]}.`,
  'RFC 8725 §3.2: alg NoNe, with one': () => withHeader({ alg: 'NoNe' }),
  'RFC 8725 §3.2: no alg': () => withHeader({ alg: undefined }),
  'RFC 8725 §3.3: a changed payload': () => {
    const [head, , signature] = partsOf(token)
    return `${head}.${encoded({ ...claims(), role: 'admin' })}.${signature}`
  },
  'RFC 8725 §3.3: an empty signature': () => `${partsOf(token).slice(0, 2).join('.')}.`,
  'RFC 8725 §3.3: no signature': () => partsOf(token).slice(0, 2).join('.'),
  'RFC 8725 §3.3: the signature of another key': async () => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    const other = createPrivateKey({ key: await exportJWK(privateKey), format: 'jwk' })
    const content = `${encoded(header())}.${encoded(claims())}`
    const signature = sign('sha256', Buffer.from(content), {
      key: other,
      dsaEncoding: 'ieee-p1363',
    })
    return `${content}.${signature.toString('base64url')}`
  },
  'RFC 8725 §3.4: a signature of zeros alone': () =>
    `${partsOf(token).slice(0, 2).join('.')}.${encoded(new Uint8Array(64))}`,
  'RFC 8725 §3.4: a signature in DER': () => signed(header(), claims(), 'der'),
  'RFC 8725 §3.4: a signature in another spelling of the same bytes': () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    // 64 bytes end in a character of which only two bits count.
    return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1)!) + 1]
  },
  'RFC 8725 §3.4: a header of a megabyte': () => withHeader({ padding: 'x'.repeat(1_000_000) }),
  'RFC 8725 §3.4: more than a token may have': () => withClaims({ padding: 'x'.repeat(4096) }),
  'RFC 8725 §3.6: a compressed payload': () =>
    signed({ ...header(), zip: 'DEF' }, deflateRawSync(JSON.stringify(claims()))),
  'RFC 8725 §3.7: a payload that is no UTF-8': () =>
    signed(header(), Buffer.from(JSON.stringify({ ...claims(), username: '\u00e9' }), 'latin1')),
  'RFC 8725 §3.8: another issuer': () => withClaims({ iss: 'https://evil.example' }),
  'RFC 8725 §3.8: the issuer and a slash': () => withClaims({ iss: `${ISSUER}/` }),
  'RFC 8725 §3.8: issuers in a list': () => withClaims({ iss: [ISSUER] }),
  'RFC 8725 §3.8: no issuer': () => without('iss'),
  'RFC 8725 §3.8: no subject': () => without('sub'),
  'RFC 8725 §3.8: a subject that is not the session’s': () => withClaims({ sub: 'somebody' }),
  'RFC 8725 §3.9: another audience': () => withClaims({ aud: 'grafana' }),
  'RFC 8725 §3.9: no audience': () => without('aud'),
  'RFC 8725 §3.10: a key that the token brings': async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const own = createPrivateKey({ key: await exportJWK(privateKey), format: 'jwk' })
    const jwk = await exportJWK(publicKey)
    const content = `${encoded({ ...header(), jwk })}.${encoded(claims())}`
    const signature = sign('sha256', Buffer.from(content), { key: own, dsaEncoding: 'ieee-p1363' })
    return `${content}.${signature.toString('base64url')}`
  },
  'RFC 8725 §3.10: an extension that is critical, and unknown': () =>
    withHeader({ crit: ['exotic'], exotic: true }),
  'RFC 8725 §3.10: a payload that says it is not encoded': () =>
    withHeader({ crit: ['b64'], b64: false }),
  'RFC 8725 §3.11: the type of an identity token': () => withHeader({ typ: 'JWT' }),
  'RFC 8725 §3.11: the type of a logout token': () => withHeader({ typ: 'logout+jwt' }),
  'RFC 8725 §3.11: no type': () => withHeader({ typ: undefined }),
  'RFC 8725 §3.12: a refresh token': () => refreshToken,
  'RFC 8725 §3.12: a JWT without a session': () => without('sid'),
  'RFC 8725 §3.12: a session that is no text': () => withClaims({ sid: { $ne: null } }),
  'RFC 8725 §3.12: an encrypted token': () =>
    `${encoded({ alg: 'dir', enc: 'A256GCM', typ: 'at+jwt' })}..${encoded('iv')}.${encoded('text')}.${encoded('tag')}`,
  'RFC 8725 §3.12: a token within a token': () => signed({ ...header(), cty: 'JWT' }, token),
  'RFC 7519 §4.1.4: expired': () => withClaims({ iat: now - 100, exp: now - 1 }),
  'RFC 7519 §4.1.4: expired this second': () => withClaims({ iat: now - 100, exp: now }),
  'RFC 7519 §4.1.4: an expiry that is text': () => withClaims({ exp: String(now + 100) }),
  'RFC 7519 §4.1.4: an expiry that never comes': () => withClaims({ exp: 1e300 }),
  'RFC 7519 §4.1.4: no expiry': () => without('exp'),
  'RFC 7519 §4.1.5: not yet': () => withClaims({ nbf: now + 60 }),
  'RFC 7519 §4.1.6: from the future': () => withClaims({ iat: now + 60, exp: now + 120 }),
  'RFC 7519 §4.1.6: from longer ago than a token may live': () =>
    withClaims({ iat: now - 86_400 - 60, exp: now + 60 }),
  'RFC 7519 §4.1.6: no beginning': () => without('iat'),
  garbage: () => 'a.b.c',
  'garbage that is base64': () => `${encoded('{')}.${encoded('{')}.${encoded('{')}`,
  'a list for a header': () => signed('[]', claims()),
  'a list for a payload': () => signed(header(), '[]'),
  'dots alone': () => '..',
}

function macced(secret: string): string {
  const content = `${encoded({ alg: 'HS256', typ: 'at+jwt' })}.${encoded(claims())}`
  const mac = new Bun.CryptoHasher('sha256', secret).update(content).digest('base64url')
  return `${content}.${mac}`
}

describe('tokens that must not pass', () => {
  test.each(Object.keys(forgeries))('%s', async (name) => {
    const forged = await forgeries[name]!()
    // Bun itself refuses headers beyond 16 KiB, and has no answer to line ends.
    if (forged.length < 16_000) {
      const guarded = await harness.request({ path: '/api/v1/models', token: forged })
      expect(guarded.status).toBe(401)
      expect(guarded.headers.get('www-authenticate')).toStartWith('Bearer error="invalid_token"')
    }
    const validated = await harness.request({ path: VALIDATE, body: { token: forged } })
    if (forged.length > 16_000) expect(validated.status).toBe(413)
    else expect(await validated.json()).toMatchObject({ status: 401, valid: false })
  })

  const kids: [string, unknown][] = [
    ['none', undefined],
    ['an empty one', ''],
    ['a number', 7],
    ['an object', {}],
    ['a list that holds the right one', () => [header().kid]],
    ['an unknown one', 'unknown'],
    ['a path', '../../../../dev/null'],
    ['SQL', "' or 1=1 --"],
    ['a name that every object has', '__proto__'],
    ['the right one and a space', () => `${header().kid} `],
    ['U+0000', 'a\u0000'],
  ]
  test.each(kids)('RFC 8725 §3.10: signed by the key, with this kid: %s', async (_, kid) => {
    const forged = withHeader({ kid: typeof kid === 'function' ? (kid() as unknown) : kid })
    expect(await statusesOf(forged)).toEqual([401, 401])
  })

  test('RFC 8725 §3.10: a key that the token points to is not asked for', async () => {
    let requests = 0
    using server = Bun.serve({
      port: 0,
      fetch() {
        requests += 1
        return Response.json({ keys: [] })
      },
    })
    const address = server.url.href
    for (const pointer of [{ jku: address }, { x5u: address }, { jku: address, x5u: address }]) {
      expect(await statusesOf(withHeader({ ...pointer, kid: 'unknown' }))).toEqual([401, 401])
    }
    expect(requests).toBe(0)
  })
})
