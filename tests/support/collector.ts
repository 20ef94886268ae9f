/** A span as it was sent: OTLP's JSON, made readable. */
export interface ReceivedSpan {
  service: string
  name: string
  kind: string
  traceId: string
  spanId: string
  parentId: string | undefined
  startedAt: bigint
  endedAt: bigint
  isError: boolean
  attributes: Record<string, string | number | boolean>
}

/** A collector of traces that speaks OTLP/HTTP, as far as a test needs it. */
export interface Collector {
  url: string
  spans: ReceivedSpan[]
  /** Of each export. */
  headers: Headers[]
  /** What it answers from now on: 200, a refusal, or nothing at all. */
  answer: number | 'never'
  /** Waits until the spans that came are those that a test expects. */
  until(isEnough: (spans: ReceivedSpan[]) => boolean): Promise<ReceivedSpan[]>
  stop(): Promise<void>
}

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
const ERROR = 2
const SOON_MS = 10_000

type Value = {
  stringValue?: string
  intValue?: number | string
  doubleValue?: number
  boolValue?: boolean
}
interface Attribute {
  key: string
  value: Value
}
interface WireSpan {
  name: string
  kind: number
  traceId: string
  spanId: string
  parentSpanId?: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: Attribute[]
  status: { code?: number }
}
/** An `ExportTraceServiceRequest`, see opentelemetry-proto and its JSON encoding. */
interface Export {
  resourceSpans: {
    resource: { attributes: Attribute[] }
    scopeSpans: { spans: WireSpan[] }[]
  }[]
}

export function startCollector({ port = 0 } = {}): Collector {
  const spans: ReceivedSpan[] = []
  const headers: Headers[] = []
  const server = Bun.serve({
    port,
    hostname: '127.0.0.1',
    async fetch(request) {
      if (collector.answer === 'never') return new Promise<Response>(() => {})
      if (collector.answer !== 200) return new Response(null, { status: collector.answer })
      const { pathname } = new URL(request.url)
      if (request.method !== 'POST' || pathname !== '/v1/traces') {
        return new Response(null, { status: 404 })
      }
      if (request.headers.get('content-type') !== 'application/json') {
        return new Response(null, { status: 415 })
      }
      headers.push(request.headers)
      spans.push(...decode((await request.json()) as Export))
      return Response.json({})
    },
  })
  const collector: Collector = {
    url: `http://127.0.0.1:${server.port}`,
    spans,
    headers,
    answer: 200,
    async until(isEnough) {
      const deadline = performance.now() + SOON_MS
      while (!isEnough(spans)) {
        if (performance.now() > deadline) throw new Error(`there are only ${Bun.inspect(spans)}`)
        await Bun.sleep(10)
      }
      return spans
    },
    stop: () => server.stop(true),
  }
  return collector
}

const decode = ({ resourceSpans }: Export): ReceivedSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(attributesOf(resource.attributes)['service.name'])
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => readSpan(service, span)))
  })

function readSpan(service: string, span: WireSpan): ReceivedSpan {
  for (const [id, pattern] of [
    [span.traceId, /^[0-9a-f]{32}$/],
    [span.spanId, /^[0-9a-f]{16}$/],
  ] as const) {
    if (!pattern.test(id)) throw new Error(`not an id: ${id}`)
  }
  return {
    service,
    name: span.name,
    kind: KINDS[span.kind] ?? 'unknown',
    traceId: span.traceId,
    spanId: span.spanId,
    parentId: span.parentSpanId,
    startedAt: BigInt(span.startTimeUnixNano),
    endedAt: BigInt(span.endTimeUnixNano),
    isError: span.status.code === ERROR,
    attributes: attributesOf(span.attributes),
  }
}

const attributesOf = (attributes: Attribute[]) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, valueOf(value)]))

function valueOf(value: Value): string | number | boolean {
  const { stringValue, intValue, doubleValue, boolValue } = value
  const plain = stringValue ?? doubleValue ?? boolValue
  if (plain === undefined && intValue === undefined) throw new Error('an attribute without a value')
  return plain ?? Number(intValue)
}
