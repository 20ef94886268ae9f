/** Resolves what stands in an address without leaving this server; never looked up. */
const HERE = 'http://here.invalid'
/** What browsers drop from an address, or take for a slash. */
const DECEPTIVE = /[\s\\\p{C}]/u
const CHARACTERS_MAX = 2048

export const SIGN_IN = '/sign-in'
/** The same by a passkey alone. */
export const PASSKEY = '/sign-in/passkey'
/** Its second step. */
export const SECOND_FACTOR = '/sign-in/second-factor'

/** The page to sign in, or its second step, and to be sent on from, to an admitted address. */
export const signInPath = (returnTo?: string, step = SIGN_IN) =>
  returnTo === undefined ? step : `${step}?return_to=${encodeURIComponent(returnTo)}`

/** Where somebody may be sent after signing in, so that no link to this server leads to another's (an open redirect). */
export interface ReturnAddresses {
  /** @returns the address as it may be sent, or `undefined` where it leads elsewhere. */
  admit(address: string | undefined): string | undefined
  /** The origin of an admitted address, where it is not this server's. */
  originOf(address: string): string | undefined
}

/** @param origins of the other applications to which sign-in may lead back. */
export function createReturnAddresses(origins: readonly string[]): ReturnAddresses {
  const admitted = new Set(origins)

  return {
    admit(address) {
      if (address === undefined || address.length > CHARACTERS_MAX) return undefined
      if (DECEPTIVE.test(address)) return undefined
      if (address.startsWith('/')) {
        if (!URL.canParse(address, HERE)) return undefined
        const { origin, pathname, search, hash } = new URL(address, HERE)
        // `//host` is another server, and `/.//host` becomes it.
        const isHere = origin === HERE && !pathname.startsWith('//')
        return isHere ? pathname + search + hash : undefined
      }
      if (!URL.canParse(address)) return undefined
      const { origin, protocol, username, password, href } = new URL(address)
      const isPlain = /^https?:$/.test(protocol) && username === '' && password === ''
      return isPlain && admitted.has(origin) ? href : undefined
    },
    originOf: (address) => (address.startsWith('/') ? undefined : new URL(address).origin),
  }
}
