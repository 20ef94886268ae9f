import type { z } from '@hono/zod-openapi'

import {
  type Account,
  type Actor,
  actorAs,
  type Identity,
  isIdentity,
  isInPerson,
  type Principal,
  stranger,
} from './principal.ts'
import type { Problem, ProblemConstructor } from './problem.ts'
import type { Scope } from './scopes.ts'

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'

/** What the gateway hands to a handler beside the checked input. */
export interface RequestContext {
  /** The request's id, as in `X-Request-Id` and in the log. */
  id: string
  request: Request
  /** The client's, seen through trusted proxies. */
  address: string
  principal: Principal
  /** Aborts when the client has gone or the route's time is over. */
  readonly signal: AbortSignal
  /** The same as a question, for hot paths: a signal that is listened to costs 19 µs. */
  isAbandoned(): boolean
}

/** A JSON answer, or a response as it is. */
export type Answer = { status?: number; body: unknown; headers?: Record<string, string> } | Response

/**
 * Which limit counts a request: by principal, by address for guesses at a secret and for programs that
 * get tokens, by principal for what a proxy asks on behalf of everybody, or none.
 */
type Rate = 'principal' | 'auth' | 'validate' | 'clients' | 'forward' | 'none'

interface Documented {
  description: string
  schema?: z.ZodType
  example?: unknown
  /** `application/json` unless said otherwise. */
  mediaType?: string
  /** The same in other forms, by media type. */
  alsoAs?: Record<string, { schema: z.ZodType; example: unknown }>
}

interface RouteDefinition<Body extends z.ZodType, Path extends z.ZodType, Query extends z.ZodType> {
  method: Method
  /**
   * In the notation of OpenAPI: `/api/v1/models/{name}`. A last parameter that may hold slashes is
   * written as in RFC 6570: `/api/v1/files/{+key}`. Also the label of its metrics.
   */
  path: string
  /**
   * Open to everyone; to whoever says who they are, by whatever means; to people who have logged in,
   * so that no key of theirs will do; or to whoever has a scope.
   */
  access: 'open' | 'signed-in' | 'in-person' | Scope
  /** Beside a scope: for people who have logged in, no key will do. */
  isInPersonOnly?: true
  /** Open to the gateway, while the handler asks OAuth clients for their id and secret. */
  isForClients?: true
  /** Where set, a loopback peer that no proxy stands before may ask too. */
  isOpenToLoopback?: true
  /** By principal unless said otherwise. */
  rate?: Rate
  /** Open, and answers from memory alone: nothing that it needs can be away. */
  isSelfContained?: true
  /** The server's limits unless said otherwise. */
  bodyBytesMax?: number | undefined
  timeoutMs?: number

  tag: string
  summary: string
  description?: string
  pathParameters?: Path
  query?: Query
  /**
   * JSON by a schema, or a form as HTML and OAuth send it; or `'stream'`, raw bytes that are handed over
   * as they come in. Where JSON is optional, no body at all is `{}`.
   */
  body?: { schema: Body; example: unknown; isForm?: true; isOptional?: true } | 'stream'
  /** What may be streamed, for the API document, by media type. Bytes of a file unless said. */
  streamed?: Record<string, { schema: z.ZodType; example: unknown }>
  answers: Record<number, Documented>
  /** Beside those that follow from access, rate and body. */
  problems?: ProblemConstructor[]
  /** How a refusal is told where the route's protocol has its own way. A problem document unless said. */
  refusal?: (problem: Problem, request: Request) => Answer | undefined
  /** That way is also that of addresses that are none, below the same first segment. */
  refusesStrays?: true
  /**
   * For people, by a browser: not in the API document, and what it is sent must come from a page of
   * this server.
   */
  isPage?: true
}

interface Input<Body, Path, Query> {
  body: Body
  path: Path
  query: Query
}

/** A route as the gateway mounts it. */
export interface Route extends RouteDefinition<z.ZodType, z.ZodType, z.ZodType> {
  handle: (
    input: Input<unknown, unknown, unknown>,
    context: RequestContext,
  ) => Answer | Promise<Answer>
}

/**
 * Declares a route: what the gateway must know of it, what the API document says of it, and the
 * handler, which gets its input checked against the schemas.
 */
export function route<
  Path extends z.ZodType = z.ZodUndefined,
  Query extends z.ZodType = z.ZodUndefined,
>(
  definition: RouteDefinition<z.ZodType, Path, Query> & { body: 'stream' },
  handle: Handler<ReadableStream<Uint8Array>, z.output<Path>, z.output<Query>>,
): Route
export function route<
  Body extends z.ZodType = z.ZodUndefined,
  Path extends z.ZodType = z.ZodUndefined,
  Query extends z.ZodType = z.ZodUndefined,
>(
  definition: RouteDefinition<Body, Path, Query> & { body?: object },
  handle: Handler<z.output<Body>, z.output<Path>, z.output<Query>>,
): Route
export function route(
  definition: RouteDefinition<z.ZodType, z.ZodType, z.ZodType>,
  handle: unknown,
): Route {
  return { ...definition, handle: handle as Route['handle'] }
}

type Handler<Body, Path, Query> = (
  input: Input<Body, Path, Query>,
  context: RequestContext,
) => Answer | Promise<Answer>

/** Who is behind a request to a route with `access: 'signed-in'`, or a scope of `ownScopes`. */
export function identityOf({ principal }: RequestContext): Identity {
  if (isIdentity(principal)) return principal
  throw new Error('the route does not ask who it is')
}

/** The person behind a request to a route with `access: 'in-person'`, or `isInPersonOnly`. */
export function personOf({ principal }: RequestContext): Account & { sessionId: string } {
  if (isInPerson(principal)) return principal
  throw new Error('the route does not ask for somebody who has logged in')
}

/** Who is to be named as having done it. */
export function actorOf({ principal, address }: RequestContext): Actor {
  return isIdentity(principal) ? actorAs(principal, address) : stranger(address)
}
