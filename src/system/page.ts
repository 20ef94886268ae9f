/** What a page may load, beside nothing: `'self'`, or a script or style that stands in the page itself. */
export interface PagePolicy {
  scripts: string
  styles: string
}

/** An HTML answer with the Content-Security-Policy that lets it work, and no more. */
export function page(html: string, { scripts, styles }: PagePolicy): Response {
  const policy = [
    "default-src 'none'",
    `script-src ${scripts}`,
    `style-src ${styles}`,
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]
  return new Response(html, {
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy.join('; '),
    },
  })
}

/** The source expression that admits one inline script or style. */
export const inlineSource = (text: string) =>
  `'sha256-${new Bun.CryptoHasher('sha256').update(text).digest('base64')}'`
