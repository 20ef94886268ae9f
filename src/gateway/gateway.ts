import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Registry } from 'prom-client'

import type { Config } from '../platform/config.ts'
import { isDatabaseAway } from '../platform/database/database.ts'
import { TooManyJobs } from '../platform/jobs/jobs.ts'
import type { Limits } from '../platform/limits/limits.ts'
import { type Log, type LogContext, logContext, recorded } from '../platform/log.ts'
import { continueTrace, traceparentOf } from '../platform/tracing/trace-context.ts'
import { isRecorded, type Tracing } from '../platform/tracing/tracing.ts'
import { Unavailable } from '../platform/unavailable.ts'
import { createAddressReader, limitKey } from './address.ts'
import { checked, checkedPath, checkedQuery, readForm, readJson, readStream } from './body.ts'
import { createCors } from './cors.ts'
import { createGuard, requireAccess } from './guard.ts'
import { createOutageLog } from './outage-log.ts'
import { type Authenticate, isIdentity, type Principal, type TellRefused } from './principal.ts'
import { Problem } from './problem.ts'
import { problems } from './problems.ts'
import { createRateLimit, type RateLimit } from './rate-limit.ts'
import { render, renderProblem } from './render.ts'
import { createRequestMetrics, type RouteMetrics } from './request-metrics.ts'
import type { Answer, RequestContext, Route } from './route.ts'
import { createSameOrigin } from './same-origin.ts'
import { isScope } from './scopes.ts'
import { securityHeaders } from './security-headers.ts'
import { type Endpoint, serverSpan } from './server-span.ts'
import { createSessionCookie } from './session-cookie.ts'
import { createTimeLimit, type Patience, type TimeLimit } from './time-limit.ts'
import { createTurns, type Leave } from './turns.ts'
import { type Arrival, type Connection, Context, type Visit } from './visit.ts'

export interface GatewayDeps {
  config: Config
  log: Log
  metrics: Registry
  tracing: Tracing
  limits: Limits
  authenticate: Authenticate
  authenticateCookie: Authenticate
  tellRefused: TellRefused
  /** What people see who have typed an address that is none. */
  refusalPage: (problem: Problem) => Response
}

export type App = OpenAPIHono<{ Bindings: { connection: Connection } }>

export interface Gateway {
  /** Puts the routes, and the answers to what is no route, behind the gateway. */
  mount(app: App, routes: readonly Route[]): void
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
const REQUEST_ID = /^[\w.-]{1,128}$/
const UNMATCHED = 'unmatched'
const JOBS_RETRY_AFTER_SECONDS = 10

/**
 * Everything that every request passes, in one function a request: request id, trace, client
 * address, security headers, CORS, guard, rate limit, body, time limit, problem documents, metrics
 * and the access line. Apart as middlewares these steps cost four times as much, most of it for
 * rebuilding the response; here the headers are known before the response is made.
 */
export function createGateway(deps: GatewayDeps): Gateway {
  const { config, log, metrics, tracing, limits: counters } = deps
  const addresses = createAddressReader(config.TRUSTED_PROXIES)
  const cors = createCors(config.CORS_ORIGINS)
  const guard = createGuard({
    authenticate: deps.authenticate,
    authenticateCookie: deps.authenticateCookie,
    cookie: createSessionCookie({ publicUrl: config.PUBLIC_URL, domain: config.COOKIE_DOMAIN }),
    sameOrigin: createSameOrigin(config.PUBLIC_URL),
    isProxy: (peer) => addresses.isProxy(peer),
    anonymousScopes: config.ANONYMOUS_SCOPES.filter(isScope),
    metricsToken: config.METRICS_TOKEN,
  })
  const requestMetrics = createRequestMetrics(metrics)
  const outages = createOutageLog(log)
  const enter = createTurns()
  const fixedHeaders = securityHeaders(config.PUBLIC_URL)
  const limit = (name: string, requestsPerMinute: number) =>
    createRateLimit({ limits: counters, name, requestsPerMinute })
  const limits: Record<Exclude<Route['rate'], 'none' | undefined>, RateLimit> = {
    principal: limit('principal', config.RATE_LIMIT_PRINCIPAL),
    auth: limit('auth', config.RATE_LIMIT_AUTH),
    validate: limit('validate', config.RATE_LIMIT_VALIDATE),
    forward: limit('forward', config.RATE_LIMIT_FORWARD),
    clients: limit('clients', config.RATE_LIMIT_CLIENTS),
  }

  const prepare = (route: Route, method: string, endpoint: string): Mounted => ({
    route,
    endpoint: { method, path: endpoint === UNMATCHED ? undefined : endpoint },
    limit: route.rate === 'none' ? undefined : limits[route.rate ?? 'principal'],
    // What is streamed is not held in memory, so the route's own limit is the only one.
    bodyBytesMax:
      route.body === 'stream'
        ? (route.bodyBytesMax ?? config.BODY_BYTES_MAX)
        : Math.min(route.bodyBytesMax ?? Infinity, config.BODY_BYTES_MAX),
    inTime: createTimeLimit(route.timeoutMs ?? config.REQUEST_TIMEOUT_MS),
    metrics: requestMetrics.forRoute(method, endpoint),
  })

  function serve(mounted: Mounted, arrival: Arrival): Promise<Response> {
    const { request, connection } = arrival
    const id = requestIdOf(request.headers.get('x-request-id'))
    const trace = continueTrace(request.headers.get('traceparent'), tracing.samples)
    const peer = connection.requestIP(request)?.address ?? ''
    // Spelt out: on a path that every request takes, a spread costs more than it saves.
    const visit: Visit = {
      request,
      connection,
      pathname: arrival.pathname,
      pathParameters: arrival.pathParameters,
      startedAt: performance.now(),
      id,
      peer,
      address: addresses.read(peer, request.headers.get('x-forwarded-for')),
      headers: {
        ...fixedHeaders,
        'x-request-id': id,
        traceparent: traceparentOf(trace),
        ...cors.headers(request.headers.get('origin')),
      },
      principal: undefined,
      recordedTrace: isRecorded(tracing, trace) ? trace : undefined,
    }
    const context: LogContext = {
      'http.request.id': id,
      'trace.id': trace.traceId,
      'span.id': trace.spanId,
    }
    if (visit.recordedTrace !== undefined) context[recorded] = true
    const leave = enter()
    return logContext.run(context, () => answer(mounted, visit, leave))
  }

  async function answer(mounted: Mounted, visit: Visit, leave: Leave): Promise<Response> {
    requestMetrics.active.inc()
    let response: Response
    try {
      const result = await pass(mounted, visit)
      response = render(result, visit.headers)
    } catch (error) {
      const problem = asProblem(error)
      if (problem.kind === problems.forbidden.kind) tellRefused(mounted, visit, problem)
      response = refuse(mounted.route, problem, visit)
    }
    requestMetrics.active.dec()
    if (visit.request.method === 'HEAD') await sayLength(response)
    const milliseconds = performance.now() - visit.startedAt
    mounted.metrics.observe(response.status, milliseconds / 1000)
    writeAccessLine(visit, response.status, milliseconds)
    if (visit.recordedTrace !== undefined) {
      tracing.record(serverSpan(visit, visit.recordedTrace, mounted.endpoint, response.status))
    }
    const turn = leave()
    if (turn !== undefined) await turn
    return response
  }

  function tellRefused({ endpoint }: Mounted, { principal, address }: Visit, problem: Problem) {
    const { method, path } = endpoint
    if (principal === undefined || !isIdentity(principal) || path === undefined) return
    const why = problem.options.detail ?? null
    deps.tellRefused(principal, { method, path }, { why, address })
  }

  /** Each step waits only where there is something to wait for, and all of them within the time limit. */
  function pass(mounted: Mounted, visit: Visit): Answer | Promise<Answer> {
    return mounted.inTime(visit.request, (patience) => {
      const identity = identify(mounted, visit)
      return identity instanceof Promise
        ? identity.then((principal) => admit(mounted, visit, principal, patience))
        : admit(mounted, visit, identity, patience)
    })
  }

  function admit(
    mounted: Mounted,
    visit: Visit,
    principal: Principal,
    patience: Patience,
  ): Answer | Promise<Answer> {
    const { limit } = mounted
    visit.principal = principal
    if (limit === undefined) return handle(mounted, visit, principal, patience)
    const isByPrincipal =
      (limit === limits.principal || limit === limits.forward) && principal.kind !== 'anonymous'
    const key = isByPrincipal ? principal.id : limitKey(visit.address)
    return limit.count(key, visit.headers).then(() => handle(mounted, visit, principal, patience))
  }

  function handle(
    mounted: Mounted,
    visit: Visit,
    principal: Principal,
    patience: Patience,
  ): Answer | Promise<Answer> {
    const { route, bodyBytesMax } = mounted
    const { request } = visit
    requireAccess(route, principal)
    const path = route.pathParameters && checkedPath(route.pathParameters, visit.pathParameters!)
    const query = route.query === undefined ? undefined : checkedQuery(route.query, request.url)
    const call = (body: unknown) => {
      patience.requireTime()
      return route.handle({ path, query, body }, new Context(visit, principal, patience))
    }

    const { body } = route
    if (body === undefined) return call(undefined)
    if (body === 'stream') return call(readStream(request, bodyBytesMax))
    const reading = body.isForm
      ? readForm(request, bodyBytesMax)
      : readJson(request, bodyBytesMax, body.isOptional)
    return reading.then((value) => call(checked(body.schema, value)))
  }

  /** At once for a token that is known, which is most of them. */
  function identify({ route, limit }: Mounted, visit: Visit): Principal | Promise<Principal> {
    // A guess at a token costs a signature check, so guesses are counted too.
    const refuse = async (refusal: unknown): Promise<never> => {
      const counted = limit === limits.forward ? limits.forward : limits.principal
      await counted.count(limitKey(visit.address), visit.headers)
      throw refusal
    }
    try {
      const identity = guard.identify(route, visit.request.headers, visit.peer, visit.address)
      return identity instanceof Promise ? identity.catch(refuse) : identity
    } catch (refusal) {
      return refuse(refusal)
    }
  }

  function asProblem(error: unknown): Problem {
    if (error instanceof Problem) {
      if (error.options.cause !== undefined && error.kind.status >= 500) {
        log.warn({ error: error.options.cause }, error.kind.title)
      }
      return error
    }
    const away = isDatabaseAway(error) ? new Unavailable('The database', { cause: error }) : error
    if (away instanceof Unavailable) {
      outages.report(away)
      return problems.unavailable({
        detail: `${away.message}. Try again later.`,
        headers: { 'retry-after': String(away.retryAfterSeconds) },
      })
    }
    // The client went away: nobody reads the answer.
    if (error instanceof DOMException && error.name === 'AbortError')
      return problems.malformedBody()
    if (error instanceof TooManyJobs) {
      return problems.tooManyRequests({
        detail: `At most ${error.unfinishedMax} jobs may be unfinished. Try again when some are done.`,
        headers: { 'retry-after': String(JOBS_RETRY_AFTER_SECONDS) },
      })
    }
    log.error({ error }, 'a request failed by a bug')
    return problems.internal()
  }

  function writeAccessLine(visit: Visit, status: number, milliseconds: number): void {
    log.writePlain('request', {
      'http.request.method': visit.request.method,
      'url.path': visit.pathname,
      'http.response.status_code': status,
      'event.duration': Math.round(milliseconds * 1e6),
      'client.ip': visit.address,
      'user.id': visit.principal && isIdentity(visit.principal) ? visit.principal.id : undefined,
    })
  }

  /** What stands behind every path that is no route, or not by this method. */
  function unmatched(app: App, method: string, families: Families): Mounted {
    const handle = (_: unknown, { request }: RequestContext): Answer => {
      const { pathname } = new URL(request.url)
      const allowed = METHODS.filter((each) => app.router.match(each, pathname)[0].length > 0)
      if (allowed.length === 0)
        throw problems.notFound({ detail: `There is no ${shortened(pathname)} here.` })
      const allow = allowed.includes('GET') ? ['HEAD', ...allowed] : allowed
      if (request.method !== 'OPTIONS') {
        throw problems.methodNotAllowed({
          detail: `${pathname} answers ${allow.join(', ')}.`,
          headers: { allow: allow.join(', ') },
        })
      }
      const preflight = cors.preflight(request.headers.get('origin') ?? '', allow)
      return new Response(null, { status: 204, headers: { allow: allow.join(', '), ...preflight } })
    }
    const route: Route = {
      method: 'get',
      path: UNMATCHED,
      access: 'open',
      tag: '',
      summary: '',
      answers: {},
      handle,
      refusal: (problem, request) =>
        families.get(firstSegment(new URL(request.url).pathname))?.(problem, request) ??
        (isForPeople(request) ? strayPage(problem) : undefined),
    }
    return prepare(route, method, UNMATCHED)
  }

  function strayPage(problem: Problem): Response {
    const response = deps.refusalPage(problem)
    response.headers.append('vary', 'accept')
    return response
  }

  return {
    mount(app, routes) {
      for (const route of routes) {
        const mounted = prepare(route, route.method.toUpperCase(), route.path)
        const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1').replace(/\{\+(\w+)\}/, ':$1{.+}')
        app.on(route.method.toUpperCase(), path, (c) =>
          serve(mounted, {
            request: c.req.raw,
            connection: c.env.connection,
            pathname: c.req.path,
            pathParameters: route.pathParameters === undefined ? undefined : c.req.param(),
          }),
        )
      }
      const families = familiesOf(routes)
      const others = new Map(
        [...METHODS, 'HEAD', 'OPTIONS', 'OTHER'].map((method) => [
          method,
          unmatched(app, method, families),
        ]),
      )
      app.notFound((c) =>
        serve(others.get(c.req.method) ?? others.get('OTHER')!, {
          request: c.req.raw,
          connection: c.env.connection,
          pathname: c.req.path,
          pathParameters: undefined,
        }),
      )
    },
  }
}

/** As the route's protocol tells it, with the headers of every refusal. */
function refuse({ refusal }: Route, problem: Problem, visit: Visit): Response {
  const answer = refusal?.(problem, visit.request)
  if (answer === undefined) return renderProblem(problem, visit)
  return render(answer, { ...visit.headers, ...problem.options.headers })
}

/** By first segment, how what is no route there is refused. */
type Families = ReadonlyMap<string, Route['refusal']>

const familiesOf = (routes: readonly Route[]): Families =>
  new Map(
    routes
      .filter(({ refusesStrays }) => refusesStrays)
      .map(({ path, refusal }) => [firstSegment(path), refusal]),
  )

const firstSegment = (path: string) => path.split('/', 2)[1] ?? ''

const PATH_SHOWN_MAX = 200
const shortened = (path: string) =>
  path.length <= PATH_SHOWN_MAX ? path : `${path.slice(0, PATH_SHOWN_MAX)}…`

/** Where programs go, browsers are answered as programs too. */
const FOR_PROGRAMS = /^\/(?:api|v2|oauth|\.well-known)\//

const isForPeople = ({ url, headers }: Request) =>
  (headers.get('accept')?.includes('text/html') ?? false) &&
  !FOR_PROGRAMS.test(new URL(url).pathname)

/** A route with what the gateway looks up once. */
interface Mounted {
  route: Route
  endpoint: Endpoint
  limit: RateLimit | undefined
  bodyBytesMax: number
  inTime: TimeLimit
  metrics: RouteMetrics
}

/** Where the body is left out, its length is told all the same (RFC 9110 §8.6). */
async function sayLength(response: Response): Promise<void> {
  if (response.headers.has('content-length') || response.headers.has('content-range')) return
  const { size } = await response.clone().blob()
  response.headers.set('content-length', String(size))
}

const requestIdOf = (given: string | null) =>
  given !== null && REQUEST_ID.test(given) ? given : Bun.randomUUIDv7()
