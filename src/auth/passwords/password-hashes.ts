import { hashable } from './password-rules.ts'

/** OWASP's minimum for argon2id; about 40 ms of one core. */
export const PARAMETERS = { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 } as const
const OURS = `$argon2id$v=19$m=${PARAMETERS.memoryCost},t=${PARAMETERS.timeCost},p=1$`

/** Whether a hash is made as new ones are. What is not is replaced at the next login. */
export const isCurrent = (hash: string) => hash.startsWith(OURS)

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
const ARGON2 =
  /^\$argon2id?\$v=19\$m=([1-9]\d{0,9}),t=([1-9]\d{0,9}),p=([1-9]\d{0,9})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/** About two seconds of one core, and 256 MiB: each login before the first right one costs as much. */
const BCRYPT_COST = { min: 4, max: 15 }
const ARGON2_MAX = { memoryKib: 262_144, passes: 16, lanes: 16 }
const SALT_BYTES = { min: 8, max: 64 }
const DIGEST_BYTES = { min: 16, max: 64 }
const BCRYPT_BYTES_MAX = 72
const BCRYPT_PREFIX = '$2'

/**
 * What is wrong with a hash from another system, or nothing: bcrypt (`$2a$`, `$2b$`, `$2y$`) and argon2
 * (`argon2i`, `argon2id`, version 1.3, in PHC form) that can be verified here, at a price that can be paid.
 */
export function importedHashFault(hash: string): string | undefined {
  const bcrypt = BCRYPT.exec(hash)
  if (bcrypt !== null) {
    const { min, max } = BCRYPT_COST
    return isWithin(Number(bcrypt[1]), BCRYPT_COST)
      ? undefined
      : `expected a bcrypt cost from ${min} to ${max}`
  }
  const argon2 = ARGON2.exec(hash)
  if (argon2 === null) return 'expected a bcrypt hash, or an argon2i or argon2id hash in PHC form'
  const [, memoryKib, passes, lanes, salt, digest] = argon2
  if (!isBase64(salt!, SALT_BYTES) || !isBase64(digest!, DIGEST_BYTES)) {
    return 'expected base64 of 8 to 64 bytes of salt and 16 to 64 bytes of hash'
  }
  const isCheap =
    Number(memoryKib) <= ARGON2_MAX.memoryKib &&
    Number(passes) <= ARGON2_MAX.passes &&
    Number(lanes) <= ARGON2_MAX.lanes &&
    // RFC 9106, section 3.1.
    Number(memoryKib) >= 8 * Number(lanes)
  return isCheap
    ? undefined
    : `expected at most m=${ARGON2_MAX.memoryKib}, t=${ARGON2_MAX.passes}, p=${ARGON2_MAX.lanes}, and m of at least 8 p`
}

/**
 * What a typed password may have been when a hash was made. Ours are made of one form only; other systems
 * took the bytes as they came, in whichever Unicode form. Both are tried whatever the hash is: how many
 * there are must tell nothing of it, nor of whether there is one. bcrypt elsewhere sees the first 72 bytes, where Bun digests a longer password first, so that it would match none of their hashes.
 * (Nor does a bcrypt hash of a longer password that Bun itself has made match here.)
 */
export function candidates(password: string, hash: string): (string | Uint8Array)[] {
  const form = hashable(password)
  const forms = password === form ? [form] : [form, password]
  return forms.map((each) => fitting(each, hash))
}

/**
 * Whether a typed password that matches a hash is right to its end. Of bytes that bcrypt does not see
 * nothing is known: they may be mistyped.
 */
export const isWhole = (password: string, hash: string) =>
  !hash.startsWith(BCRYPT_PREFIX) ||
  [password, hashable(password)].every((form) => Buffer.byteLength(form) <= BCRYPT_BYTES_MAX)

function fitting(password: string, hash: string): string | Uint8Array {
  return hash.startsWith(BCRYPT_PREFIX)
    ? Buffer.from(password).subarray(0, BCRYPT_BYTES_MAX)
    : password
}

const isWithin = (value: number, { min, max }: { min: number; max: number }) =>
  value >= min && value <= max

/** Base64 without padding, in its one spelling: of another, Bun says that no password matches. */
function isBase64(text: string, bytes: { min: number; max: number }): boolean {
  const decoded = Buffer.from(text, 'base64')
  const spelling = decoded.toString('base64').replace(/=+$/, '')
  return spelling === text && isWithin(decoded.length, bytes)
}
