import { expect, test } from 'bun:test'

import { openLog } from '../../platform/log.ts'
import { createWriteCap } from './write-cap.ts'

function open() {
  const lines: string[] = []
  const { log } = openLog({ LOG_LEVEL: 'warn' }, { write: (line) => void lines.push(line) })
  let now = 1_000_000
  const mayRecord = createWriteCap({ clock: { now: () => now }, log })
  const count = (acts: number, address: (act: number) => string, isKnown = false) =>
    Array.from({ length: acts }, (_, act) => mayRecord(address(act), isKnown)).filter(Boolean)
      .length
  return { count, lines, later: (ms: number) => (now += ms) }
}

test('300 acts a minute are told of, and then again', () => {
  const { count, later } = open()
  const apart = (act: number) => `203.0.${Math.floor(act / 200)}.${act % 200}`
  expect(count(1000, apart)).toBe(300)
  later(59_999)
  expect(count(1, apart)).toBe(0)
  later(1)
  expect(count(1000, apart)).toBe(300)
})

test('one address has 30 of them, and keeps nobody’s acts out', () => {
  const { count } = open()
  expect(count(1000, () => '203.0.113.7')).toBe(30)
  expect(count(1, () => '203.0.113.8')).toBe(1)
})

test('who has a network of IPv6 is one', () => {
  const { count } = open()
  expect(count(1000, (act) => `2001:db8::${act.toString(16)}`)).toBe(30)
})

test('made-up names keep out no act against somebody who is here', () => {
  const { count } = open()
  expect(count(100, () => '203.0.113.7')).toBe(30)
  expect(count(100, () => '203.0.113.7', true)).toBe(30)
})

test('of many whose acts are left out ten are named', () => {
  const { count, lines } = open()
  for (let host = 0; host < 9; host++) count(40, () => `203.0.113.${host}`)
  expect(lines).toHaveLength(9)
  count(100, (act) => `198.51.100.${act}`)
  expect(lines).toHaveLength(10)
})

test('that some are left out is in the log, once a minute for an address', () => {
  const { count, lines, later } = open()
  count(100, () => '203.0.113.7')
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('203.0.113.7')
  later(60_000)
  count(100, () => '203.0.113.7')
  expect(lines).toHaveLength(2)
})
