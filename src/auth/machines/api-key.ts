import { hashOf } from '../sessions/refresh-tokens.ts'

const PREFIX = 'qk_'
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** 256 bits. */
const SECRET_CHARACTERS = 43
/** 32 bits. */
const CHECKSUM_CHARACTERS = 6
const HINT_CHARACTERS = 8
const SHAPE = new RegExp(`^${PREFIX}[0-9A-Za-z]{${SECRET_CHARACTERS + CHECKSUM_CHARACTERS}}$`)
/** Bytes from here on would make the first letters of the alphabet likelier than the others. */
const FAIR_BYTE_END = 256 - (256 % ALPHABET.length)

/**
 * An API key: `qk_`, 43 random characters of `0-9A-Za-z`, and 6 more of them that are the CRC-32 (that
 * of zlib) of everything before, its digits in that order from the most significant one. So a typing
 * error is known for one without a look at the database, and a scanner for secrets that finds one can
 * be sure of it.
 */
export interface NewApiKey {
  /** Shown once and nowhere kept. */
  secret: string
  hash: string
  /** How it begins, so that its owner knows it again. */
  hint: string
}

export function newApiKey(): NewApiKey {
  const open = PREFIX + randomCharacters()
  const secret = open + checksumOf(open)
  return { secret, hash: hashOf(secret), hint: secret.slice(0, HINT_CHARACTERS) }
}

/** Whether it has the form of a key. */
export function isApiKey(text: string): boolean {
  if (!SHAPE.test(text)) return false
  const end = text.length - CHECKSUM_CHARACTERS
  return checksumOf(text.slice(0, end)) === text.slice(end)
}

/** Whether it means to be a key. */
export const looksLikeApiKey = (text: string) => text.startsWith(PREFIX)

function randomCharacters(): string {
  let text = ''
  while (text.length < SECRET_CHARACTERS) {
    for (const byte of crypto.getRandomValues(Buffer.alloc(SECRET_CHARACTERS))) {
      if (byte < FAIR_BYTE_END) text += ALPHABET[byte % ALPHABET.length]!
    }
  }
  return text.slice(0, SECRET_CHARACTERS)
}

function checksumOf(text: string): string {
  let rest = Bun.hash.crc32(text)
  let digits = ''
  for (let place = 0; place < CHECKSUM_CHARACTERS; place++) {
    digits = ALPHABET[rest % ALPHABET.length]! + digits
    rest = Math.floor(rest / ALPHABET.length)
  }
  return digits
}
