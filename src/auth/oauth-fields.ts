import { z } from 'zod'

import { defineProblems, type Problem } from '../gateway/problem.ts'
import type { Answer } from '../gateway/route.ts'

const SECRET_CHARACTERS_MAX = 256
const NOT_IN_DESCRIPTION = /[^\x20\x21\x23-\x5b\x5d-\x7e]/g

/** RFC 6749, section 5.2; RFC 7009, section 2.2.1; RFC 6750, section 3.1. Each is the code of that name. */
export const oauthProblems = defineProblems('oauth', {
  invalidRequest: {
    status: 400,
    title: 'Invalid request',
    advice: 'Mend what `error_description` names.',
  },
  invalidClient: {
    status: 401,
    title: 'Invalid client',
    advice: 'Send the id of a service account and one of its API keys.',
  },
  invalidScope: { status: 400, title: 'Invalid scope', advice: 'Ask for scopes that the key has.' },
  unauthorizedClient: {
    status: 400,
    title: 'Unauthorized client',
    advice: 'Revoke the token as the client that got it.',
  },
  unsupportedGrantType: {
    status: 400,
    title: 'Unsupported grant type',
    advice: 'Use client_credentials.',
  },
  unsupportedTokenType: {
    status: 400,
    title: 'Unsupported token type',
    advice: 'Delete API keys at /api/v1/api-keys, or have it done.',
  },
  insufficientScope: {
    status: 403,
    title: 'Insufficient scope',
    advice: 'Ask an administrator to give the service account the scope.',
  },
})

/** RFC 6749, section 3.2: a parameter without a value counts as left out. Unknown ones are ignored. */
export const parameter = (charactersMax: number) =>
  z.preprocess(
    (value) => (value === '' ? undefined : value),
    z.string().max(charactersMax).optional(),
  )

/** Of client_secret_post. */
export const clientParameters = {
  client_id: parameter(SECRET_CHARACTERS_MAX),
  client_secret: parameter(SECRET_CHARACTERS_MAX),
}

export interface SentSecret {
  id: string
  secret: string
}

/**
 * By which secret a client says who it is (RFC 6749, section 2.3.1).
 *
 * @throws {Problem} `invalidClient` where it does not, `invalidRequest` where it does so twice.
 */
export function sentSecretOf(
  body: { client_id?: string | undefined; client_secret?: string | undefined },
  request: Request,
): SentSecret {
  const { client_id, client_secret } = body
  const authorization = request.headers.get('authorization')
  if (authorization === null) {
    if (client_id === undefined || client_secret === undefined) throw invalidClient()
    return { id: client_id, secret: client_secret }
  }
  if (client_secret !== undefined) {
    throw oauthProblems.invalidRequest({
      detail: 'The client authenticates twice: by the header Authorization and by client_secret.',
    })
  }
  const sent = readBasic(authorization)
  if (sent === undefined) throw invalidClient()
  if (client_id !== undefined && client_id !== sent.id) {
    throw oauthProblems.invalidRequest({
      detail: 'The header Authorization and client_id name two clients.',
    })
  }
  return sent
}

/** RFC 6749, appendix A.1 and A.2. */
const VISIBLE = /^[\x20-\x7e]*$/

/** Both parts are encoded as in a form, which is where this differs from Basic elsewhere. */
function readBasic(authorization: string): SentSecret | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(authorization)?.[1]
  if (encoded === undefined) return undefined
  const pair = Buffer.from(encoded, 'base64').toString()
  const colon = pair.indexOf(':')
  if (colon < 0) return undefined
  try {
    const [id, secret] = [pair.slice(0, colon), pair.slice(colon + 1)].map((part) =>
      decodeURIComponent(part.replaceAll('+', ' ')),
    )
    return [id!, secret!].every((part) => VISIBLE.test(part))
      ? { id: id!, secret: secret! }
      : undefined
  } catch {
    return undefined
  }
}

/** The same for an unknown client, a wrong secret, and one that may not be used. */
export const invalidClient = () =>
  oauthProblems.invalidClient({
    detail:
      'Send the id of a service account and one of its API keys, by Basic or as client_id and client_secret.',
    headers: { 'www-authenticate': 'Basic realm="quintet", charset="UTF-8"' },
  })

const oauthError = z.object({ error: z.string(), error_description: z.string().optional() })
const example = (error: string, error_description: string) => ({ error, error_description })

/** How OAuth's endpoints refuse, whatever it is that went wrong. */
export const oauthRefusals = {
  400: {
    description: 'What is wrong with the request',
    schema: oauthError,
    example: example('invalid_request', '#/grant_type: is missing'),
  },
  401: {
    description: 'The client is none, or its secret is wrong',
    schema: oauthError,
    example: example('invalid_client', 'Send the id of a service account and one of its API keys.'),
  },
  413: {
    description: 'The body is too large',
    schema: oauthError,
    example: example('invalid_request', 'The body may have at most 16384 bytes.'),
  },
  429: {
    description: 'Too many requests',
    schema: oauthError,
    example: example('temporarily_unavailable', 'Try again in 12 s.'),
  },
  500: {
    description: 'An error of the server',
    schema: oauthError,
    example: example('server_error', 'Internal error'),
  },
  503: {
    description: 'Temporarily unavailable',
    schema: oauthError,
    example: example('temporarily_unavailable', 'The database does not answer. Try again later.'),
  },
  504: {
    description: 'It took too long',
    schema: oauthError,
    example: example('temporarily_unavailable', 'Timeout'),
  },
}

/** A refusal as RFC 6749, section 5.2, has it. */
export function oauthRefusal({ kind, options }: Problem): Answer {
  return {
    status: statusOf(kind.status),
    body: {
      error: codeOf(kind),
      error_description: (options.detail ?? kind.title).replaceAll(NOT_IN_DESCRIPTION, "'"),
    },
  }
}

/** What the gateway refuses of a body is a request that is invalid, and no more. */
const statusOf = (status: number) => (status === 415 || status === 422 ? 400 : status)

function codeOf({ type, status }: Problem['kind']): string {
  const own = /#oauth\/(.+)$/.exec(type)?.[1]
  if (own !== undefined) return own.replaceAll('-', '_')
  if (status === 429 || status === 503 || status === 504) return 'temporarily_unavailable'
  return status >= 500 ? 'server_error' : 'invalid_request'
}
