import type { TraceContext } from '../platform/tracing/trace-context.ts'
import type { Principal } from './principal.ts'
import type { RequestContext } from './route.ts'
import type { Patience } from './time-limit.ts'

/** What `Bun.serve` hands to every request: who stands at the other end of the connection. */
export interface Connection {
  requestIP(request: Request): { address: string } | null
}

/** A request as it comes from the router. */
export interface Arrival {
  request: Request
  connection: Connection
  pathname: string
  pathParameters: Record<string, string> | undefined
}

/** A request on its way through the gateway. */
export interface Visit extends Arrival {
  startedAt: number
  id: string
  /** The other end of the connection; `address` is the client behind it. */
  peer: string
  address: string
  /** What the answer will carry. */
  headers: Record<string, string>
  principal: Principal | undefined
  /** The visit's place in its trace, where spans are made of it. */
  recordedTrace: TraceContext | undefined
}

/** What a handler sees of a visit. */
export class Context implements RequestContext {
  readonly id: string
  readonly request: Request
  readonly address: string
  readonly principal: Principal
  readonly #patience: Patience

  constructor({ id, request, address }: Visit, principal: Principal, patience: Patience) {
    this.id = id
    this.request = request
    this.address = address
    this.principal = principal
    this.#patience = patience
  }

  get signal(): AbortSignal {
    return this.#patience.signal
  }

  isAbandoned(): boolean {
    return this.#patience.isAbandoned()
  }
}
