import { epochMs } from '../clock.ts'
import { type LogContext, logContext, recorded } from '../log.ts'
import { continueTrace, newSpanId, type TraceContext, traceparentOf } from './trace-context.ts'

/** By whom the work was asked for, and of whom: the kinds of OpenTelemetry that occur here. */
export type SpanKind = 'internal' | 'server' | 'client' | 'consumer'

export type Attributes = Record<string, string | number | boolean | undefined>

/** A piece of work that is over. */
export interface Span {
  name: string
  kind: SpanKind
  traceId: string
  spanId: string
  parentId: string | undefined
  /** Both in milliseconds since the Unix epoch, with what is below them. */
  startedAt: number
  endedAt: number
  /** In the names of OpenTelemetry's semantic conventions, where there is one. */
  attributes: Attributes
  /** Where it failed: the kind of failure, never its text, which may hold what a row holds. */
  errorType: string | undefined
}

/**
 * Where spans go. There is no span while its work runs, only a position in `logContext`: a span is
 * made when its work is over, and only where its trace is recorded.
 */
export interface Tracing {
  readonly driver: 'none' | 'otlp'
  /** Whether a trace that begins here is recorded. */
  samples(traceId: string): boolean
  /** Takes a span. Never throws and never waits. */
  record(span: Span): void
  /** Sends what has not been sent, until a deadline. */
  close(): Promise<void>
}

/** Whether spans are made of a trace: those of others' traces when they say so. */
export const isRecorded = ({ driver }: Tracing, { isSampled }: TraceContext): boolean =>
  isSampled && driver !== 'none'

/** What the running code belongs to, for who goes on with it elsewhere, such as a job. */
export function currentTraceparent(): string | undefined {
  const context = logContext.getStore()
  if (context === undefined) return undefined
  const { 'trace.id': traceId, 'span.id': spanId } = context
  return traceparentOf({ traceId, spanId, isSampled: context[recorded] === true })
}

/**
 * Runs work that goes on with a trace from elsewhere, or begins one where there is none, so that its
 * lines are known by it; as a span where the trace is recorded.
 */
export async function inTrace<T>(
  tracing: Tracing,
  traceparent: string | null,
  span: Pick<Span, 'name' | 'kind' | 'attributes'>,
  work: () => Promise<T>,
): Promise<T> {
  const trace = continueTrace(traceparent, tracing.samples)
  const { traceId, spanId, parentId } = trace
  const context: LogContext = { 'trace.id': traceId, 'span.id': spanId }
  if (!isRecorded(tracing, trace)) return logContext.run(context, work)
  context[recorded] = true
  const startedAt = epochMs()
  let errorType: string | undefined
  try {
    return await logContext.run(context, work)
  } catch (error) {
    errorType = errorTypeOf(error)
    throw error
  } finally {
    tracing.record({ ...span, traceId, spanId, parentId, startedAt, endedAt: epochMs(), errorType })
  }
}

/** Work under way whose span will be recorded. */
export interface BegunSpan {
  /** Ends it, once; `error` is what it failed with. */
  end(attributes: Attributes, error?: unknown): void
  /** Runs the work inside it, so that what it begins is below it; ends with it. */
  run<T>(attributes: Attributes, work: () => Promise<T>): Promise<T>
  /** Records work below it that was measured elsewhere, such as in another thread. */
  recordChild(child: Pick<Span, 'name' | 'startedAt' | 'endedAt' | 'attributes'>): void
}

/** Begins a span below the running code's; nothing where its trace is not recorded. */
export function beginSpan(tracing: Tracing, name: string, kind: SpanKind): BegunSpan | undefined {
  if (tracing.driver === 'none') return undefined
  const parent = logContext.getStore()
  return parent?.[recorded] === true ? new Begun(tracing, name, kind, parent) : undefined
}

class Begun implements BegunSpan {
  readonly #tracing: Tracing
  readonly #name: string
  readonly #kind: SpanKind
  readonly #parent: LogContext
  readonly #spanId = newSpanId()
  readonly #startedAt = epochMs()

  constructor(tracing: Tracing, name: string, kind: SpanKind, parent: LogContext) {
    this.#tracing = tracing
    this.#name = name
    this.#kind = kind
    this.#parent = parent
  }

  end(attributes: Attributes, error?: unknown): void {
    this.#tracing.record({
      name: this.#name,
      kind: this.#kind,
      traceId: this.#parent['trace.id'],
      spanId: this.#spanId,
      parentId: this.#parent['span.id'],
      startedAt: this.#startedAt,
      endedAt: epochMs(),
      attributes,
      errorType: error === undefined ? undefined : errorTypeOf(error),
    })
  }

  async run<T>(attributes: Attributes, work: () => Promise<T>): Promise<T> {
    try {
      const result = await logContext.run({ ...this.#parent, 'span.id': this.#spanId }, work)
      this.end(attributes)
      return result
    } catch (error) {
      this.end(attributes, error)
      throw error
    }
  }

  recordChild(child: Parameters<BegunSpan['recordChild']>[0]): void {
    this.#tracing.record({
      ...child,
      kind: 'internal',
      traceId: this.#parent['trace.id'],
      spanId: newSpanId(),
      parentId: this.#spanId,
      errorType: undefined,
    })
  }
}

/** By its code where it has one, as those of databases and sockets do; by its class otherwise. */
function errorTypeOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code
  }
  return error instanceof Error ? error.name : typeof error
}
