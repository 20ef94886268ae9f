import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { decodeProtectedHeader, type JWK } from 'jose'

import { PUBLISHED_BEFORE_USE_MS } from '../../src/auth/keys/key-life.ts'
import { authTables } from '../../src/auth/tables.ts'
import { parseConfig } from '../../src/platform/config.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { refusal } from '../support/refusal.ts'
import { until } from '../support/until.ts'

const KEY_SET = '/.well-known/jwks.json'
const ROTATION_SECONDS = 2 * 86_400

const keySet = async (harness: Harness) => {
  const response = await harness.request({ path: KEY_SET })
  return ((await response.json()) as { keys: JWK[] }).keys
}
const statusFor = async (harness: Harness, token: string) =>
  (await harness.request({ path: '/api/v1/models', token })).status
const kidOf = (token: string) => decodeProtectedHeader(token).kid

describe('two instances on one database', () => {
  let one: Harness
  let other: Harness
  beforeAll(async () => {
    const settings = { KEY_ROTATION_SECONDS: String(ROTATION_SECONDS) }
    one = await openHarness(settings)
    const { DATA_DIR, DATABASE_URL } = one.platform.config
    const same = DATABASE_URL === undefined ? { DATA_DIR } : { DATABASE_URL }
    other = await openHarness({ ...settings, ...same })
    await one.addAccount({ username: 'ada' })
  })
  afterAll(async () => {
    await other.close()
    await one.close()
  })
  const advance = (milliseconds: number) => {
    for (const { clock } of [one, other]) clock.advance(milliseconds)
  }

  test('a rotation logs nobody out, and what the one signs the other honours', async () => {
    const before = await one.logIn('ada')
    const next = await other.app.auth.rotateKeys({ isCompromised: false })
    advance(1000)
    expect((await keySet(one)).map(({ kid }) => kid)).toEqual([kidOf(before)!, next.id])
    advance(PUBLISHED_BEFORE_USE_MS)
    for (const [signing, verifying] of [
      [one, other],
      [other, one],
    ] as const) {
      const after = await signing.logIn('ada')
      expect(kidOf(after)).toBe(next.id)
      expect(await statusFor(verifying, after)).toBe(200)
      expect(await statusFor(verifying, before)).toBe(200)
    }
  })

  test('tokens of a compromised key die within 2 s, also where they were verified before', async () => {
    const body = { username: 'ada', password: PASSWORD }
    const login = await one.request({ path: '/api/v1/auth/login', body })
    const { token, refresh_token } = (await login.json()) as Record<string, string>
    for (const harness of [one, other]) expect(await statusFor(harness, token!)).toBe(200)
    await one.app.auth.rotateKeys({ isCompromised: true })
    // As often as somebody asks who wants to keep it in memory.
    for (let step = 0; step < 4; step++) {
      advance(499)
      for (const harness of [one, other]) await statusFor(harness, token!)
    }
    for (const harness of [one, other]) expect(await statusFor(harness, token!)).toBe(401)
    const refreshed = await other.request({ path: '/api/v1/auth/refresh', body: { refresh_token } })
    const { token: fresh } = (await refreshed.json()) as { token: string }
    for (const harness of [one, other]) expect(await statusFor(harness, fresh)).toBe(200)
  })

  test('KEY_ROTATION_SECONDS is how long a key signs: the schedule makes the next one', async () => {
    const [old] = await keySet(one)
    expect(await keySet(one)).toHaveLength(1)
    advance(ROTATION_SECONDS * 1000)
    await until(async () => {
      advance(1000)
      return (await keySet(one)).length === 2
    })
    advance(PUBLISHED_BEFORE_USE_MS)
    expect(kidOf(await one.logIn('ada'))).not.toBe(old!.kid)
    advance(86_400_000)
    await until(async () => {
      advance(1000)
      const { signingKeys } = authTables(one.platform.database.kit)
      return (await one.platform.database.read.select().from(signingKeys)).length === 1
    })
    expect((await keySet(other)).map(({ kid }) => kid)).not.toContain(old!.kid)
  })
})

describe('one instance', () => {
  let harness: Harness
  beforeAll(async () => {
    harness = await openHarness()
  })
  afterAll(() => harness.close())

  test('says of a key whether it was made now, or waits already', async () => {
    const first = await harness.app.auth.rotateKeys({ isCompromised: false })
    const second = await harness.app.auth.rotateKeys({ isCompromised: false })
    expect(first.isNew).toBe(true)
    expect(second).toEqual({ ...first, isNew: false })
  })

  test('does not claim to void tokens that JWT_SECRET signs', async () => {
    const made = await openHarness({ JWT_SECRET: 'a secret that is long enough for it' })
    const before = await keySet(made)
    const error = await refusal(made.app.auth.rotateKeys({ isCompromised: true }))
    expect(String(error)).toContain('change JWT_SECRET and restart')
    made.clock.advance(1000)
    expect(await keySet(made)).toEqual(before)
    await made.close()
  })

  test('publishes public parts only, for caches', async () => {
    await harness.app.auth.rotateKeys({ isCompromised: false })
    harness.clock.advance(1000)
    const response = await harness.request({ path: KEY_SET })
    expect(response.headers.get('cache-control')).toBe('public, max-age=300')
    const { keys } = (await response.json()) as { keys: JWK[] }
    expect(keys).toHaveLength(2)
    for (const key of keys) {
      const names = ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']
      expect(Object.keys(key).toSorted()).toEqual(names)
    }
  })
})

describe('RFC 8725 §3.5: HS256 only by a secret with as many bits as the hash', () => {
  test('31 bytes are refused, 32 taken', async () => {
    const start = async (bytes: number) => parseConfig({ JWT_SECRET: 'x'.repeat(bytes) })
    expect(String(await refusal(start(31)))).toContain('JWT_SECRET: expected at least 32 bytes')
    expect((await start(32)).JWT_SECRET).toHaveLength(32)
  })
})
