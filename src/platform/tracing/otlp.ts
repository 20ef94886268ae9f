import { type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace'
import type { Registry } from 'prom-client'

import { type Log, logContext } from '../log.ts'
import { tallyCounter } from '../tally.ts'
import type { Span, Tracing } from './tracing.ts'

export interface OtlpOptions {
  /** Of the collector; spans go to `/v1/traces` below it. */
  endpoint: string
  /** Sent with each export, such as a key. */
  headers: Readonly<Record<string, string>>
  serviceName: string
  /** Of the traces that begin here, from 0 to 1. */
  share: number
  log: Log
  metrics: Registry
  /** Of spans that wait for the collector; beyond it they are dropped. */
  queueMax?: number
  batchMax?: number
  intervalMs?: number
  exportTimeoutMs?: number
  /** How long `close` waits. */
  closeTimeoutMs?: number
}

/** W3C Trace Context, level 2, asks the last 14 digits of a trace id to be random; a double holds 13. */
const RANDOM_DIGITS = 13
const RANDOM_VALUES = 16 ** RANDOM_DIGITS

const KINDS: Record<Span['kind'], SpanKind> = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
}

/**
 * Sends spans to a collector over OTLP/HTTP, as JSON: the exporter for protobuf brings no less with
 * it, and JSON is read by every collector.
 *
 * OpenTelemetry's processor batches them and its exporter sends them, with retries until the export's
 * deadline. Its tracer is not used: the ids must be those that the log has named by then, and a span
 * that is made when its work is over costs less than one that goes along.
 */
export function createOtlpTracing(options: OtlpOptions): Tracing {
  const { queueMax = 4096, batchMax = 512, intervalMs = 1000 } = options
  const { exportTimeoutMs = 5000, closeTimeoutMs = 3000 } = options
  const exporter = new OTLPTraceExporter({
    url: `${options.endpoint}/v1/traces`,
    headers: { ...options.headers },
    timeoutMillis: exportTimeoutMs,
  })
  const counted = countExports(exporter, options)
  const processor = new BatchSpanProcessor({
    exporter: counted,
    maxQueueSize: queueMax,
    maxExportBatchSize: batchMax,
    scheduledDelayMillis: intervalMs,
    exportTimeoutMillis: exportTimeoutMs + 1000,
  })
  const resource = resourceFromAttributes({ 'service.name': options.serviceName })
  const threshold = options.share * RANDOM_VALUES
  let isClosed = false

  return {
    driver: 'otlp',
    samples: (traceId) => Number.parseInt(traceId.slice(-RANDOM_DIGITS), 16) < threshold,
    record(span) {
      // The processor drops silently; here what is dropped is counted.
      if (isClosed || !counted.admit(queueMax)) return
      processor.onEnd(readable(span, resource))
    },
    async close() {
      if (isClosed) return
      isClosed = true
      const shutdown = processor.shutdown().catch(() => {})
      const { promise: late, resolve: giveUp } = Promise.withResolvers<void>()
      const timer = setTimeout(giveUp, closeTimeoutMs)
      await Promise.race([shutdown, late])
      clearTimeout(timer)
      counted.abandon()
    },
  }
}

/** Counts what becomes of spans, and says in the log when the collector goes away and comes back. */
function countExports(exporter: SpanExporter, { log, metrics }: OtlpOptions) {
  const dropped = tallyCounter({
    name: 'tracing_spans_dropped_total',
    help: 'Spans that no collector got, by the reason.',
    labelNames: ['reason'],
    registry: metrics,
  })
  const exported = tallyCounter({
    name: 'tracing_spans_exported_total',
    help: 'Spans that the collector took.',
    labelNames: [],
    registry: metrics,
  })({})
  const full = dropped({ reason: 'queue_full' })
  const failed = dropped({ reason: 'export_failed' })
  /** Handed in, and neither sent nor given up yet. */
  let pending = 0
  let isAway = false

  function settle(spans: number, { code, error }: ExportResult): void {
    const isSent = code === ExportResultCode.SUCCESS
    pending -= spans
    ;(isSent ? exported : failed).inc(spans)
    if (isSent !== isAway) return
    isAway = !isSent
    // It is no request's, though it may run in the wake of one.
    logContext.exit(() => {
      if (isAway) log.warn({ error }, 'traces can not be sent: the collector does not take them')
      else log.info('traces are sent again')
    })
  }

  return {
    admit(max: number): boolean {
      if (pending >= max) {
        full.inc()
        return false
      }
      pending += 1
      return true
    },
    /** Counts what the process ends without. */
    abandon() {
      if (pending > 0) log.warn({ spans: pending }, 'spans are lost: the collector took too long')
      failed.inc(pending)
      pending = 0
    },
    export(spans: ReadableSpan[], callback: (result: ExportResult) => void) {
      exporter.export(spans, (result) => {
        settle(spans.length, result)
        callback(result)
      })
    },
    shutdown: () => exporter.shutdown(),
  }
}

/** A span as OpenTelemetry's own processors and exporters read them. */
function readable(span: Span, resource: ReadableSpan['resource']): ReadableSpan {
  const { traceId, kind, startedAt, endedAt, errorType } = span
  const context = (spanId: string, isRemote: boolean) => ({
    traceId,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
    isRemote,
  })
  const own = context(span.spanId, false)
  return {
    name: span.name,
    kind: KINDS[kind],
    spanContext: () => own,
    ...(span.parentId === undefined
      ? {}
      : { parentSpanContext: context(span.parentId, kind === 'server' || kind === 'consumer') }),
    startTime: timeOf(startedAt),
    endTime: timeOf(endedAt),
    duration: timeOf(endedAt - startedAt),
    ended: true,
    status: { code: errorType === undefined ? SpanStatusCode.UNSET : SpanStatusCode.ERROR },
    attributes: attributesOf(span),
    links: [],
    events: [],
    resource,
    instrumentationScope: { name: 'quintet' },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
}

/** Only those that have a value: the exporter sends others as attributes without one. */
function attributesOf({ attributes, errorType }: Span): Record<string, string | number | boolean> {
  const present: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) present[name] = value
  }
  if (errorType !== undefined) present['error.type'] = errorType
  return present
}

/** Seconds and nanoseconds. */
function timeOf(ms: number): HrTime {
  const seconds = Math.trunc(ms / 1000)
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)]
}
