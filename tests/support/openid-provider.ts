import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export const CLIENT = { client_id: 'quintet', client_secret: 'secret-of-the-client' }

type Claims = Record<string, unknown>
type Way = (claims: Claims) => Claims
/** What an endpoint does in place of answering. */
type Trouble = 'never' | 'huge' | 'elsewhere' | 'broken' | 'html'

/** In what way it lies, or fails. Where nothing is said it is honest. */
export interface Lies {
  metadata?: Way
  /** Of the address that the browser is sent back to. */
  answer?: (query: URLSearchParams) => void
  /** Of the ID token. */
  claims?: Way
  signedBy?: 'none' | 'public key' | 'stranger' | 'nobody'
  withoutIdToken?: true
  userinfo?: Way
  trouble?: Partial<Record<'metadata' | 'token' | 'keys' | 'userinfo', Trouble>>
}

/** A small OpenID provider that can lie. Whoever comes is signed in there already. */
export interface OpenIdProvider {
  url: string
  /** Claims of who is signed in. */
  person: Claims
  lies: Lies
  /** Paths that were asked for. */
  asked: string[]
  /** The query of the last authorization request. */
  authorization: URLSearchParams
  /** Signs by another key from now on. */
  rotateKey(): Promise<void>
  stop(): Promise<void>
}

interface Issued {
  challenge: string | null
  nonce: string | null
  redirectUri: string | null
}

const HUGE_BYTES = 10 * 1024 * 1024

export async function startOpenIdProvider(): Promise<OpenIdProvider> {
  const newKey = async (kid: string) => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }
    return { privateKey, jwk, kid }
  }
  let current = await newKey('one')
  const stranger = await newKey('one')
  const codes = new Map<string, Issued>()

  async function idToken(nonce: string | null): Promise<string> {
    const { signedBy, claims = (all) => all } = provider.lies
    const { privateKey, jwk, kid } = current
    const now = Math.floor(Date.now() / 1000)
    const payload = claims({
      iss: provider.url,
      aud: CLIENT.client_id,
      iat: now,
      exp: now + 60,
      nonce,
      ...provider.person,
    })
    if (signedBy === 'none' || signedBy === 'nobody') {
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const alg = signedBy === 'none' ? 'none' : 'ES256'
      return `${part({ alg, kid })}.${part(payload)}.`
    }
    const token = new SignJWT(payload)
    if (signedBy === 'public key') {
      const secret = new TextEncoder().encode(JSON.stringify(jwk))
      return token.setProtectedHeader({ alg: 'HS256', kid }).sign(secret)
    }
    const key = signedBy === 'stranger' ? stranger.privateKey : privateKey
    return token.setProtectedHeader({ alg: 'ES256', kid }).sign(key)
  }

  function authorize(query: URLSearchParams): Response {
    provider.authorization = query
    const code = crypto.randomUUID()
    codes.set(code, {
      challenge: query.get('code_challenge'),
      nonce: query.get('nonce'),
      redirectUri: query.get('redirect_uri'),
    })
    const back = new URL(query.get('redirect_uri')!)
    back.searchParams.set('code', code)
    back.searchParams.set('state', query.get('state')!)
    back.searchParams.set('iss', provider.url)
    provider.lies.answer?.(back.searchParams)
    return Response.redirect(back.href, 302)
  }

  async function token(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text())
    if (!isClient(request.headers.get('authorization') ?? '')) {
      return Response.json({ error: 'invalid_client' }, { status: 401 })
    }
    const code = form.get('code') ?? ''
    const issued = codes.get(code)
    codes.delete(code)
    const verifier = form.get('code_verifier') ?? ''
    const challenge = new Bun.CryptoHasher('sha256').update(verifier).digest('base64url')
    const isGood =
      issued?.challenge === challenge && issued.redirectUri === form.get('redirect_uri')
    if (!isGood) return Response.json({ error: 'invalid_grant' }, { status: 400 })
    const signed = provider.lies.withoutIdToken ? {} : { id_token: await idToken(issued.nonce) }
    return Response.json({ access_token: 'access-token-there', token_type: 'Bearer', ...signed })
  }

  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url)
      provider.asked.push(pathname)
      const { lies } = provider
      switch (pathname) {
        case '/.well-known/openid-configuration':
          return troubled(lies.trouble?.metadata, () => {
            const { metadata = (all) => all } = lies
            return Response.json(metadata(metadataOf(provider.url)))
          })
        case '/authorize':
          return authorize(searchParams)
        case '/token':
          return troubled(lies.trouble?.token, () => token(request))
        case '/jwks':
          return troubled(lies.trouble?.keys, () => Response.json({ keys: [current.jwk] }))
        case '/userinfo':
          return troubled(lies.trouble?.userinfo, () => {
            const { userinfo = (all) => all } = lies
            return Response.json(userinfo({ ...provider.person }))
          })
        default:
          return new Response(null, { status: 404 })
      }
    },
  })
  const provider: OpenIdProvider = {
    url: `http://127.0.0.1:${server.port}`,
    person: {},
    lies: {},
    asked: [],
    authorization: new URLSearchParams(),
    async rotateKey() {
      current = await newKey(crypto.randomUUID())
    },
    stop: () => server.stop(true),
  }
  return provider
}

/** Each half is encoded as in a form (RFC 6749 §2.3.1). */
function isClient(authorization: string): boolean {
  const basic = Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString()
  const [id, secret] = basic.split(':').map(decodeURIComponent)
  return id === CLIENT.client_id && secret === CLIENT.client_secret
}

const metadataOf = (url: string): Claims => ({
  issuer: url,
  authorization_endpoint: `${url}/authorize`,
  token_endpoint: `${url}/token`,
  jwks_uri: `${url}/jwks`,
  userinfo_endpoint: `${url}/userinfo`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
  code_challenge_methods_supported: ['S256'],
  authorization_response_iss_parameter_supported: true,
})

function troubled(
  trouble: Trouble | undefined,
  answer: () => Response | Promise<Response>,
): Response | Promise<Response> {
  switch (trouble) {
    case 'never':
      return new Promise(() => {})
    case 'huge':
      return Response.json({ padding: 'x'.repeat(HUGE_BYTES) })
    case 'elsewhere':
      return Response.redirect('http://127.0.0.1:1/metadata', 302)
    case 'broken':
      return new Response('oops', { status: 500 })
    case 'html':
      return new Response('<p>Sign in to the network</p>', {
        headers: { 'content-type': 'text/html' },
      })
    case undefined:
      return answer()
  }
}
