/** What a test needs of a browser: cookies by host, and the way along redirections. */
export interface Browser {
  /** Of each host, by name. */
  cookies: Map<string, Map<string, string>>
  /** One request. */
  get(url: string): Promise<Response>
  post(url: string, body: unknown, headers?: Record<string, string>): Promise<Response>
  /** Follows redirections until there is none, or until the next address is as said. */
  follow(url: string, until?: (url: URL) => boolean): Promise<{ url: URL; response: Response }>
}

type Send = (url: URL, init: RequestInit & { headers: Record<string, string> }) => Promise<Response>

const REDIRECTIONS_MAX = 20

/** @param ours answers for our own address, where that is no port. */
export function createBrowser(ours?: { origin: string; send: Send }): Browser {
  const cookies: Browser['cookies'] = new Map()
  const jarOf = ({ host }: URL) => {
    const jar = cookies.get(host) ?? new Map<string, string>()
    cookies.set(host, jar)
    return jar
  }

  async function ask(
    url: URL,
    init: { method?: string; body?: string; headers?: Record<string, string> } = {},
  ): Promise<Response> {
    const jar = jarOf(url)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { ...(cookie === '' ? {} : { cookie }), ...init.headers }
    const sent = { ...init, headers, redirect: 'manual' as const }
    const response = await (url.origin === ours?.origin ? ours.send(url, sent) : fetch(url, sent))
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (/max-age=0|expires=thu, 01 jan 1970/i.test(line)) jar.delete(name)
      else jar.set(name, value)
    }
    return response
  }

  return {
    cookies,
    get: (url) => ask(new URL(url)),
    post: (url, body, headers) =>
      ask(new URL(url), {
        method: 'POST',
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      }),
    async follow(start, until = () => false) {
      let url = new URL(start)
      for (let count = 0; count < REDIRECTIONS_MAX; count++) {
        const response = await ask(url)
        const location = response.headers.get('location')
        if (location === null) return { url, response }
        url = new URL(location, url)
        if (until(url)) return { url, response }
        await response.body?.cancel()
      }
      throw new Error(`no end of redirections, at ${url.href}`)
    },
  }
}
