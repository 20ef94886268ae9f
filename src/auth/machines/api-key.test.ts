import { describe, expect, test } from 'bun:test'
import { crc32 } from 'node:zlib'

import { isApiKey, newApiKey } from './api-key.ts'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** As a scanner for secrets would check it, from the documented form alone. */
function isKeyToScanners(text: string): boolean {
  const [, open, digits] = /^(qk_[0-9A-Za-z]{43})([0-9A-Za-z]{6})$/.exec(text) ?? []
  if (open === undefined || digits === undefined) return false
  const value = Array.from(digits).reduce((sum, digit) => sum * 62 + ALPHABET.indexOf(digit), 0)
  return value === crc32(open)
}

describe('an API key', () => {
  test('has the form that scanners for secrets look for', () => {
    for (let n = 0; n < 500; n++) {
      const { secret } = newApiKey()
      expect({ secret, isKey: isKeyToScanners(secret) }).toEqual({ secret, isKey: true })
      expect(isApiKey(secret)).toBe(true)
    }
  })

  test('is another each time, of all the letters alike', () => {
    const keys = Array.from({ length: 2000 }, () => newApiKey())
    expect(new Set(keys.map(({ secret }) => secret)).size).toBe(keys.length)
    expect(new Set(keys.map(({ hash }) => hash)).size).toBe(keys.length)
    const letters = keys.flatMap(({ secret }) => Array.from(secret.slice(3, 46)))
    const counts = Array.from(ALPHABET).map(
      (letter) => letters.filter((each) => each === letter).length,
    )
    // 1387 of each, give or take 37; the first 8 letters would be a fifth too many without the cut.
    for (const count of counts) expect(count).toBeWithin(1387 - 222, 1387 + 222)
  })

  test('shows of itself no more than how it begins', () => {
    const { secret, hint, hash } = newApiKey()
    expect(secret).toStartWith(hint)
    expect(hint).toHaveLength(8)
    expect(hash).not.toContain(secret.slice(3, 20))
  })

  test('is known from a mistyped one, wherever it was mistyped', () => {
    const { secret } = newApiKey()
    for (let at = 0; at < secret.length; at++) {
      const other = secret[at] === 'x' ? 'y' : 'x'
      expect(isApiKey(secret.slice(0, at) + other + secret.slice(at + 1))).toBe(false)
      const next = secret[at + 1]
      if (next === undefined || next === secret[at]) continue
      expect(isApiKey(secret.slice(0, at) + next + secret[at] + secret.slice(at + 2))).toBe(false)
    }
  })

  test.each(['', 'qk_', 'x', `qk_${'0'.repeat(49)}`, 'qk_\u0000', 'eyJhbGciOiJub25lIn0.e30.'])(
    'is not %p',
    (text) => expect(isApiKey(text)).toBe(false),
  )

  test('is not one with something around it', () => {
    const { secret } = newApiKey()
    for (const text of [` ${secret}`, `${secret}\n`, `${secret}0`, secret.slice(0, -1)]) {
      expect(isApiKey(text)).toBe(false)
    }
  })
})
