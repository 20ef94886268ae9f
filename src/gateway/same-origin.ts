import { problems } from './problems.ts'

/** Lets pass what a page of this server asks for, and what no page does. */
export interface SameOrigin {
  /** @throws {Problem} 403 when a page of somewhere else may be behind the request. */
  require(headers: Headers): void
}

/**
 * The guard against forged requests (CSRF) for all that a browser sends its cookie along with, and for
 * the forms that set one. By what the browser itself says of where the request comes from, as OWASP
 * advises beside `SameSite`, which another host of the same domain passes: a page can't set these
 * headers. A token in each form would tell nothing more.
 *
 * `Sec-Fetch-Site` decides where it is sent: `none` is the user's own doing. Browsers send it over https
 * and to localhost only, so elsewhere `Origin` must be that of `PUBLIC_URL`. Where that is http, a server
 * that nobody has told its address must work too: there `Origin` may be what the request was sent to,
 * which no page of another origin can bring about. Under https it may not, since `Host` says nothing of
 * the scheme. Neither header: no browser of today, and so refused.
 */
export function createSameOrigin(publicUrl: string): SameOrigin {
  const own = new URL(publicUrl).origin
  const isPlain = own.startsWith('http:')

  function isSame(headers: Headers): boolean {
    const site = headers.get('sec-fetch-site')
    if (site !== null) return site === 'same-origin' || site === 'none'
    const origin = headers.get('origin')
    if (origin === null) return false
    return origin === own || (isPlain && origin === `http://${headers.get('host')}`)
  }

  return {
    require(headers) {
      if (isSame(headers)) return
      throw problems.forbidden({
        detail: `This was not sent by a page of this server. Its pages are at ${own} (PUBLIC_URL); programs send a token instead of a cookie or a password.`,
      })
    },
  }
}
