const NAME = 'quintet_session'
/** What auth puts into it: 256 bits after a prefix that no other secret has. */
const VALUE = /^qs_[\w-]{43}$/

/** The cookie by which a browser is known once somebody has signed in with it. */
export interface SessionCookie {
  name: string
  /** Of the header `Cookie`; `undefined` where it is not there, or not fit to be one. */
  read(header: string | null): string | undefined
  /** The `Set-Cookie` that gives it to the browser, and the one that takes it back. */
  write(value: string, maxAgeSeconds: number): string
  clear(): string
}

/**
 * No script reads it, and no other site's form, image or script sends it (`SameSite=Lax`). Over https
 * its name carries a promise of the browser (RFC 6265bis, section 4.1.3): `__Host-`, that this very host
 * has set it; with a domain, whose hosts all get it, at least `__Secure-`.
 */
export function createSessionCookie(deps: {
  publicUrl: string
  domain: string | undefined
}): SessionCookie {
  const { publicUrl, domain } = deps
  const isSecure = publicUrl.startsWith('https:')
  const prefix = isSecure ? (domain === undefined ? '__Host-' : '__Secure-') : ''
  const name = prefix + NAME
  const attributes = [
    'Path=/',
    ...(domain === undefined ? [] : [`Domain=${domain}`]),
    ...(isSecure ? ['Secure'] : []),
    'HttpOnly',
    'SameSite=Lax',
  ].join('; ')

  return {
    name,
    read(header) {
      if (header === null) return undefined
      const values = header
        .split(';')
        .map((pair) => pair.trim())
        .filter((pair) => pair.startsWith(`${name}=`))
        .map((pair) => pair.slice(name.length + 1))
      // Of two, one was set by another host of the domain, and nothing tells which.
      const [value] = values
      return values.length === 1 && VALUE.test(value!) ? value : undefined
    },
    write: (value, maxAgeSeconds) => `${name}=${value}; Max-Age=${maxAgeSeconds}; ${attributes}`,
    clear: () => `${name}=; Max-Age=0; ${attributes}`,
  }
}
