import { describe, expect, test } from 'bun:test'

import { randomOf } from '../../../tests/support/random-of.ts'
import { isUneven, spacingOf } from './spacing.ts'
import { timeAfter } from './step.ts'

const timesOf = (text: string) => text.split(' ').map((each) => Date.parse(each))
const HOUR = 3_600_000
const DAY = 24 * HOUR

test.each<[string, object]>([
  ['2026-01-31 2026-02-28 2026-03-31', { months: 1, day: 31 }],
  ['2026-01-01 2026-02-01 2026-03-01', { months: 1, day: 1 }],
  ['2026-02-28 2026-03-31', { months: 1, day: 31 }],
  ['2026-02-28 2026-03-28', { months: 1, day: 28 }],
  ['2026-02-28 2026-03-30 2026-04-30', { months: 1, day: 30 }],
  ['2026-04-30 2026-05-30 2026-06-30', { months: 1, day: 30 }],
  ['2026-04-30 2026-05-31 2026-06-30', { months: 1, day: 31 }],
  ['2023-02-28 2024-02-29 2025-02-28', { months: 12, day: 29 }],
  ['2024-02-29 2025-02-28', { months: 12, day: 29 }],
  ['1960-01-01 1961-01-01 1962-01-01', { months: 12, day: 1 }],
  ['2025-09-30 2025-12-31 2026-03-31', { months: 3, day: 31 }],
  ['2026-02-01 2026-03-01', { months: 1, day: 1 }],
  ['2026-02-01 2026-03-01 2026-03-29', { milliseconds: 28 * DAY }],
  ['2026-01-30 2026-01-31 2026-02-01', { milliseconds: DAY }],
  ['2026-01-31 2026-02-01', { milliseconds: DAY }],
  ['2026-03-29T00:00Z 2026-03-29T01:00Z 2026-03-29T02:00Z', { milliseconds: HOUR }],
  ['2026-01-05 2026-01-12 2026-01-19', { milliseconds: 7 * DAY }],
  ['2026-01-31T23:00Z 2026-02-28T23:00Z 2026-03-31T23:00Z', { months: 1, day: 31 }],
])('between %s', (times, step) => {
  expect(spacingOf(timesOf(times))).toEqual(step as never)
})

describe('where it is not regular, and what would have been:', () => {
  test.each<[string, number, string | undefined]>([
    ['2026-01-01 2026-02-01 2026-04-01', 2, '2026-03-01'],
    ['2026-01-01 2026-02-01 2026-03-02', 2, '2026-03-01'],
    ['2026-01-31 2026-02-28 2026-03-30', 2, '2026-03-31'],
    ['2026-01-30 2026-02-28 2026-03-31', 2, '2026-03-30'],
    ['2026-01-01 2026-02-01 2026-03-01 2026-04-02', 3, '2026-04-01'],
    ['2026-01-01 2026-01-02 2026-01-03 2026-01-05', 3, '2026-01-04'],
    ['2026-01-01T00:00Z 2026-02-01T00:00Z 2026-03-01T01:00Z', 2, '2026-03-01'],
    ['2026-01-02 2026-01-01', 1, undefined],
    ['2026-01-01 2026-01-01', 1, undefined],
    ['2026-01-01 2026-02-01 2026-01-01', 2, undefined],
  ])('%s', (times, at, expected) => {
    expect(spacingOf(timesOf(times))).toEqual({
      at,
      expected: expected === undefined ? undefined : Date.parse(expected),
    } as never)
  })
})

const seed = Date.now()
describe(`goes on as the calendar of the language does (seed ${seed})`, () => {
  const below = randomOf(seed)
  const timeIn = (date: Temporal.PlainDateTime) => Date.parse(`${date.toString()}Z`)

  test('by months', () => {
    for (let round = 0; round < 5000; round++) {
      const [months, length] = [1 + below(30), 2 + below(30)]
      const start = Temporal.PlainDateTime.from('1700-01-01').add({
        days: below(200_000),
        hours: below(24),
      })
      // Counted from a day of which all others are made, wherever in the series its month stands.
      const anchor = below(2) === 0 ? start : start.with({ day: start.daysInMonth })
      const anchorAt = below(length)
      const at = (index: number) => anchor.add({ months: (index - anchorAt) * months })
      const times = Array.from({ length }, (_, index) => timeIn(at(index)))
      const step = spacingOf(times)
      expect(step).toEqual({ months, day: anchor.day })
      for (let ahead = 1; !isUneven(step) && ahead < 15; ahead++) {
        expect(timeAfter(times.at(-1)!, step, ahead)).toBe(timeIn(at(length - 1 + ahead)))
      }
    }
  })

  test('by time', () => {
    for (let round = 0; round < 5000; round++) {
      const [milliseconds, length] = [1 + below(27 * DAY), 2 + below(30)]
      const first = Date.parse('1900-01-01') + below(2 ** 32) * 1000
      const times = Array.from({ length }, (_, index) => first + index * milliseconds)
      expect(spacingOf(times)).toEqual({ milliseconds })
    }
  })

  test('and not at all where one is moved', () => {
    for (let round = 0; round < 5000; round++) {
      const [months, length] = [1 + below(12), 4 + below(20)]
      const start = Temporal.PlainDate.from('1900-01-01').add({ days: below(70_000) })
      const times = Array.from({ length }, (_, index) =>
        Date.parse(start.add({ months: index * months }).toString()),
      )
      const moved = 3 + below(length - 3)
      times[moved]! += (1 + below(20)) * HOUR
      expect(spacingOf(times)).toMatchObject({ at: moved })
    }
  })
})
