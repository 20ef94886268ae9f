import { defineProblems, type Problem } from './problem.ts'

/** What any route may answer. */
export const problems = defineProblems('gateway', {
  malformedBody: {
    status: 400,
    title: 'Malformed body',
    advice: 'Send the body as its Content-Type says, whole and in UTF-8.',
  },
  unauthenticated: {
    status: 401,
    title: 'Authentication required',
    advice: 'Send the header Authorization: Bearer TOKEN, with a token or an API key.',
  },
  invalidToken: {
    status: 401,
    title: 'Invalid token',
    advice:
      'Log in again, or make another key: this one was changed, revoked, or is another server’s.',
  },
  tokenExpired: {
    status: 401,
    title: 'Token expired',
    advice: 'Log in again, refresh the token, or make another key.',
  },
  forbidden: {
    status: 403,
    title: 'Forbidden',
    advice: 'Ask an administrator for the right to it.',
  },
  notFound: {
    status: 404,
    title: 'Not found',
    advice: 'Check the address. What you may not see is answered as what is not there.',
  },
  methodNotAllowed: {
    status: 405,
    title: 'Method not allowed',
    advice: 'Use one of the methods that the header Allow lists.',
  },
  bodyTooLarge: { status: 413, title: 'Body too large', advice: 'Send less in one request.' },
  unsupportedMediaType: {
    status: 415,
    title: 'Unsupported media type',
    advice: 'Send what the API document says, and name it in Content-Type.',
  },
  rangeNotSatisfiable: {
    status: 416,
    title: 'Range not satisfiable',
    advice: 'Ask for bytes that the file has: Content-Range tells how many.',
  },
  invalidRequest: { status: 422, title: 'Invalid request', advice: 'Mend what `errors` names.' },
  tooManyRequests: {
    status: 429,
    title: 'Too many requests',
    advice: 'Wait for as long as Retry-After says.',
  },
  internal: {
    status: 500,
    title: 'Internal error',
    advice: 'A bug of the server. Its operator finds the cause in the log, by the request’s id.',
  },
  unavailable: {
    status: 503,
    title: 'Temporarily unavailable',
    advice: 'Try again after as long as Retry-After says.',
  },
  timeout: { status: 504, title: 'Timeout', advice: 'Try again, with less in one request.' },
})

/** One fault of a body: where it is and what is wrong there. */
export interface Fault {
  path: readonly PropertyKey[]
  detail: string
}

/** The same fault, seen from further up. */
export const within = ({ path, detail }: Fault, ...parents: PropertyKey[]): Fault => ({
  path: [...parents, ...path],
  detail,
})

const FAULTS_SHOWN_MAX = 20

/** 422 with `errors: [{pointer, detail}]`, each pointer by RFC 6901 in its URI form. */
export function invalid(faults: readonly Fault[]): Problem {
  const errors = faults
    .slice(0, FAULTS_SHOWN_MAX)
    .map(({ path, detail }) => ({ pointer: pointerTo(path), detail }))
  const [first] = errors
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : ''
  return problems.invalidRequest({
    ...(first === undefined ? {} : { detail: `${first.pointer}: ${first.detail}${more}` }),
    members: { errors },
  })
}

/** By RFC 6901, in its URI form. */
export const pointerTo = (path: readonly PropertyKey[]) => `#${path.map(stepOf).join('')}`

const stepOf = (key: PropertyKey) =>
  `/${encodeURIComponent(String(key).replaceAll('~', '~0').replaceAll('/', '~1'))}`
