import { describe, expect, test } from 'bun:test'

import { base32BitsOf, randomBitsOf } from '../../../tests/support/random-bits.ts'
import { newTotpSecret, totpStepOf, totpUri, typedTotpCode } from './totp-codes.ts'

/** `12345678901234567890`, by which the RFC's examples are made, in base32. */
const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'

describe('RFC 6238 appendix B: the code of a time', () => {
  // The table has eight digits; of fewer, they are the last.
  test.each([
    [59, '94287082', 0x1],
    [1_111_111_109, '07081804', 0x23523ec],
    [1_111_111_111, '14050471', 0x23523ed],
    [1_234_567_890, '89005924', 0x273ef07],
    [2_000_000_000, '69279037', 0x3f940aa],
    [20_000_000_000, '65353130', 0x27bc86aa],
  ])('%d is %s', (seconds, code, step) => {
    expect(totpStepOf(SECRET, code.slice(2), seconds * 1000)).toBe(step)
  })
})

describe('RFC 6238 §5.2: a code is taken', () => {
  const CODE = '287082'
  test.each([
    ['one step early', 0, 1],
    ['at the end of the step before', 29_999, 1],
    ['at its beginning', 30_000, 1],
    ['at its end', 59_999, 1],
    ['one step late', 89_999, 1],
    ['two steps late', 90_000, undefined],
  ])('%s', (_, nowMs, step) => {
    expect(totpStepOf(SECRET, CODE, nowMs)).toBe(step)
  })

  test('of one secret is none of another', () => {
    expect(totpStepOf(newTotpSecret(), CODE, 59_000)).toBeUndefined()
  })
})

test('RFC 4226 §4: a secret has 160 random bits', async () => {
  const secrets = Array.from({ length: 100 }, newTotpSecret)
  for (const secret of secrets) expect(secret).toMatch(/^[A-Z2-7]{32}$/)
  expect(new Set(secrets).size).toBe(100)
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  expect(await randomBitsOf(() => base32BitsOf(newTotpSecret(), alphabet))).toBe(160)
})

test.each([
  ['287082', '287082'],
  ['287 082', '287082'],
  [' 287-082\n', '287082'],
  ['28708', undefined],
  ['2870820', undefined],
  ['28708a', undefined],
  ['２８７０８２', undefined],
  ['', undefined],
])('%j is typed for %s', (typed, code) => {
  expect(typedTotpCode(typed)).toBe(code)
})

test('the address for an app names the server and the account, whatever is in the name', () => {
  const uri = new URL(totpUri(SECRET, { username: 'a:d&a é?', hostname: 'api.example.com' }))
  expect(decodeURIComponent(uri.pathname)).toEndWith('/Quintet api.example.com:a d&a é?')
  expect(Object.fromEntries(uri.searchParams)).toEqual({
    secret: SECRET,
    issuer: 'Quintet api.example.com',
  })
})
