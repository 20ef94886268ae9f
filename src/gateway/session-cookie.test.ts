import { describe, expect, test } from 'bun:test'

import { createSessionCookie } from './session-cookie.ts'

const SECRET = `qs_${'a'.repeat(43)}`
const OTHER = `qs_${'b'.repeat(43)}`
const plain = createSessionCookie({ publicUrl: 'http://localhost:8080', domain: undefined })
const secure = createSessionCookie({ publicUrl: 'https://q.example.com', domain: undefined })
const shared = createSessionCookie({ publicUrl: 'https://q.example.com', domain: 'example.com' })

test('over http it has no prefix, and no script reads it', () => {
  expect(plain.write(SECRET, 60)).toBe(
    `quintet_session=${SECRET}; Max-Age=60; Path=/; HttpOnly; SameSite=Lax`,
  )
})

test('RFC 6265bis §4.1.3.2: over https it is __Host-, Secure, for every path and no domain', () => {
  expect(secure.write(SECRET, 60)).toBe(
    `__Host-quintet_session=${SECRET}; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax`,
  )
})

test('RFC 6265bis §4.1.3.1: for a domain it is __Secure-', () => {
  expect(shared.write(SECRET, 60)).toBe(
    `__Secure-quintet_session=${SECRET}; Max-Age=60; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax`,
  )
})

test('it is taken back with the attributes that it was given with', () => {
  for (const cookie of [plain, secure, shared]) {
    const given = cookie.write(SECRET, 60).replace(SECRET, '').replace('Max-Age=60', 'Max-Age=0')
    expect(cookie.clear()).toBe(given)
  }
})

describe('it is read', () => {
  test.each([
    [`quintet_session=${SECRET}`, SECRET],
    [`a=b; quintet_session=${SECRET};c=d`, SECRET],
    [`a=quintet_session=${OTHER}; quintet_session=${SECRET}`, SECRET],
  ])('from %j', (header, expected) => {
    expect(plain.read(header)).toBe(expected)
  })

  test.each([
    null,
    '',
    'quintet_session',
    'quintet_session=',
    'quintet_session=qs_short',
    `quintet_session="${SECRET}"`,
    `quintet_session=${SECRET}x`,
    `quintet_session=eyJhbGciOiJFUzI1NiJ9.e30.c2ln`,
    `Quintet_Session=${SECRET}`,
    `xquintet_session=${SECRET}`,
    `__Host-quintet_session=${SECRET}`,
  ])('not from %j', (header) => {
    expect(plain.read(header)).toBeUndefined()
  })

  test('not where another host of the domain has put a second one beside it', () => {
    const header = `quintet_session=${OTHER}; quintet_session=${SECRET}`
    expect(plain.read(header)).toBeUndefined()
  })

  test('not without the prefix where it has one', () => {
    expect(secure.read(`quintet_session=${SECRET}`)).toBeUndefined()
    expect(shared.read(`__Host-quintet_session=${SECRET}`)).toBeUndefined()
    expect(secure.read(`__Host-quintet_session=${SECRET}`)).toBe(SECRET)
  })
})
