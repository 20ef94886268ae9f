import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test'
import { availableParallelism } from 'node:os'

import { refusal } from '../../../tests/support/refusal.ts'
import { createPasswords } from './passwords.ts'

const PASSWORD = 'correct horse battery'
const cheap = { algorithm: 'argon2id', memoryCost: 8, timeCost: 1 } as const
const cheapHash = await Bun.password.hash(PASSWORD, cheap)

describe('a password', () => {
  const passwords = createPasswords({ queueMax: 64 })

  test('is hashed by argon2id with OWASP’s least parameters, and is verified', async () => {
    const hash = await passwords.hash(PASSWORD)
    expect(hash).toStartWith('$argon2id$v=19$m=19456,t=2,p=1$')
    expect(await passwords.verify(PASSWORD, hash)).toBe(true)
    expect(await passwords.verify(`${PASSWORD} `, hash)).toBe(false)
  })

  test('is the same in every Unicode form of its letters', async () => {
    const [composed, decomposed] = ['pässwörd'.normalize('NFC'), 'pässwörd'.normalize('NFD')]
    expect(await passwords.verify(decomposed, await passwords.hash(composed))).toBe(true)
    expect(await passwords.verify(composed, await passwords.hash(decomposed))).toBe(true)
  })

  test('of an imported bcrypt hash is verified', async () => {
    const hash = await Bun.password.hash(PASSWORD, { algorithm: 'bcrypt', cost: 4 })
    expect(await passwords.verify(PASSWORD, hash)).toBe(true)
    expect(await passwords.verify('wrong', hash)).toBe(false)
  })
})

describe('what a login costs does not tell who exists:', () => {
  let costs: string[]
  let spy: ReturnType<typeof spyOn<typeof Bun.password, 'verify'>>
  beforeEach(() => {
    costs = []
    spy = spyOn(Bun.password, 'verify').mockImplementation(async (_, given) => {
      const hash = given as string
      if (hash === '') return false
      if (!hash.startsWith('$argon2id$')) throw new Error('UnsupportedAlgorithm')
      costs.push(hash)
      return hash === cheapHash
    })
  })
  afterEach(() => spy.mockRestore())

  test.each([
    ['a user that does not exist', undefined],
    ['a hash of an unknown form', '$scrypt$ln=16$x'],
    ['a hash that is none', ''],
  ])('%s costs one argon2id of full strength', async (_, known) => {
    expect(await createPasswords({ queueMax: 64 }).verify(PASSWORD, known)).toBe(false)
    expect(costs).toEqual([expect.stringMatching(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)])
  })

  test.each([
    ['a user that does not exist', undefined],
    ['a hash that is none', ''],
    ['a hash of an unknown form', '$scrypt$ln=16$x'],
    ['a hash of ours', '$argon2id$v=19$m=19456,t=2,p=1$x'],
    ['an imported hash', '$argon2id$v=19$m=65536,t=3,p=4$x'],
  ])('%s is compared as often for a password that is typed in another form', async (_, known) => {
    const passwords = createPasswords({ queueMax: 64 })
    expect(await passwords.verify('ﬁne horse battery', known)).toBe(false)
    expect(costs).toHaveLength(2)
    expect(await passwords.verify('fine horse battery', known)).toBe(false)
    expect(costs).toHaveLength(3)
  })

  test('a user that exists costs its own hash alone', async () => {
    expect(await createPasswords({ queueMax: 64 }).verify(PASSWORD, cheapHash)).toBe(true)
    expect(costs).toEqual([cheapHash])
  })
})

test('Bun refuses a hash of an unknown form, so that it is seen to be one', async () => {
  for (const foreign of ['$scrypt$ln=16$x', 'plain text', '$argon2id$nonsense']) {
    expect(await refusal(Bun.password.verify(PASSWORD, foreign))).toBeInstanceOf(Error)
  }
})

describe('the queue', () => {
  const threads = availableParallelism()

  /** Passwords whose hashing goes on when the test says so. */
  function holdHashing() {
    const open: (() => void)[] = []
    const spy = spyOn(Bun.password, 'hash').mockImplementation(
      () => new Promise((resolve) => open.push(() => resolve('hash'))),
    )
    return { open, release: () => spy.mockRestore() }
  }

  test('lets as many through as there are cores, and its limit wait; then it answers 503', async () => {
    const { open, release } = holdHashing()
    try {
      const passwords = createPasswords({ queueMax: 3 })
      const accepted = Array.from({ length: threads + 3 }, () => passwords.hash(PASSWORD))
      expect(open).toHaveLength(threads)
      for (let more = 0; more < 2; more += 1) {
        expect(await refusal(passwords.hash(PASSWORD))).toMatchObject({
          kind: { status: 503 },
          options: { headers: { 'retry-after': '2' } },
        })
      }
      // One that ends makes room for one.
      open.shift()!()
      await accepted[0]
      await Bun.sleep(0)
      expect(open).toHaveLength(threads)
      accepted.push(passwords.hash(PASSWORD))
      expect(await refusal(passwords.hash(PASSWORD))).toMatchObject({ kind: { status: 503 } })
      while (open.length > 0) {
        open.shift()!()
        await Bun.sleep(0)
      }
      expect(await Promise.all(accepted)).toEqual(accepted.map(() => 'hash'))
    } finally {
      release()
    }
  })

  test('goes on after a check that fails', async () => {
    const spy = spyOn(Bun.password, 'hash').mockRejectedValue(new Error('out of memory'))
    const passwords = createPasswords({ queueMax: 1 })
    try {
      for (let time = 0; time < 2 * threads + 2; time += 1) {
        expect(await refusal(passwords.hash(PASSWORD))).toMatchObject({ message: 'out of memory' })
      }
    } finally {
      spy.mockRestore()
    }
    expect(await passwords.hash(PASSWORD)).toStartWith('$argon2id$')
  })

  test('refuses logins no longer than it is full', async () => {
    const { open, release } = holdHashing()
    const passwords = createPasswords({ queueMax: 1 })
    const filling = Array.from({ length: threads + 1 }, () => passwords.hash(PASSWORD))
    release()
    expect(await refusal(passwords.verify(PASSWORD, cheapHash))).toMatchObject({
      kind: { status: 503 },
    })
    for (const finish of open) finish()
    await Promise.all(filling)
    expect(await passwords.verify(PASSWORD, cheapHash)).toBe(true)
  })
})
