import { domainToASCII } from 'node:url'

const USERNAME = /^[^\s@\p{C}](?:[^@\p{C}]{0,62}[^\s@\p{C}])?$/u
/** Letters that leave no trace: a name with one looks like the name without. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u
const INVISIBLES = new RegExp(INVISIBLE, 'gu')

/** How names of programs begin where people are named too. */
export const PROGRAM_PREFIX = 'service-account:'

/** The dot-atoms of RFC 5322 in the letters of any script (RFC 6531), at a host with a dot. */
const ATOM = "[\\p{L}\\p{M}\\p{N}!#$%&'*+/=?^_`{|}~-]+"
const LABEL = '[\\p{L}\\p{N}](?:[\\p{L}\\p{M}\\p{N}-]*[\\p{L}\\p{M}\\p{N}])?'
const EMAIL = new RegExp(`^${ATOM}(?:\\.${ATOM})*@${LABEL}(?:\\.${LABEL})+$`, 'u')
const EMAIL_CHARACTERS_MAX = 254

/**
 * The form under which a user name or an e-mail address is unique, and is found: `Ada` and `ADA` are
 * one, `Straße` and `STRASSE`, `ﬁona` and `fiona`, both Greek sigmas, and `i` with and without its dot.
 *
 * By NFKC, without what nobody sees, then to lower, upper and lower case: one step alone leaves `ß`
 * beside `SS`. Where Unicode's own case folding keeps two names apart (`ı` and `i`) this does not,
 * since people would take one for the other. So a name may be found by another spelling than it is
 * kept in: what is sent to an account goes to the address that is kept, never to the one that was typed.
 *
 * Folding twice changes nothing, and the fold of a beginning is the beginning of the fold unless it
 * ends within a letter.
 */
export const foldName = (name: string) =>
  name
    .normalize('NFKC')
    .replace(INVISIBLES, '')
    .trim()
    .toLowerCase()
    .toUpperCase()
    .toLowerCase()
    // JavaScript writes the last one of a word otherwise, where a search may go on.
    .replaceAll('ς', 'σ')
    .normalize('NFKC')

/**
 * What is wrong with a new user name, or nothing. It is judged in the form in which it is compared
 * too: the wide `＠` becomes an `@`, and then a name would be somebody's e-mail address.
 */
export function usernameFault(name: string): string | undefined {
  const isFit = [name, foldName(name)].every((form) => USERNAME.test(form))
  if (!isFit || INVISIBLE.test(name)) return 'expected 1 to 64 visible characters, no @'
  return foldName(name).startsWith(PROGRAM_PREFIX)
    ? `expected another beginning than ${PROGRAM_PREFIX}`
    : undefined
}

/** What is wrong with a new e-mail address, or nothing. */
export function emailFault(email: string): string | undefined {
  const isFit = [email, foldName(email)].every(
    (form) => form.length <= EMAIL_CHARACTERS_MAX && EMAIL.test(form),
  )
  return isFit && !INVISIBLE.test(email) ? undefined : 'expected an e-mail address'
}

/** A domain as the name system has it: two that only look alike, or fold alike, are two. */
export const asciiDomain = (domain: string) => domainToASCII(domain.normalize('NFC')).toLowerCase()

/**
 * Whether two addresses are one mailbox's, whose owner may be let in. The fold makes names unique that
 * look alike; here it would let the owner of `straße.example` in for that of `strasse.example`. Only the
 * case of ASCII letters is passed over, as mail servers do.
 */
export const isSameMailbox = (one: string, other: string) => mailboxOf(one) === mailboxOf(other)

function mailboxOf(address: string): string {
  const at = address.lastIndexOf('@')
  const local = address.slice(0, at).replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
  return `${local}@${asciiDomain(address.slice(at + 1))}`
}
