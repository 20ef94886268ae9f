import { CLIENT } from './openid-provider.ts'

/** GitHub's side of signing in, by its documented protocol: failures of the token endpoint come with 200. */
export interface Github {
  url: string
  user: Record<string, unknown>
  emails: unknown
  /** Of `/user/emails`. */
  emailsStatus: number
  /** What the token endpoint refuses with. */
  tokenError: string | undefined
  /** What it calls itself in the answer, in place of its name (RFC 9207). */
  issuer: string | undefined
  authorization: URLSearchParams
  stop(): Promise<void>
}

const TOKEN = 'gho_16C7e42F292c6912E7710c838347Ae178B4a'

/** @see https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps */
export function startGithub(): Github {
  const challenges = new Map<string, string | null>()

  function authorize(query: URLSearchParams): Response {
    github.authorization = query
    const code = crypto.randomUUID().replaceAll('-', '').slice(0, 20)
    challenges.set(code, query.get('code_challenge'))
    const back = new URL(query.get('redirect_uri')!)
    back.searchParams.set('code', code)
    back.searchParams.set('state', query.get('state')!)
    back.searchParams.set('iss', github.issuer ?? `${github.url}/login/oauth`)
    return Response.redirect(back.href, 302)
  }

  async function token(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text())
    const refuse = (error: string) =>
      request.headers.get('accept') === 'application/json'
        ? Response.json({ error, error_description: '<b>typed by a stranger</b>' })
        : new Response(new URLSearchParams({ error }).toString())
    if (github.tokenError !== undefined) return refuse(github.tokenError)
    if (form.get('client_id') !== CLIENT.client_id) return refuse('incorrect_client_credentials')
    if (form.get('client_secret') !== CLIENT.client_secret)
      return refuse('incorrect_client_credentials')
    const code = form.get('code') ?? ''
    const verifier = form.get('code_verifier') ?? ''
    const challenge = new Bun.CryptoHasher('sha256').update(verifier).digest('base64url')
    const isGood = challenges.get(code) === challenge
    challenges.delete(code)
    if (!isGood) return refuse('bad_verification_code')
    return Response.json({
      access_token: TOKEN,
      scope: 'read:user,user:email',
      token_type: 'bearer',
    })
  }

  function api(request: Request, answer: () => Response): Response {
    const { headers } = request
    const isKnown = headers.get('authorization') === `Bearer ${TOKEN}`
    if (!isKnown) return Response.json({ message: 'Bad credentials' }, { status: 401 })
    if (headers.get('user-agent') === null)
      return new Response('administrative rules', { status: 403 })
    return answer()
  }

  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const { pathname, searchParams } = new URL(request.url)
      switch (`${request.method} ${pathname}`) {
        case 'GET /login/oauth/authorize':
          return authorize(searchParams)
        case 'POST /login/oauth/access_token':
          return token(request)
        case 'GET /api/v3/user':
          return api(request, () => Response.json(github.user))
        case 'GET /api/v3/user/emails':
          return api(request, () => Response.json(github.emails, { status: github.emailsStatus }))
        default:
          return new Response(null, { status: 404 })
      }
    },
  })
  const github: Github = {
    url: `http://127.0.0.1:${server.port}`,
    user: {},
    emails: [],
    emailsStatus: 200,
    tokenError: undefined,
    issuer: undefined,
    authorization: new URLSearchParams(),
    stop: () => server.stop(true),
  }
  return github
}
