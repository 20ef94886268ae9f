import { SIGN_ON_TTL_SECONDS } from './sign-ons.ts'

const NAME = 'quintet_sso'

/** Keeps in a browser what binds a sign-on to it, out of the reach of scripts. */
export interface BrowserSecret {
  read(request: Request): string | undefined
  /** As the header `Set-Cookie`. */
  kept(secret: string): string
  forgotten(): string
}

/**
 * `__Host-` keeps other hosts of the domain from setting it (RFC 6265bis §4.1.3.2). `Lax`, since the
 * browser comes back from another site.
 */
export function createBrowserSecret(publicUrl: string): BrowserSecret {
  const isSecure = publicUrl.startsWith('https:')
  const name = isSecure ? `__Host-${NAME}` : NAME
  const cookie = (value: string, seconds: number) =>
    `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`
  return {
    read: ({ headers }) => new Bun.CookieMap(headers.get('cookie') ?? '').get(name) ?? undefined,
    kept: (secret) => cookie(secret, SIGN_ON_TTL_SECONDS),
    forgotten: () => cookie('', 0),
  }
}
