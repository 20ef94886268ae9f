import { beforeAll, describe, expect, test } from 'bun:test'

import { bitsOf, randomBitsOf } from '../../../tests/support/random-bits.ts'
import type { Secrets } from '../keys/secrets.ts'
import { createRefreshTokens, hashOf, type RefreshTokens } from './refresh-tokens.ts'

const SESSION = '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11'
const secretsOf = (root: string): Secrets => ({
  ensure: async () => {},
  keyFor: async (purpose) => new Bun.CryptoHasher('sha256').update(root + purpose).digest(),
})

let tokens: RefreshTokens
let first: string
beforeAll(async () => {
  tokens = createRefreshTokens(secretsOf('a'))
  first = await tokens.first(SESSION)
})

test('each names its session, and is stored by its hash alone', async () => {
  for (const token of [first, await tokens.next(first)]) {
    expect(await tokens.read(token)).toEqual({ sessionId: SESSION, hash: hashOf(token) })
    expect(hashOf(token)).not.toContain(token.slice(4, 12))
  }
})

test('the next one is always the same, and another each time', async () => {
  const chain = [first]
  for (let n = 0; n < 5; n++) chain.push(await tokens.next(chain.at(-1)!))
  expect(new Set(chain).size).toBe(chain.length)
  expect(await tokens.next(first)).toBe(chain[1]!)
})

test('each first one of a session has 256 random bits', async () => {
  const secretOf = (token: string) => bitsOf(token.slice('qrt_'.length)).slice(128, -128)
  expect(await randomBitsOf(async () => secretOf(await tokens.first(SESSION)))).toBe(256)
})

describe('what was not issued is none', () => {
  const changed = (at: number) =>
    `${first.slice(0, at)}${first[at] === 'A' ? 'B' : 'A'}${first.slice(at + 1)}`
  test.each([
    ['nothing', () => ''],
    ['no token', () => 'eyJhbGciOiJFUzI1NiJ9.e30.x'],
    ['another session', () => changed(6)],
    ['another secret', () => changed(40)],
    ['another seal', () => changed(85)],
    ['a shorter one', () => first.slice(0, -1)],
    ['a longer one', () => `${first}A`],
    ['another prefix', () => first.replace('qrt_', 'QRT_')],
    ['a line break after it', () => `${first}\n`],
    ['another spelling of the same bytes', () => first.slice(0, -1) + respelt(first.at(-1)!)],
  ])('%s', async (_, make) => {
    expect(await tokens.read(make())).toBeUndefined()
  })

  test('one of another server', async () => {
    const other = createRefreshTokens(secretsOf('b'))
    expect(await other.read(first)).toBeUndefined()
  })
})

/** The last character of 64 bytes in base64url holds two bits that mean nothing. */
function respelt(character: string): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const at = letters.indexOf(character)
  return letters[at ^ 1]!
}
