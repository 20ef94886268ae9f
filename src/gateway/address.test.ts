import { describe, expect, test } from 'bun:test'

import { createAddressReader, limitKey } from './address.ts'

describe('the client behind trusted proxies', () => {
  const { read } = createAddressReader(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32'])
  test.each([
    ['no header', '10.0.0.1', null, '10.0.0.1'],
    ['a peer that is no proxy', '203.0.113.7', '198.51.100.1', '203.0.113.7'],
    ['one proxy', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['two proxies', '10.0.0.1', '198.51.100.1, 192.0.2.1', '198.51.100.1'],
    ['what the client wrote itself', '10.0.0.1', '127.0.0.1, 198.51.100.1', '198.51.100.1'],
    ['nothing but proxies', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['nonsense', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['nonsense behind a proxy', '10.0.0.1', 'unknown, 10.0.0.2', '10.0.0.2'],
    ['a proxy by IPv6', '2001:db8::1', '198.51.100.1', '198.51.100.1'],
    ['IPv4 in the clothes of IPv6', '::ffff:10.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
  ])('%s', (_, peer, forwardedFor, client) => {
    expect(read(peer, forwardedFor)).toBe(client)
  })

  test('nobody is trusted unless named', () => {
    expect(createAddressReader([]).read('127.0.0.1', '198.51.100.1')).toBe('127.0.0.1')
  })
})

test.each([
  ['203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002::1', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
])('%s is limited as %s', (address, key) => {
  expect(limitKey(address)).toBe(key)
})
