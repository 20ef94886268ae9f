import { spyOn } from 'bun:test'

const SAMPLES = 64

/**
 * How many bits of what is made take both values, so that each is random, while `Math.random`, whose
 * next value can be told from those before, gives the same each time. One bit in 2⁶³ is taken for
 * constant by chance.
 *
 * @param make one more secret, as text of zeros and ones, always as long.
 */
export async function randomBitsOf(make: () => string | Promise<string>): Promise<number> {
  const spy = spyOn(Math, 'random').mockReturnValue(0.5)
  try {
    const made: string[] = []
    while (made.length < SAMPLES) made.push(await make())
    return Array.from(made[0]!, (_, at) => new Set(made.map((bits) => bits[at]))).filter(
      ({ size }) => size === 2,
    ).length
  } finally {
    spy.mockRestore()
  }
}

/** The bits of base64url. */
export const bitsOf = (text: string) =>
  Array.from(Buffer.from(text, 'base64url'), (byte) => byte.toString(2).padStart(8, '0')).join('')

/** The bits of a text in base32, by its alphabet of 32 characters. */
export const base32BitsOf = (text: string, alphabet: string) =>
  Array.from(text, (character) => alphabet.indexOf(character).toString(2).padStart(5, '0')).join('')
