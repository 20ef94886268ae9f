import { describe, expect, test } from 'bun:test'

import commonPasswords from './common-passwords.txt' with { type: 'text' }
import { comparable, likenessFault, passwordFault } from './password-rules.ts'

describe('a password may be', () => {
  test.each([
    ['of eight characters', 'zw3-kq!x'],
    ['of 128', 'x'.repeat(128)],
    ['of 128 that take two units each', '🙂'.repeat(128)],
    ['of one kind of letter', 'correcthorsebatterystaple'],
    ['of any script', 'пароль на сегодня'],
    ['with blanks around it', '  zw3-kq  '],
    ['longer than a common one', 'password123!?'],
  ])('%s', (_, password) => expect(passwordFault(password)).toBeUndefined())
})

describe('a password is not', () => {
  test.each([
    ['short', 'zw3-kq!'],
    ['short where it is hashed', 'a\u0308'.repeat(7)],
    ['too long', 'x'.repeat(129)],
    ['too long where it is hashed', 'ﷺ'.repeat(8)],
  ])('%s', (_, password) => expect(passwordFault(password)).toBe('expected 8 to 128 characters'))

  test.each(['password', 'PASSWORD', 'Password123', 'ｐａｓｓｗｏｒｄ', 'iloveyou1', 'qwertyuiop'])(
    'common: %s',
    (password) => expect(passwordFault(password)).toContain('most common'),
  )
})

test('the list is sorted, without doubles, and holds only what could be set', () => {
  const list = commonPasswords.split('\n').slice(1, -1)
  expect(list).toHaveLength(17_950)
  expect(list).toEqual([...new Set(list)].toSorted())
  expect(list.filter((each) => comparable(each) !== each || each.length < 8)).toEqual([])
  for (const each of [list[0]!, list.at(-1)!]) expect(passwordFault(each)).toContain('most common')
})

describe('ASVS 6.2.11: a password that is little more than a name', () => {
  const words = ['Ada.Lovelace', 'countess', 'analytical.example']
  test.each([
    'ada.lovelace1815',
    'ADA.LOVELACE!',
    'Quintet-2026!',
    'countess2026',
    'quintet countess',
    'analytical.example1',
    '2026ada.lovelacequintet',
    'ａｄａ．ｌｏｖｅｌａｃｅ',
  ])('is refused: %s', (password) => {
    expect(likenessFault(password, words)).toContain('easy to guess')
  })
  test.each(['ada.lovelace and her engine', 'x7-quintet-9f2kq', 'correct horse battery'])(
    'is not one with enough beside: %s',
    (password) => {
      expect(likenessFault(password, words)).toBeUndefined()
    },
  )
  test('is not told from a word of two letters, or of none', () => {
    expect(likenessFault('abababab', ['ab', ''])).toBeUndefined()
  })
})
