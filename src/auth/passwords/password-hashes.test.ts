import { describe, expect, test } from 'bun:test'

import { candidates, importedHashFault, isCurrent } from './password-hashes.ts'
import { createPasswords } from './passwords.ts'

const BCRYPT = 'R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW'
const SALT = 'c29tZXNhbHQ'
const DIGEST = 'iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A'
const argon2 = (parameters: string, name = 'argon2id', rest = `${SALT}$${DIGEST}`) =>
  `$${name}$v=19$${parameters}$${rest}`

describe('a hash may be imported', () => {
  test.each([
    ['of bcrypt as OpenBSD writes it', `$2b$12$${BCRYPT}`],
    ['as PHP writes it', `$2y$10$${BCRYPT}`],
    ['as it was written before', `$2a$04$${BCRYPT}`],
    ['of the greatest cost', `$2b$15$${BCRYPT}`],
    ['of argon2id', argon2('m=65536,t=3,p=4')],
    ['of argon2i', argon2('m=4096,t=3,p=1', 'argon2i')],
    ['of the greatest memory and passes', argon2('m=262144,t=16,p=16')],
  ])('%s', (_, hash) => expect(importedHashFault(hash)).toBeUndefined())
})

describe('a hash is refused', () => {
  test.each([
    ['that is none', ''],
    ['that is a password', 'correct horse battery'],
    ['of bcrypt with the error of old', `$2x$12$${BCRYPT}`],
    ['of bcrypt without a letter', `$2$12$${BCRYPT}`],
    ['of bcrypt that is cut off', `$2b$12$${BCRYPT.slice(1)}`],
    ['of bcrypt with more behind it', `$2b$12$${BCRYPT}x`],
    ['of bcrypt with a line end', `$2b$12$${BCRYPT}\n`],
    ['of bcrypt that takes hours', `$2b$31$${BCRYPT}`],
    ['of bcrypt that takes no time', `$2b$00$${BCRYPT}`],
    ['of argon2d', argon2('m=4096,t=3,p=1', 'argon2d')],
    ['of another version', argon2('m=4096,t=3,p=1').replace('v=19', 'v=16')],
    ['of no version', argon2('m=4096,t=3,p=1').replace('$v=19', '')],
    ['with its parameters in disorder', argon2('t=3,m=4096,p=1')],
    ['that takes all memory', argon2('m=4194304,t=1,p=1')],
    ['that takes more memory than can be written', argon2('m=99999999999,t=1,p=1')],
    ['that takes all day', argon2('m=4096,t=4294967295,p=1')],
    ['of too many lanes', argon2('m=4096,t=3,p=17')],
    ['of too little memory for its lanes', argon2('m=8,t=3,p=2')],
    ['without passes', argon2('m=4096,t=0,p=1')],
    ['with a short salt', argon2('m=4096,t=3,p=1', 'argon2id', `c29tZQ$${DIGEST}`)],
    ['with a short digest', argon2('m=4096,t=3,p=1', 'argon2id', `${SALT}$aWho`)],
    [
      'with base64 that nothing decodes to',
      argon2('m=4096,t=3,p=1', 'argon2id', `c29tZXNhbHR$${DIGEST}`),
    ],
    ['with padding', argon2('m=4096,t=3,p=1', 'argon2id', `${SALT}=$${DIGEST}`)],
    ['with a password in it', argon2('m=4096,t=3,p=1,keyid=x')],
    ['of scrypt', '$scrypt$ln=16,r=8,p=1$c29tZXNhbHQ$aaaa'],
    ['of PBKDF2', 'pbkdf2_sha256$600000$salt$aaaa'],
    ['of SHA-512', '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJu'],
    ['of MD5', '5f4dcc3b5aa765d61d8327deb882cf99'],
    ['in front of another', `${argon2('m=4096,t=3,p=1')}$${DIGEST}`],
    ['that is endless', `$2b$12$${'x'.repeat(100_000)}`],
  ])('%s', (_, hash) => expect(importedHashFault(hash)).toBeString())
})

test('a new hash is a current one, and could be imported elsewhere', async () => {
  const hash = await createPasswords({ queueMax: 1 }).hash('correct horse battery')
  expect(isCurrent(hash)).toBe(true)
  expect(importedHashFault(hash)).toBeUndefined()
  expect(isCurrent(argon2('m=19456,t=2,p=2'))).toBe(false)
  expect(isCurrent(argon2('m=19456,t=2,p=1', 'argon2i'))).toBe(false)
})

describe('a typed password is tried', () => {
  const [current, bcrypt] = [argon2('m=19456,t=2,p=1'), `$2b$12$${BCRYPT}`]

  test('in the form that is hashed, and as it was typed where that is another, whatever the hash', () => {
    for (const hash of [current, argon2('m=8,t=1,p=1')]) {
      expect(candidates('ﬁne ½', hash)).toEqual(['fine 1⁄2', 'ﬁne ½'])
      expect(candidates('fine', hash)).toEqual(['fine'])
    }
  })

  test('by its first 72 bytes for bcrypt, as everywhere else', async () => {
    const long = 'x'.repeat(70) + 'é'.repeat(10)
    const [given] = candidates(long, bcrypt)
    expect(given).toHaveLength(72)
    const elsewhere = await Bun.password.hash(Buffer.from(long).subarray(0, 72), {
      algorithm: 'bcrypt',
      cost: 4,
    })
    expect(await Bun.password.verify(long, elsewhere)).toBe(false)
    expect(await createPasswords({ queueMax: 1 }).verify(long, elsewhere)).toBe(true)
  })
})

test.each([
  [
    'bcrypt, by OpenBSD’s own test',
    '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW',
    'U*U',
  ],
  [
    'argon2id, by argon2-cffi, in four lanes',
    '$argon2id$v=19$m=65536,t=3,p=4$MIIRqgvgQbgj220jfp0MPA$YfwJSVjtjSU0zzV/P3S9nnQ/USre2wvJMjfCIjrTQbg',
    'correct horse battery staple',
  ],
])('a hash that another program made is verified: %s', async (_, hash, password) => {
  expect(importedHashFault(hash)).toBeUndefined()
  const passwords = createPasswords({ queueMax: 1 })
  expect(await passwords.verify(password, hash)).toBe(true)
  expect(await passwords.verify(`${password}!`, hash)).toBe(false)
})
