import { epochMs } from '../platform/clock.ts'
import type { TraceContext } from '../platform/tracing/trace-context.ts'
import type { Span } from '../platform/tracing/tracing.ts'
import type { Visit } from './visit.ts'

/** What a route is called where its requests are counted or traced. */
export interface Endpoint {
  method: string
  /** The template; none for what is no route. */
  path: string | undefined
}

/**
 * The span of a visit that is over, by the semantic conventions for HTTP servers. Without the query,
 * which may hold what is nobody's business.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-spans/
 */
export function serverSpan(
  visit: Visit,
  { traceId, spanId, parentId }: TraceContext,
  { method, path }: Endpoint,
  status: number,
): Span {
  const endedAt = epochMs()
  return {
    name: path === undefined ? method : `${method} ${path}`,
    kind: 'server',
    traceId,
    spanId,
    parentId,
    startedAt: endedAt - (performance.now() - visit.startedAt),
    endedAt,
    attributes: {
      'http.request.method': method,
      'http.route': path,
      'http.response.status_code': status,
      'url.path': visit.pathname,
      'url.scheme': visit.request.url.startsWith('https:') ? 'https' : 'http',
      'client.address': visit.address,
      'network.peer.address': visit.peer,
      'user_agent.original': visit.request.headers.get('user-agent') ?? undefined,
    },
    // A refusal is the caller's error, not the server's.
    errorType: status >= 500 ? String(status) : undefined,
  }
}
