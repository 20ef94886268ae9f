import commonPasswords from './common-passwords.txt' with { type: 'text' }

/** In characters (code points) of the form that is hashed. */
export const PASSWORD_LENGTH = { min: 8, max: 128 } as const

/** In UTF-16 units, as typed: some keyboards take several for one character. */
export const PASSWORD_TYPED_MAX = 4 * PASSWORD_LENGTH.max

/** The form that is hashed, so that each keyboard's spelling of a letter will do. */
export const hashable = (password: string) => password.normalize('NFKC')

/** The form in which it is looked up among the common ones: who guesses tries each case. */
export const comparable = (password: string) => hashable(password).toLowerCase()

/**
 * What is wrong with a new password, or nothing. Asked where one is set, never at login: an account
 * may have an older one, or an imported one.
 *
 * By NIST SP 800-63B and ASVS 6.2 there is a length and a list of the most common ones, and no rule of
 * what it must be made of. The list is that of `@zxcvbn-ts/language-common` 4.1.3 (MIT, see
 * `common-passwords.license.txt`), gathered from published leaks: of its 49,233 the 17,950 that are
 * long enough to be set. `scripts/common-passwords.ts` wrote it.
 */
export function passwordFault(password: string): string | undefined {
  const { min, max } = PASSWORD_LENGTH
  const characters = Array.from(hashable(password)).length
  if (characters < min || characters > max) return `expected ${min} to ${max} characters`
  // A search through the text takes some 20 µs, and needs no second copy of it in memory.
  const isCommon = commonPasswords.includes(`\n${comparable(password)}\n`)
  return isCommon ? 'is one of the most common passwords, which are tried first' : undefined
}

/** Words that whoever guesses tries first (ASVS 6.1.2), beside the names of the account and those of the operator. */
const OBVIOUS_WORDS = ['quintet', 'password', 'passwort']
const SHORTEST_WORD = 3

/**
 * What is wrong with a new password in a place where these words are obvious, or nothing: without
 * them it must still be as long as a password has to be.
 */
export function likenessFault(password: string, words: readonly string[]): string | undefined {
  const obvious = [...OBVIOUS_WORDS, ...words.map(comparable)]
    .filter((word) => word.length >= SHORTEST_WORD)
    .toSorted((a, b) => b.length - a.length)
  const rest = obvious.reduce((text, word) => text.replaceAll(word, ''), comparable(password))
  return Array.from(rest).length < PASSWORD_LENGTH.min
    ? 'is little more than a name or a word that is easy to guess here'
    : undefined
}
