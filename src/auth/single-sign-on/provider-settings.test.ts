import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { providersFault, readProviders } from './provider-settings.ts'

const SECRET = 'very-secret'
const company = { id: 'company', issuer: 'https://id.example.com', client_id: 'quintet' }
const google = { id: 'google', preset: 'google', client_id: 'quintet', client_secret: SECRET }
const github = { ...google, id: 'github', preset: 'github' }

const directory = mkdtempSync(join(tmpdir(), 'quintet-test-'))
afterAll(() => rmSync(directory, { recursive: true }))

const faults: [string, unknown, string][] = [
  ['no JSON', `[{"client_secret": ${SECRET}`, 'expected JSON'],
  ['no list', { company }, 'expected array'],
  ['a file that is not there', '@/nowhere/providers.json', 'ENOENT'],
  ['another preset', [{ ...google, preset: 'gitlab' }], '0.preset: expected the preset'],
  ['no issuer', [{ id: 'company', client_id: 'x' }], '0.issuer'],
  ['an issuer without TLS', [{ ...company, issuer: 'http://id.example.com' }], '0.issuer'],
  ['an issuer that is a file', [{ ...company, issuer: 'file:///etc/passwd' }], '0.issuer'],
  ['an issuer with a query', [{ ...company, issuer: 'https://id.example.com/?a' }], '0.issuer'],
  [
    'an issuer with a password',
    [{ ...company, issuer: `https://a:${SECRET}@b.example` }],
    'issuer',
  ],
  ['an issuer beside a preset', [{ ...google, issuer: 'https://a.example' }], 'issuer'],
  ['a preset without a secret', [{ ...google, client_secret: undefined }], '0.client_secret'],
  ['a secret that is a number', [{ ...company, client_secret: 5 }], '0.client_secret'],
  ['no client', [{ ...company, client_id: '' }], '0.client_id'],
  ['an id that is no part of an address', [{ ...company, id: '../x' }], '0.id'],
  ['one id for two', [company, { ...google, id: 'company' }], 'an id of its own'],
  ['a role that is none', [{ ...company, roles: { staff: 'root' } }], '0.roles.staff'],
  ['groups of GitHub, which has none', [{ ...github, roles: { staff: 'admin' } }], 'roles'],
  [
    'an address in place of a domain',
    [{ ...company, domains: ['ada@example.com'] }],
    '0.domains.0',
  ],
  ['a whole country', [{ ...company, domains: ['com'] }], '0.domains.0'],
  ['scopes in one text', [{ ...company, scopes: 'openid email' }], '0.scopes'],
  ['a scope that is none', [{ ...company, scopes: ['a b'] }], '0.scopes.0'],
  ['a misspelt name', [{ ...company, domain: ['example.com'] }], 'domain'],
  ['21 providers', Array.from({ length: 21 }, (_, n) => ({ ...company, id: `p${n}` })), '20'],
]

test.each(faults)('refused: %s', (_, setting, says) => {
  const text = typeof setting === 'string' ? setting : JSON.stringify(setting)
  const fault = providersFault(text)
  expect(fault).toContain(says)
  expect(fault).not.toContain(SECRET)
  expect(() => readProviders(text)).toThrow('SSO_PROVIDERS')
})

describe('taken', () => {
  test('nothing at all', () => {
    expect(providersFault(undefined)).toBeUndefined()
    expect(readProviders(undefined)).toEqual([])
    expect(readProviders('[]')).toEqual([])
  })

  test('a provider by its issuer', () => {
    const given = {
      ...company,
      client_secret: SECRET,
      domains: ['EXAMPLE.com'],
      scopes: ['email', 'groups'],
      roles: { staff: 'editor' },
    }
    expect(readProviders(JSON.stringify([given]))).toEqual([
      {
        kind: 'openid',
        id: 'company',
        title: 'company',
        clientId: 'quintet',
        clientSecret: SECRET,
        issuer: 'https://id.example.com',
        scopes: 'openid email groups',
        domains: ['example.com'],
        groupsClaim: 'groups',
        roles: { staff: 'editor' },
        hasHostedDomains: false,
      },
    ])
  })

  test('presets', () => {
    const enterprise = { ...github, id: 'work', title: 'Work', url: 'https://github.example.com/' }
    expect(readProviders(JSON.stringify([google, github, enterprise]))).toMatchObject([
      { title: 'Google', issuer: 'https://accounts.google.com', hasHostedDomains: true },
      { title: 'GitHub', url: 'https://github.com', apiUrl: 'https://api.github.com' },
      {
        title: 'Work',
        url: 'https://github.example.com',
        apiUrl: 'https://github.example.com/api/v3',
      },
    ])
  })

  test('an issuer of this machine without TLS', () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]']) {
      const issuer = `http://${host}:8081/realms/x`
      expect(providersFault(JSON.stringify([{ ...company, issuer }]))).toBeUndefined()
    }
    const issuer = 'http://localhost.evil.example'
    expect(providersFault(JSON.stringify([{ ...company, issuer }]))).toBeDefined()
  })

  test('a file', async () => {
    const path = join(directory, 'providers.json')
    await Bun.write(path, JSON.stringify([company]))
    expect(readProviders(`@${path}`)).toMatchObject([{ id: 'company' }])
  })
})
