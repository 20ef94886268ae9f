import { describe, expect, test } from 'bun:test'

import { randomOf } from '../../../tests/support/random-of.ts'
import { emailFault, foldName, usernameFault } from './names.ts'

/** What differs in no way that a reader would call another name. */
const spellingsOf = (name: string) => [
  name.toUpperCase(),
  name.toLowerCase(),
  name.normalize('NFC'),
  name.normalize('NFD'),
  name.normalize('NFKC'),
  name.normalize('NFKD'),
  ` ${name} `,
  `\u200b${name}\ufe0f`,
  foldName(name),
]

describe('one name in all its spellings', () => {
  test.each([
    'Ada ADA ada Ａｄａ a\u200bda ada\u034f',
    'Straße STRASSE strasse STRAẞE',
    'ﬁona FIONA Fiona',
    'Οδυσσεύς ΟΔΥΣΣΕΎΣ οδυσσεύσ',
    'Işıl IŞIL işil',
    'Zoë ZOË Zoe\u0308',
  ])('%s', (spellings) => {
    expect(new Set(spellings.split(' ').map((each) => foldName(each))).size).toBe(1)
  })

  test('other letters make another name', () => {
    const names = ['ada', 'adá', 'ad', 'adaa', 'аda', 'a-da', 'a da']
    expect(new Set(names.map(foldName)).size).toBe(names.length)
  })
})

test('each character of Unicode folds to what folds to itself, in each of its spellings', () => {
  const wrong: string[] = []
  for (let code = 0; code <= 0x10ffff; code += 1) {
    if (code >= 0xd800 && code < 0xe000) continue
    const name = `a${String.fromCodePoint(code)}b`
    const folded = foldName(name)
    // Most are the same.
    const spellings = [...new Set(spellingsOf(name))]
    if (spellings.some((spelling) => foldName(spelling) !== folded)) {
      wrong.push(`U+${code.toString(16)}`)
    }
  }
  expect(wrong).toEqual([])
}, 60_000)

test('so do names of any characters', () => {
  const seed = Date.now() | 0
  const below = randomOf(seed)
  /** Mostly from blocks in which case and composition are intricate. */
  const blocks = [0x20, 0x80, 0x100, 0x180, 0x300, 0x340, 0x370, 0x1e00, 0x1f00, 0xfb00, 0xff00]
  const character = () =>
    String.fromCodePoint(below(4) === 0 ? below(0xd800) : blocks[below(blocks.length)]! + below(96))
  const wrong: object[] = []
  for (let time = 0; time < 50_000; time += 1) {
    const name = Array.from({ length: 1 + below(6) }, character).join('')
    const folded = foldName(name)
    if (foldName(folded) !== folded) wrong.push({ seed, name: escape(name) })
    const cased = name.normalize('NFKC')
    for (const spelling of [cased.toUpperCase(), name.normalize('NFD'), name.normalize('NFKD')]) {
      if (foldName(spelling) !== folded) {
        wrong.push({ seed, name: escape(name), spelling: escape(spelling) })
      }
    }
  }
  expect(wrong).toEqual([])
})

const escape = (text: string) =>
  Array.from(text, (each) => each.codePointAt(0)!.toString(16)).join(' ')

test('the fold of a beginning is the beginning of the fold', () => {
  for (const [beginning, name] of [
    ['οδος', 'οδοσα'],
    ['STRA', 'Straße'],
    ['ad', 'Ada'],
  ] as const) {
    expect(foldName(name)).toStartWith(foldName(beginning))
  }
})

describe('a user name', () => {
  test.each(['a', 'ada', 'Ada Lovelace', 'Øystein', '李小龙', 'نور', 'x'.repeat(64)])(
    'may be %s',
    (name) => expect(usernameFault(name)).toBeUndefined(),
  )

  test.each([
    ['nothing', ''],
    ['blanks', '  '],
    ['with a blank at its end', 'ada '],
    ['an e-mail address', 'ada@example.com'],
    ['one by a wide at sign', 'ada＠example.com'],
    ['one by a small at sign', 'ada﹫example.com'],
    ['too long', 'x'.repeat(65)],
    ['too long where it is compared', 'ﷺ'.repeat(10)],
    ['with a letter that nobody sees', 'ad\u200bmin'],
    ['of a letter that nobody sees', '\u3164'],
    ['with a joiner that nobody sees', 'ad\u034fmin'],
    ['with a control character', 'ada\u0007'],
    ['with a direction', 'ada\u202e'],
    ['with half a character', 'ada\ud800'],
    ['with a line end', 'ada\nroot'],
    ['one of a program', 'service-account:nightly'],
    ['one of a program, when folded', 'Service-ACCOUNT：nightly'],
  ])('is not %s', (_, name) => expect(usernameFault(name)).toBeString())

  test('that is fit is nobody’s e-mail address, however it is folded', () => {
    for (let code = 0; code <= 0x10ffff; code += 1) {
      const name = `ada${String.fromCodePoint(code)}example.com`
      if (foldName(name).includes('@')) expect(usernameFault(name)).toBeString()
    }
  })
})

describe('an e-mail address', () => {
  test.each([
    'ada@example.com',
    "o'hara+lists@mail.example.co.uk",
    'jörg@exämple.de',
    '用户@例子.公司',
    `${'x'.repeat(64)}@example.com`,
  ])('may be %s', (email) => expect(emailFault(email)).toBeUndefined())

  test.each([
    'ada',
    'ada@localhost',
    '@example.com',
    'ada@',
    'ada@@example.com',
    'a@b@example.com',
    'ada @example.com',
    'ada@example.com\r\nBcc: eve@example.com',
    'ada,eve@example.com',
    '<ada@example.com>',
    'ada..b@example.com',
    '.ada@example.com',
    'ada@-example.com',
    'ada@example..com',
    'ad\u200ba@example.com',
    'ada\u0000@example.com',
    `ada@${'x'.repeat(300)}.com`,
  ])('is not %s', (email) => expect(emailFault(email)).toBeString())
})

test('a long text is judged quickly', () => {
  const started = performance.now()
  for (const text of ['a.'.repeat(8000), `${'a'.repeat(16_000)}@`, `a@${'a-'.repeat(8000)}`]) {
    expect(emailFault(text)).toBeString()
    expect(usernameFault(text)).toBeString()
  }
  expect(performance.now() - started).toBeLessThan(500)
})
