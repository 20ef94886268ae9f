/** What a page may load, beside nothing: `'self'`, or a script or style that stands in the page itself. */
export interface PagePolicy {
  scripts: string
  styles: string
  /** Where its forms may lead, redirects included. Nowhere unless said. */
  forms?: string
}

/** An HTML answer with the Content-Security-Policy that lets it work, and no more. */
export function page(html: string, policy: PagePolicy, status = 200): Response {
  const { scripts, styles, forms = "'none'" } = policy
  const directives = [
    "default-src 'none'",
    `script-src ${scripts}`,
    `style-src ${styles}`,
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    `form-action ${forms}`,
    "frame-ancestors 'none'",
  ]
  return new Response(html, {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': directives.join('; '),
    },
  })
}

/** The source expression that admits one inline script or style. */
export const inlineSource = (text: string) =>
  `'sha256-${new Bun.CryptoHasher('sha256').update(text).digest('base64')}'`
