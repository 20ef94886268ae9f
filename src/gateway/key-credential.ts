import { Problem } from './problem.ts'
import { problems } from './problems.ts'

/** RFC 7617. Only who sent a password is asked for one: browsers would ask their users. */
const BASIC = 'Basic realm="quintet", charset="UTF-8"'
const BASIC_FORM = /^Basic +([A-Za-z0-9+/_-]+={0,2}) *$/i
/** The one kind of token that may be sent otherwise than as Bearer. */
const KEY_PREFIX = 'qk_'
const NO_KEY = `X-API-Key takes an API key, which begins with ${KEY_PREFIX}, and that is none.`
const NO_KEY_BY_BASIC =
  `Basic takes an API key as its password, which begins with ${KEY_PREFIX}, and that is none. ` +
  'A user name and password get a token at POST /api/v1/auth/login.'

/**
 * The API key of a request that does not just say Bearer: it is in a header of its own, or the password
 * of Basic, whatever the user name, for clients that know nothing else.
 *
 * @param bearer the token that `authorization` names, where it does.
 * @throws {Problem} 401 where there is none, or where two credentials are not one and the same.
 */
export function keyCredential(
  authorization: string | null,
  bearer: string | undefined,
  apiKey: string | null,
): { token: string; isBasic: boolean } {
  const password = bearer === undefined ? passwordOf(authorization) : undefined
  const isBasic = authorization !== null && /^Basic\b/i.test(authorization)
  if (authorization !== null && bearer === undefined && password === undefined) {
    throw refusal('The header Authorization is neither Bearer with a token nor Basic.', isBasic)
  }
  const token = bearer ?? password ?? apiKey!
  // RFC 6750, section 2: one way to send a token. Which of two counts is not ours to guess.
  if (apiKey !== null && apiKey !== token) {
    throw refusal('Authorization and X-API-Key say two things. Send one of them.', isBasic)
  }
  if (bearer === undefined && !token.startsWith(KEY_PREFIX)) {
    throw refusal(isBasic ? NO_KEY_BY_BASIC : NO_KEY, isBasic)
  }
  return { token, isBasic }
}

/** A refusal of a token that came as a password asks for a password. */
export async function askingByBasic<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Problem) || error.kind.status !== 401) throw error
    const headers = { ...error.options.headers, 'www-authenticate': BASIC }
    throw new Problem(error.kind, { ...error.options, headers })
  }
}

const refusal = (detail: string, isBasic: boolean) =>
  problems.unauthenticated({
    detail,
    headers: { 'www-authenticate': isBasic ? BASIC : 'Bearer' },
  })

function passwordOf(authorization: string | null): string | undefined {
  const encoded = authorization === null ? null : BASIC_FORM.exec(authorization)
  if (encoded === null) return undefined
  const pair = Buffer.from(encoded[1]!, 'base64').toString()
  const colon = pair.indexOf(':')
  return colon < 0 ? undefined : pair.slice(colon + 1)
}
