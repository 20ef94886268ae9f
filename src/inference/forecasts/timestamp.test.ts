import { describe, expect, test } from 'bun:test'

import { randomOf } from '../../../tests/support/random-of.ts'
import { readTimestamp } from './timestamp.ts'

const read = (value: unknown) => {
  const time = readTimestamp(value)
  return typeof time === 'string' ? time : new Date(time).toISOString()
}

test.each([
  ['2026-01-31', '2026-01-31T00:00:00.000Z'],
  ['2026-01', '2026-01-01T00:00:00.000Z'],
  ['1960', '1960-01-01T00:00:00.000Z'],
  ['2026-01-02 03:04:05', '2026-01-02T03:04:05.000Z'],
  ['2026-01-02T03:04', '2026-01-02T03:04:00.000Z'],
  ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.000Z'],
  ['2026-01-02T03:04:05.6', '2026-01-02T03:04:05.600Z'],
  ['2026-01-02T03:04:05.678901234', '2026-01-02T03:04:05.678Z'],
  ['2026-01-02 03:04:05+00:00', '2026-01-02T03:04:05.000Z'],
  ['2026-01-01T00:30:00+01:00', '2025-12-31T23:30:00.000Z'],
  ['2026-01-01T00:30:00-0530', '2026-01-01T06:00:00.000Z'],
  ['2026-01-01T00:30:00-05', '2026-01-01T05:30:00.000Z'],
  ['2024-02-29', '2024-02-29T00:00:00.000Z'],
  ['0001-01-01', '0001-01-01T00:00:00.000Z'],
  ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  [1_767_323_045, '2026-01-02T03:04:05.000Z'],
  [1_767_323_045.678, '2026-01-02T03:04:05.678Z'],
  [1_767_323_045_678, '2026-01-02T03:04:05.678Z'],
  [-286_675_200, '1960-12-01T00:00:00.000Z'],
  [-286_675_200_000, '1960-12-01T00:00:00.000Z'],
  [9_999_999_999, '2286-11-20T17:46:39.000Z'],
])('%p is %s', (value, time) => {
  expect(read(value)).toBe(time)
})

describe('refused, with what is wrong:', () => {
  test.each([
    '',
    'soon',
    '31.01.2026',
    '2026-1-31',
    '20260131',
    '2026-02-29',
    '2026-04-31',
    '2026-13-01',
    '2026-00-10',
    '2026-01-31T24:00:00Z',
    '2026-01-31T12:60:00Z',
    '2026-01-31T12:00:00+24:00',
    '2026-01-31T12:00:00+01:60',
    '2026-01-31T',
    '2026-01-31Z',
    ' 2026-01-31',
    '2026-01-31\n',
    '+275760-09-13T00:00:00.000Z',
    '٢٠٢٦-٠١-٣١',
    true,
    null,
    {},
    [['2026-01-31']],
  ])('%p', (value) => {
    expect(read(value)).toStartWith('expected a time such as "2026-01-31"')
  })

  test.each([
    '0000-06-01',
    '0001-01-01T00:00:00+01:00',
    '9999-12-31T23:59:59-01:00',
    8.64e15,
    8.64e15 + 2,
    253_402_300_800_000,
    -62_135_596_800_001,
    1e300,
    Number.MAX_VALUE,
    -1e300,
    1.8e18,
  ])('%p, which is out of range', (value) => {
    expect(read(value)).toStartWith('expected a time from the year 1 to 9999, got ')
  })

  test.each([0, 1960, 1960.917, 2026.5, 20_484, -3653, 99_999])(
    '%p, which is a year or a day',
    (value) => {
      expect(read(value)).toContain('write a year or a day as text')
    },
  )
})

const seed = Date.now()
test(`any time is read as it was written, whatever the form (seed ${seed})`, () => {
  const below = randomOf(seed)
  const [first, last] = [Date.parse('1800-01-01'), Date.parse('2286-01-01')]
  for (let round = 0; round < 5000; round++) {
    const seconds = first / 1000 + below((last - first) / 1000)
    if (Math.abs(seconds) < 1e7) continue
    const time = seconds * 1000
    const iso = new Date(time).toISOString()
    const minutes = below(24 * 60)
    const zone = `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
    const ahead = new Date(time + minutes * 60_000).toISOString()
    const forms = [
      seconds,
      time,
      iso,
      iso.replace('T', ' ').replace('.000Z', ''),
      iso.replace('.000Z', '+00:00'),
      ahead.replace('Z', `+${zone}`),
    ]
    expect(forms.map(readTimestamp)).toEqual(forms.map(() => time))
    expect(readTimestamp(iso.slice(0, 10))).toBe(Date.parse(iso.slice(0, 10)))
  }
})
