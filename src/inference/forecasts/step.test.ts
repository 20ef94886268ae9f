import { describe, expect, test } from 'bun:test'

import { randomOf } from '../../../tests/support/random-of.ts'
import { FREQUENCY, stepOf, timeAfter } from './step.ts'

const ahead = (from: string, frequency: string, count: number) =>
  Array.from({ length: count }, (_, at) => {
    const time = Date.parse(from)
    return new Date(timeAfter(time, stepOf(frequency, time), at + 1)).toISOString().slice(0, 16)
  })

describe('from the last value on', () => {
  test.each([
    ['2026-01-31', 'month', '2026-02-28 2026-03-31 2026-04-30 2026-05-31'],
    ['2024-01-31', 'month', '2024-02-29 2024-03-31'],
    ['2023-12-30', 'month', '2024-01-30 2024-02-29 2024-03-30'],
    ['2100-01-29', 'month', '2100-02-28 2100-03-29'],
    ['2000-01-29', 'month', '2000-02-29'],
    ['2025-11-30', 'quarter', '2026-02-28 2026-05-30 2026-08-30'],
    ['2024-02-29', 'year', '2025-02-28 2026-02-28 2027-02-28 2028-02-29'],
    ['2025-08-31', '6 months', '2026-02-28 2026-08-31'],
    ['2026-12-28', 'week', '2027-01-04 2027-01-11'],
    ['2024-02-28', 'day', '2024-02-29 2024-03-01'],
    ['2026-01-01', '2 weeks', '2026-01-15'],
    ['0099-12-31', 'day', '0100-01-01'],
    ['0001-01-31', 'month', '0001-02-28'],
  ])('%s by the %s: %s', (from, frequency, days) => {
    const expected = days.split(' ').map((day) => `${day}T00:00`)
    expect(ahead(from, frequency, expected.length)).toEqual(expected)
  })

  test('at the time of day, without summer time', () => {
    expect(ahead('2026-03-28T23:30Z', 'day', 2)).toEqual(['2026-03-29T23:30', '2026-03-30T23:30'])
    expect(ahead('2026-01-31T23:30Z', 'month', 1)).toEqual(['2026-02-28T23:30'])
    expect(ahead('2026-03-29T00:45Z', '30 minutes', 2)).toEqual([
      '2026-03-29T01:15',
      '2026-03-29T01:45',
    ])
  })
})

test.each(['months', '12 hours', 'second', '9999 years'])('%p is a frequency', (frequency) => {
  expect(frequency).toMatch(FREQUENCY)
})
test.each(['', 'fortnight', '0 days', '-1 days', '1.5 hours', '10000 days', 'day day', 'M'])(
  '%p is none',
  (frequency) => {
    expect(frequency).not.toMatch(FREQUENCY)
    expect(() => stepOf(frequency, 0)).toThrow('is no frequency')
  },
)

const seed = Date.now()
const UNITS = ['second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year']
/** A quarter is one of ours only. */
const durationOf = (unit: string, count: number) =>
  unit === 'quarter' ? { months: 3 * count } : { [`${unit}s`]: count }

test(`any frequency counts as the calendar of the language does (seed ${seed})`, () => {
  const below = randomOf(seed)
  for (let round = 0; round < 20_000; round++) {
    const [times, unit, count] = [1 + below(20), UNITS[below(UNITS.length)]!, below(40)]
    const from = Temporal.PlainDateTime.from('1600-01-01').add({
      days: below(400_000),
      // Month ends are where it goes wrong.
      ...(below(2) === 0 ? { seconds: below(86_400) } : {}),
    })
    const anchor = below(2) === 0 ? from : from.with({ day: from.daysInMonth })
    const time = Date.parse(`${anchor.toString()}Z`)
    const expected = anchor.add(durationOf(unit, times * count))
    const given = timeAfter(time, stepOf(`${times} ${unit}s`, time), count)
    expect(
      `${from.toString()} + ${count} × ${times} ${unit}: ${new Date(given).toISOString()}`,
    ).toBe(
      `${from.toString()} + ${count} × ${times} ${unit}: ${expected.toString({ smallestUnit: 'millisecond' })}Z`,
    )
  }
})
