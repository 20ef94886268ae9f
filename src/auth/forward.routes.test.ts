import { expect, test } from 'bun:test'

import type { Identity } from '../gateway/principal.ts'
import { Problem } from '../gateway/problem.ts'
import type { RequestContext } from '../gateway/route.ts'
import { forwardRoutes } from './forward.routes.ts'
import { createReturnAddresses } from './sessions/return-addresses.ts'

const [forward] = forwardRoutes({
  returns: createReturnAddresses([]),
  publicUrl: 'http://localhost:8080',
})

const program = (name: string): Identity => ({
  kind: 'service-account',
  id: 'id-of-it',
  name,
  scopes: new Set(['predict']),
})
const answer = (principal: Identity, query: object = {}) =>
  forward!.handle({ query, path: undefined, body: undefined }, {
    principal,
  } as RequestContext) as Response

test('a program is told as one, since it has no role', () => {
  const { status, headers } = answer(program('nightly report'))
  expect([status, headers.get('x-user'), headers.get('x-role'), headers.get('x-user-id')]).toEqual([
    200,
    'service-account:nightly report',
    'service-account',
    'id-of-it',
  ])
})

test('a program is not let in where a role is asked for, not even the least', () => {
  for (const role of ['viewer', 'editor', 'admin']) {
    expect(() => answer(program('it'), { role })).toThrow(Problem)
  }
})

test('no name breaks out of its header', () => {
  const names = ['a\r\nX-Role: admin', 'a\u0000b', 'a\u007fb', 'a\tb', 'a\u2028b', '\ud800', 'é']
  for (const name of names) {
    const { headers } = answer(program(name))
    expect(headers.get('x-user')).toMatch(/^[\u0020-\u007e]+$/)
    expect(headers.get('x-role')).toBe('service-account')
    expect(decodeURIComponent(headers.get('x-user')!)).toBe(
      `service-account:${name.toWellFormed()}`,
    )
  }
})
