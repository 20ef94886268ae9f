/** A position in a trace, by the W3C Trace Context recommendation. */
export interface TraceContext {
  traceId: string
  spanId: string
  isSampled: boolean
}

const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const SAMPLED = 1

/** Continues the caller's trace, or begins one where there is none or it can't be read. */
export function continueTrace(traceparent: string | null): TraceContext {
  const random = randomHex(24)
  const spanId = random.slice(32)
  const begun = { traceId: random.slice(0, 32), spanId, isSampled: false }
  if (traceparent === null) return begun
  const match = TRACEPARENT.exec(traceparent)
  const isVersion0WithMore = match?.[4] !== undefined && traceparent.startsWith('00')
  if (match === null || isVersion0WithMore) return begun
  const flags = Number.parseInt(match[3]!, 16)
  return { traceId: match[1]!, spanId, isSampled: (flags & SAMPLED) !== 0 }
}

export const traceparentOf = ({ traceId, spanId, isSampled }: TraceContext) =>
  `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`

function randomHex(bytes: number): string {
  return crypto.getRandomValues(Buffer.alloc(bytes)).toString('hex')
}
