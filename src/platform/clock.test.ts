import { expect, test } from 'bun:test'

import { epochMs, isoTime } from './clock.ts'

test.each([0, 1, 1, 0, 1_767_323_045_678, -1])('isoTime spells %d as Date does', (ms) => {
  expect(isoTime(ms)).toBe(new Date(ms).toISOString())
})

test('epochMs tells what is below a millisecond, and follows a clock that was set', () => {
  const times = Array.from({ length: 100 }, epochMs)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  expect(times.every(Number.isInteger)).toBe(false)
  expect(Math.abs(times[0]! - Date.now())).toBeLessThan(50)

  const now = Date.now
  const ahead = now() + 3_600_000
  try {
    Date.now = () => ahead
    expect(epochMs()).toBeWithin(ahead - 1, ahead + 50)
  } finally {
    Date.now = now
  }
  expect(Math.abs(epochMs() - now())).toBeLessThan(50)
})
