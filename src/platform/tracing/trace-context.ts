/** A position in a trace, by the W3C Trace Context recommendation. */
export interface TraceContext {
  traceId: string
  spanId: string
  /** The caller's span; none where the trace begins here. */
  parentId: string | undefined
  isSampled: boolean
}

const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const SAMPLED = 1

/**
 * Continues the caller's trace, or begins one where there is none or it can't be read. Whether a
 * trace is sampled is decided where it begins: `samples` is asked for those that begin here.
 */
export function continueTrace(
  traceparent: string | null,
  samples: (traceId: string) => boolean,
): TraceContext {
  const random = randomHex(24)
  const spanId = random.slice(32)
  const match = traceparent === null ? null : TRACEPARENT.exec(traceparent)
  const isVersion0WithMore = match?.[4] !== undefined && match[0].startsWith('00')
  if (match === null || isVersion0WithMore) {
    const traceId = random.slice(0, 32)
    return { traceId, spanId, parentId: undefined, isSampled: samples(traceId) }
  }
  const flags = Number.parseInt(match[3]!, 16)
  return { traceId: match[1]!, spanId, parentId: match[2]!, isSampled: (flags & SAMPLED) !== 0 }
}

export const traceparentOf = ({
  traceId,
  spanId,
  isSampled,
}: Pick<TraceContext, 'traceId' | 'spanId' | 'isSampled'>) =>
  `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`

export const newSpanId = () => randomHex(8)

function randomHex(bytes: number): string {
  return crypto.getRandomValues(Buffer.alloc(bytes)).toString('hex')
}
