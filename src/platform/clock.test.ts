import { expect, test } from 'bun:test'

import { isoTime } from './clock.ts'

test.each([0, 1, 1, 0, 1_767_323_045_678, -1])('isoTime spells %d as Date does', (ms) => {
  expect(isoTime(ms)).toBe(new Date(ms).toISOString())
})
