/** One way in which a request can be refused: a type, a status and a fixed title. */
export interface ProblemKind {
  /** Relative to the server, and the address of its explanation. */
  type: string
  status: number
  title: string
  /** What to do about it, whatever the request. Told where a refusal has no detail of its own. */
  advice: string
}

export interface ProblemOptions {
  /** What is wrong with this very request, and what to do about it. Shown to the caller. */
  detail?: string
  /** Kept for the log, never shown. */
  cause?: unknown
  headers?: Record<string, string>
  /** Further members of the document, such as `errors` or `valid`. */
  members?: Record<string, unknown>
}

/** An expected refusal. Whatever else a handler throws is a bug, and is answered by a bare 500. */
export class Problem extends Error {
  override name = 'Problem'
  readonly kind: ProblemKind
  readonly options: ProblemOptions

  constructor(kind: ProblemKind, options: ProblemOptions = {}) {
    super(options.detail ?? kind.title, { cause: options.cause })
    this.kind = kind
    this.options = options
  }
}

export type ProblemConstructor = ((options?: ProblemOptions) => Problem) & { kind: ProblemKind }

/**
 * Names the refusals of a feature.
 *
 * @example
 * const problems = defineProblems('auth', {
 *   badCredentials: { status: 401, title: 'Bad credentials', advice: 'Reset the password.' },
 * })
 * throw problems.badCredentials({ detail: 'User name or password is wrong.' })
 */
export function defineProblems<Name extends string>(
  feature: string,
  kinds: Record<Name, Omit<ProblemKind, 'type'>>,
): Record<Name, ProblemConstructor> {
  const constructors = Object.entries<Omit<ProblemKind, 'type'>>(kinds).map(([name, words]) => {
    const slug = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    const kind = { type: `/docs/problems#${feature}/${slug}`, ...words }
    const construct = (options?: ProblemOptions) => new Problem(kind, options)
    return [name, Object.assign(construct, { kind })] as const
  })
  return Object.fromEntries(constructors) as Record<Name, ProblemConstructor>
}

/** The document of RFC 9457, with the `error` member that clients of the old stack read. */
export function problemDocument(problem: Problem, requestId: string): Record<string, unknown> {
  const { kind, options } = problem
  return {
    type: kind.type,
    title: kind.title,
    status: kind.status,
    detail: options.detail ?? kind.advice,
    instance: requestId,
    error: kind.title,
    ...options.members,
  }
}
