import { describe, expect, test } from 'bun:test'

import { personOf } from './person.ts'
import { type OpenIdSettings, readProviders } from './provider-settings.ts'

const settingsOf = (provider: object) =>
  readProviders(
    JSON.stringify([{ id: 'x', client_id: 'x', client_secret: 'x', ...provider }]),
  )[0] as OpenIdSettings

const google = settingsOf({ preset: 'google', domains: ['example.com'] })
const keycloak = settingsOf({
  issuer: 'https://id.example.com',
  groups_claim: 'realm_access.roles',
  roles: { staff: 'editor', root: 'admin' },
})

describe('of Google', () => {
  const rows: [string, object, { isVerified: boolean; mayJoin: boolean }][] = [
    [
      'a member of a listed organisation',
      { email: 'ada@example.com', email_verified: true, hd: 'example.com' },
      { isVerified: true, mayJoin: true },
    ],
    [
      'whoever once had an address of the domain',
      { email: 'ada@example.com', email_verified: true },
      { isVerified: false, mayJoin: false },
    ],
    [
      'a member of another organisation with an address of the domain',
      { email: 'ada@example.com', email_verified: true, hd: 'evil.example' },
      { isVerified: true, mayJoin: false },
    ],
    [
      'an address of Google’s own',
      { email: 'ada@gmail.com', email_verified: true },
      { isVerified: true, mayJoin: false },
    ],
    [
      'an address that only looks like Google’s own',
      { email: 'ada@gmail.com.evil.example', email_verified: true },
      { isVerified: false, mayJoin: false },
    ],
    [
      'an organisation that is no text',
      { email: 'ada@example.com', email_verified: true, hd: ['example.com'] },
      { isVerified: false, mayJoin: false },
    ],
  ]
  test.each(rows)('%s', (_, claims, { isVerified, mayJoin }) => {
    const person = personOf({ sub: '1', ...claims }, {}, google)
    expect(person.email?.isVerified).toBe(isVerified)
    expect(person.mayJoin).toBe(mayJoin)
    expect(person.role).toBeUndefined()
  })
})

describe('groups', () => {
  const roleOf = (claims: object) => personOf({ sub: '1', ...claims }, {}, keycloak).role

  test('are found by a path, or by a name with dots', () => {
    expect(roleOf({ realm_access: { roles: ['staff'] } })).toBe('editor')
    expect(roleOf({ 'realm_access.roles': ['root'] })).toBe('admin')
    expect(roleOf({ realm_access: { roles: ['staff', 'root'] } })).toBe('admin')
  })

  test('of another form are none', () => {
    for (const realm_access of [null, 'roles', ['staff'], { roles: { staff: true } }, 5]) {
      expect(roleOf({ realm_access })).toBe('viewer')
    }
    expect(roleOf({})).toBe('viewer')
  })

  test('that stand beyond ten thousand are not looked at', () => {
    const many = Array.from({ length: 10_000 }, (_, n) => `group ${n}`)
    expect(roleOf({ realm_access: { roles: [...many, 'root'] } })).toBe('viewer')
    expect(roleOf({ realm_access: { roles: [...many.slice(1), 'root'] } })).toBe('admin')
  })
})

test('what is signed counts before what is asked', () => {
  const person = personOf(
    { sub: '1', email: 'signed@example.com', email_verified: false },
    { sub: '1', email: 'asked@example.com', email_verified: true, preferred_username: 'ada' },
    keycloak,
  )
  expect(person.email).toEqual({ address: 'signed@example.com', isVerified: false })
  expect(person.username).toBe('ada')
})

test('a boolean that a provider writes as a text is one', () => {
  const person = personOf({ sub: '1', email: 'a@b.example', email_verified: 'true' }, {}, keycloak)
  expect(person.email?.isVerified).toBe(true)
})
