import { expect, test } from 'bun:test'

import { foldName, usernameFault } from '../accounts/names.ts'
import { freeUsername } from './usernames.ts'

const nobody = () => Promise.resolve<string[]>([])

test.each([
  ['ada', 'ada'],
  ['Ada Lovelace', 'AdaLovelace'],
  ['ada@example.com', 'ada'],
  ['ａｄａ', 'ada'],
  ['eve＠example.com', 'eve'],
  ['a\u200Bd\u0000a', 'ada'],
  ['', 'user'],
  ['@', 'user'],
  ['\u202E', 'user'],
  ['🦉'.repeat(60), '🦉'.repeat(48)],
  ['x'.repeat(5000), 'x'.repeat(48)],
])('of %p it makes a fit name', async (wish, expected) => {
  const name = await freeUsername(wish, nobody)
  expect(name).toBe(expected)
  expect(usernameFault(name)).toBeUndefined()
})

test('what is taken gets a number, and after those something random', async () => {
  const isTaken = (all: string[]) => async (asked: string[]) =>
    all.filter((each) => asked.includes(each))
  expect(await freeUsername('Ada', isTaken(['ada', 'ada-2']))).toBe('Ada-3')
  const all = ['ada', ...Array.from({ length: 8 }, (_, index) => `ada-${index + 2}`)]
  const name = await freeUsername('Ada', isTaken(all))
  expect(name).toMatch(/^Ada-[0-9a-f]{8}$/)
  expect(foldName(name).length).toBeLessThan(64)
})
