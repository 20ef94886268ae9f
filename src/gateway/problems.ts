import { defineProblems, type Problem } from './problem.ts'

/** What any route may answer. */
export const problems = defineProblems('gateway', {
  malformedBody: { status: 400, title: 'Malformed body' },
  unauthenticated: { status: 401, title: 'Authentication required' },
  invalidToken: { status: 401, title: 'Invalid token' },
  tokenExpired: { status: 401, title: 'Token expired' },
  forbidden: { status: 403, title: 'Forbidden' },
  notFound: { status: 404, title: 'Not found' },
  methodNotAllowed: { status: 405, title: 'Method not allowed' },
  bodyTooLarge: { status: 413, title: 'Body too large' },
  unsupportedMediaType: { status: 415, title: 'Unsupported media type' },
  invalidRequest: { status: 422, title: 'Invalid request' },
  tooManyRequests: { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'Internal error' },
  unavailable: { status: 503, title: 'Temporarily unavailable' },
  timeout: { status: 504, title: 'Timeout' },
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

const pointerTo = (path: readonly PropertyKey[]) => `#${path.map(stepOf).join('')}`

const stepOf = (key: PropertyKey) =>
  `/${encodeURIComponent(String(key).replaceAll('~', '~0').replaceAll('/', '~1'))}`
