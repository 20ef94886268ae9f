import { foldName, usernameFault } from '../accounts/names.ts'

/** With room for a number behind it; user names have at most 64. */
const BEGINNING = /^.{0,48}/u
const NUMBERED_MAX = 9
const UNFIT = /[\s@\p{C}\p{Default_Ignorable_Code_Point}]/gu

/**
 * A user name like the one that somebody has elsewhere, or like their e-mail address, that nobody has
 * here.
 *
 * @param takenOf which of some folded names are taken.
 */
export async function freeUsername(
  wish: string,
  takenOf: (folded: string[]) => Promise<string[]>,
): Promise<string> {
  const cleaned = wish.normalize('NFKC').split('@')[0]!.replaceAll(UNFIT, '')
  const short = BEGINNING.exec(cleaned)![0]
  const stem = usernameFault(short) === undefined ? short : 'user'
  const numbers = Array.from({ length: NUMBERED_MAX - 1 }, (_, index) => `${stem}-${index + 2}`)
  const candidates = [stem, ...numbers]
  const taken = new Set(await takenOf(candidates.map(foldName)))
  const free = candidates.find((name) => !taken.has(foldName(name)))
  return free ?? `${stem}-${crypto.getRandomValues(Buffer.alloc(4)).toString('hex')}`
}
