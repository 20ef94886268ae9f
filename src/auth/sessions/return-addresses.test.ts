import { describe, expect, test } from 'bun:test'

import { createReturnAddresses, signInPath } from './return-addresses.ts'

const returns = createReturnAddresses(['https://grafana.example.com', 'http://shiny.local:3838'])

describe('no open redirect: what leads elsewhere is not admitted', () => {
  test.each([
    undefined,
    '',
    'account',
    '//evil.example',
    '///evil.example',
    String.raw`/\evil.example`,
    String.raw`\\evil.example`,
    String.raw`/a\b`,
    '/\t/evil.example',
    '/\n/evil.example',
    '\t//evil.example',
    ' //evil.example',
    '/ /evil.example',
    '/.//evil.example',
    '/a/..//evil.example',
    '/%2e//evil.example',
    '/\u0000/evil.example',
    '/\u200b/evil.example',
    'https:evil.example',
    'https:/evil.example',
    'https://evil.example/',
    'https://grafana.example.com.evil.example/',
    'https://grafana.example.com@evil.example/',
    'https://user:secret@grafana.example.com/',
    String.raw`https://evil.example\@grafana.example.com/`,
    'https://grafana.example.com:444/',
    'http://grafana.example.com/',
    'http://shiny.local/',
    'javascript:alert(1)',
    'data:text/html,x',
    'blob:https://grafana.example.com/x',
    'ftp://grafana.example.com/',
    `/${'x'.repeat(2048)}`,
  ])('%j', (address) => {
    expect(returns.admit(address)).toBeUndefined()
  })
})

test.each([
  ['/', '/'],
  ['/account', '/account'],
  ['/docs?q=a%2F%2Fb&r=//x#there', '/docs?q=a%2F%2Fb&r=//x#there'],
  ['/%2F%2Fevil.example', '/%2F%2Fevil.example'],
  ['/a:b@c', '/a:b@c'],
  ['https://grafana.example.com', 'https://grafana.example.com/'],
  ['https://GRAFANA.example.com:443/d/1?a=1&b=2', 'https://grafana.example.com/d/1?a=1&b=2'],
  ['http://shiny.local:3838/app/', 'http://shiny.local:3838/app/'],
])('%j is admitted', (address, expected) => {
  expect(returns.admit(address)).toBe(expected)
})

test('the origin of an address elsewhere is told, since the page must allow it', () => {
  expect(returns.originOf('https://grafana.example.com/d/1')).toBe('https://grafana.example.com')
  expect(returns.originOf('/account')).toBeUndefined()
})

test('an address survives the way through the page to sign in', () => {
  const path = signInPath('https://grafana.example.com/d/1?a=1&b=2#c')
  expect(new URL(path, 'http://localhost').searchParams.get('return_to')).toBe(
    'https://grafana.example.com/d/1?a=1&b=2#c',
  )
  expect(signInPath()).toBe('/sign-in')
})
