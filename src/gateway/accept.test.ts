import { expect, test } from 'bun:test'

import { preferredType } from './accept.ts'

const TYPES = ['text/csv', 'application/json', 'application/x-ndjson'] as const

test.each<[string | null, string | undefined]>([
  [null, 'text/csv'],
  ['  ', 'text/csv'],
  ['*/*', 'text/csv'],
  ['application/json', 'application/json'],
  ['application/*', 'application/json'],
  ['text/html, application/x-ndjson;q=0.5, application/json;q=0.4', 'application/x-ndjson'],
  ['APPLICATION/JSON; charset=utf-8', 'application/json'],
  ['*/*, text/csv;q=0', 'application/json'],
  ['text/csv;q=0', undefined],
  ['image/png', undefined],
  ['application/json;q=none', undefined],
])('of %j it is %j', (header, type) => {
  expect(preferredType(header, TYPES)).toBe(type as never)
})
